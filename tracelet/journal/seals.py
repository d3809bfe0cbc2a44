"""Seals of a run: what its journal and its blobs had in them when nothing wrote to them any more.

``seals.json`` has the size, the number of lines and the CRC-32 of each segment, and the size of
each blob, whose name is its digest. So whoever reads the run later notices that something of it was
cut, changed, added or deleted.

- A segment is sealed when no process can write to it any more: each writer, and each fork of it,
  holds a lock on its segment (see :func:`tracelet.journal.segments.hold`). One that a process still
  holds is sealed by whoever looks later.
- Sealing costs the caller of ``log_metric`` nothing. The courier seals the full segments while the
  run goes on, and the rest at its end.
- A seal shows damage, and no forgery: who can write to the run can write the seal, too.
- A run without seals is one of an older version, and is read without them.
"""

from __future__ import annotations

import functools
import logging
import zlib
from typing import Annotated, TypeAlias

import msgspec

from tracelet.inner_path import InnerPath
from tracelet.journal.blobs import BlobStore
from tracelet.journal.checked import decode_checked, with_check
from tracelet.journal.segments import (
    SegmentFile,
    chains,
    is_held,
    segment_file,
    segment_names,
    segment_size,
)

log = logging.getLogger(__name__)

_CHUNK = 2 * 1024 * 1024
_MOST_NAMED = 20
"""Damages of blobs that are named one by one."""

_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Seal(msgspec.Struct, frozen=True):
    """What a segment had in it, uncompressed: its bytes, its lines, and their CRC-32."""

    size: _Count
    lines: _Count
    crc: _Count


class _Seals(msgspec.Struct):
    segments: dict[str, Seal] = {}
    blobs: dict[str, _Count] = {}


class Seals:
    """The seals of one run.

    Args:
        file: where they are kept.
        journal: the directory of the segments.
        blobs: the blobs of the run.
    """

    def __init__(self, file: InnerPath, journal: InnerPath, blobs: BlobStore) -> None:
        self._file = file
        self._journal = journal
        self._blobs = blobs
        self._known: _Seals | None = None

    def seal(self, *, ended: bool) -> None:
        """Seal what nothing writes to any more; the caller holds the run's lock.

        What cannot be read or written now is sealed by a later call. Damaged seals are left as they
        are: they would say that what is left of the run is whole.

        Args:
            ended: whether the run has ended; else the last segment of each process is left out.
        """
        try:
            if self._known is None:
                self._known = self._load()
            known, new = self._known.segments, {}
            for chain in chains(self._journal):
                for name in chain if ended else chain[:-1]:
                    if name not in known and (found := self._measure(name)) is not None:
                        new[name] = found
            if not new:
                return
            known.update(new)
            if ended:
                self._known.blobs = self._blobs.sizes()
            self._file.replace(with_check(msgspec.json.encode(self._known)))
        except (OSError, ValueError) as error:
            self._known = None
            log.debug("%s cannot be sealed: %s", self._journal, error)

    def are_complete(self) -> bool:
        """Return whether nothing is left to seal; of damaged seals, nothing is."""
        try:
            known = self._load().segments
        except (OSError, ValueError):
            return True
        return all(
            name in known or not segment_size(self._journal, name)
            for name in segment_names(self._journal)
        )

    def forget_blobs(self, kept: set[str]) -> None:
        """Remove the seals of all blobs but those ``kept``: their contents are being removed.

        Raises:
            OSError: the file cannot be written.
        """
        try:
            seals = self._load()
        except ValueError:  # the damage is said wherever the run is read
            return
        if seals.blobs:
            seals.blobs = {digest: size for digest, size in seals.blobs.items() if digest in kept}
            self._file.replace(with_check(msgspec.json.encode(seals)))

    def damage(self, *, contents: bool) -> list[str]:
        """Return what is not as it was sealed, one line for each file.

        Args:
            contents: read the segments, each once in this process as long as its size and time
                stay; False: only look at their sizes. Blobs are verified when they are read.
        """
        try:
            seals = self._load()
        except (OSError, ValueError) as error:
            advice = "Delete it, and the run is sealed again as it is"
            return [f"{self._file.name} is damaged ({error}), and the journal may be. {advice}"]
        found = []
        for name, seal in sorted(seals.segments.items()):
            what = self._damage_of(name, seal, contents=contents)
            if what is not None:
                found.append(f"{self._journal.name}/{name}.jsonl {what}")
        blobs = []
        for digest, size in seals.blobs.items():
            what = _compare_sizes(_size(self._blobs.file(digest)), size)
            if what is not None:
                blobs.append(f"{self._blobs.directory.name}/{digest[:2]}/{digest} {what}")
        if len(blobs) > _MOST_NAMED:
            blobs[_MOST_NAMED:] = [f"{len(blobs) - _MOST_NAMED:,} more blobs are damaged"]
        return found + blobs

    def _damage_of(self, name: str, seal: Seal, *, contents: bool) -> str | None:
        file = segment_file(self._journal, name)
        if file is None:
            return f"is missing, with its {seal.lines:,} lines"
        if not file.name.endswith(".gz"):
            what = _compare_sizes(_size(file), seal.size)
            if what is not None:
                return what
        if not contents:
            return None
        measured = self._measure(name, sealing=False)
        if measured == seal:
            return None
        if measured is None:
            return "cannot be read to its end"
        what = _compare_sizes(measured.size, seal.size)
        return what or "was changed: its checksum is not the one that was sealed"

    def _measure(self, name: str, *, sealing: bool = True) -> Seal | None:
        file = segment_file(self._journal, name)
        if file is None or (sealing and (file.name.endswith(".gz") or is_held(file))):
            return None
        try:
            status = file.stat()
            seal = _measured(file, status.st_size, status.st_mtime_ns, status.st_ino)
        except OSError:
            return None
        return None if seal is None or (sealing and not seal.size) else seal

    def _load(self) -> _Seals:
        """Return the seals there are.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged.
        """
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return _Seals()
        return decode_checked(content, _Seals)


@functools.lru_cache(maxsize=4096)
def _measured(place: InnerPath, *_: int) -> Seal | None:
    """Read a segment; None if it cannot be read to its end. Size, time and inode are the key."""
    file = SegmentFile.of(place)
    size = lines = crc = 0
    try:
        while data := file.read(size, _CHUNK):
            size, lines = size + len(data), lines + data.count(b"\n")
            crc = zlib.crc32(data, crc)
    finally:
        file.close()
    return None if file.is_damaged else Seal(size, lines, crc)


def _size(file: InnerPath) -> int | None:
    return file.size() if file.is_file() else None


def _compare_sizes(now: int | None, sealed: int) -> str | None:
    if now is None:
        return f"is missing, with its {sealed:,} bytes"
    if now < sealed:
        return f"was cut: it has {now:,} of {sealed:,} bytes"
    if now > sealed:
        return f"has {now - sealed:,} bytes that were added after the end"
    return None
