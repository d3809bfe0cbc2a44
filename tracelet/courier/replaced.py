"""Removes the contents of artifacts that later ones of the same destination have replaced.

A checkpoint that is logged under one name after each epoch would else fill the disk. An earlier
content goes when the run has ended, every backend has passed it, and no name leads to it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
from collections.abc import Iterator

from tracelet.courier.report import is_delivered
from tracelet.inner_path import InnerPath
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import SegmentFile, segment_ends
from tracelet.records import Artifact, BlobRef, Config, decode_lines

log = logging.getLogger(__name__)

_CHUNK = 2 * 1024 * 1024
_LINES = re.compile(rb'^\["(?:artifact|config|stored)",[^\n]*\n', re.MULTILINE)
_AWAY = ".replaced"


def remove_replaced(run_dir: RunDir, state: RunState) -> None:
    """Remove replaced contents; the caller holds the run's lock.

    Nothing is removed as long as the run goes on or a backend lacks a record. A content is moved
    away first, and comes back if the run was resumed meanwhile: the program may have found it in
    its place, and may be about to note it again.
    """
    try:
        ends = segment_ends(run_dir.journal)
        names = state.start.names if state.start is not None else []
        if state.status == "running" or not run_dir.is_own:
            return
        if not all(is_delivered(run_dir, name, ends) for name in names):
            return
        blobs = [run_dir.blobs.file(digest) for digest in sorted(_replaced(run_dir))]
        moved = [(blob, blob.parent / (blob.name + _AWAY)) for blob in blobs if blob.is_file()]
        if not moved:
            return
        for blob, away in moved:
            blob.move_to(away)
        try:
            is_same = segment_ends(run_dir.journal) == ends
            if is_same:
                sizes = run_dir.blobs.sizes()
                run_dir.seals.forget_blobs(set(sizes) - {blob.name for blob, _ in moved})
        finally:
            for blob, away in moved:
                if is_same or blob.is_file():  # the same content was stored again meanwhile
                    away.unlink()
                else:
                    away.move_to(blob)
    except OSError as error:
        log.warning("replaced contents of %s cannot be removed: %s", run_dir.path, error)


def is_replaced(run_dir: RunDir, artifact: Artifact) -> bool:
    """Return whether the journal has a later artifact of the same destination."""
    ends = tuple(sorted(segment_ends(run_dir.journal).items()))
    latest = _latest(run_dir.journal, ends).get(artifact.path)
    return latest is not None and latest > artifact.time


@functools.lru_cache(maxsize=1)
def _latest(journal: InnerPath, ends: tuple[tuple[str, int], ...]) -> dict[str, float]:
    """Return when each artifact was logged last, in seconds since the epoch, by destination."""
    latest: dict[str, float] = {}
    for name, _ in ends:
        for record in _records(journal, name):
            if isinstance(record, Artifact):
                latest[record.path] = max(record.time, latest.get(record.path, record.time))
    return latest


def _replaced(run_dir: RunDir) -> set[str]:
    """Return the digests that only replaced artifacts have; each segment keeps its last ones."""
    found: set[str] = set()
    kept: set[str] = set()
    for name in segment_ends(run_dir.journal):
        last: dict[str, str] = {}
        for record in _records(run_dir.journal, name):
            if isinstance(record, BlobRef):
                kept.add(record.digest)
                kept |= set(_digests_in(run_dir, record))
            elif isinstance(record, Config):
                kept.add(record.digest)
            elif isinstance(record, Artifact) and record.source is None:
                found.add(record.digest)
                last[record.path] = record.digest
        kept.update(last.values())
    return found - kept


def _digests_in(run_dir: RunDir, reference: BlobRef) -> Iterator[str]:
    (record,) = decode_lines(run_dir.blobs.read(reference.digest))
    if isinstance(record, Config | Artifact):
        yield record.digest


def _records(journal: InnerPath, segment: str) -> Iterator[object]:
    """Yield the records of a segment that name blobs."""
    file, at = SegmentFile(journal, segment), 0
    with contextlib.closing(file):
        while True:
            lines = file.lines(at, _CHUNK)
            for line in _LINES.findall(lines.data):
                yield from decode_lines(line)
            at = lines.end
            if not lines.more:
                return
