"""Making room: how much runs take, and removing them or the contents that they keep.

A run that goes on, or that is being delivered, is never removed. Nothing outside a run's directory
is removed but the segments of its journal, where ``journal_dir`` has put them elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tracelet.courier.exit_status import unwritten_ending
from tracelet.errors import RunBusyError
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import BlobRef, decode_lines

_SEGMENTS = ("*.jsonl", "*.jsonl.gz")
_LINE_IN_BLOB = b'["stored",'
"""How the line of a record begins whose content is in a blob."""


class Space(msgspec.Struct, frozen=True):
    """The bytes that a run takes on the disk; a content with several names counts once.

    Attributes:
        journal: the journal.
        contents: what artifacts and configuration objects have in them.
        other: everything else: the local files, cursors, logs, and what trackers keep there.
    """

    journal: int
    contents: int
    other: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.journal + self.contents + self.other


def space_of(run_dir: RunDir) -> Space:
    """Measure what a run takes; what cannot be read counts nothing."""
    seen: set[tuple[int, int]] = set()
    contents = sum(_size(entry, seen) for entry in _files(run_dir.blobs.directory))
    journal = sum(_size(entry, seen) for entry in _files(run_dir.journal))
    return Space(journal, contents, sum(_size(entry, seen) for entry in _files(run_dir.path)))


def remove_run(run_dir: RunDir) -> None:
    """Remove a run.

    Raises:
        RunBusyError: it goes on, or is being delivered.
        RunNotFoundError: the directory holds no run.
        OSError: something of it cannot be removed.
    """
    with _left_alone(run_dir):
        journal = run_dir.journal
        if journal.parent != run_dir.path:
            for pattern in _SEGMENTS:
                for segment in journal.glob(pattern):
                    segment.unlink()
            with contextlib.suppress(OSError):  # somebody keeps something else there
                journal.rmdir()
        shutil.rmtree(run_dir.cursors, ignore_errors=True)  # with that it is no run any more
        run_dir.run_json.unlink(missing_ok=True)
    shutil.rmtree(run_dir.path)


def remove_contents(run_dir: RunDir) -> None:
    """Remove the contents of a run's artifacts and configuration objects; the journal stays.

    Raises:
        RunBusyError: it goes on, or is being delivered.
        RunNotFoundError: the directory holds no run.
        OSError: something of it cannot be removed.
    """
    with _left_alone(run_dir):
        lines = set(_lines_in_blobs(run_dir))
        run_dir.seals.forget_blobs(lines)
        removed = set()
        for entry in list(_files(run_dir.blobs.directory)):
            if Path(entry).name[:64] not in lines:
                status = os.lstat(entry)
                removed.add((status.st_dev, status.st_ino))
                Path(entry).unlink()
        for entry in list(_files(run_dir.path)):  # the same content under the name of an artifact
            status = os.lstat(entry)
            if (status.st_dev, status.st_ino) in removed:
                Path(entry).unlink()


@contextlib.contextmanager
def _left_alone(run_dir: RunDir) -> Iterator[None]:
    """Hold the lock of a run that has ended.

    Raises:
        RunBusyError: it goes on, or is being delivered.
    """
    state = RunState.read(run_dir)
    if state.status == "running" and unwritten_ending(run_dir, state) is None:
        who = "process {pid} of host {host}".format_map(state.start.process) if state.start else "?"
        raise RunBusyError(f"the run {run_dir.path.name} is still running: {who}")
    lock = run_dir.lock()
    if not lock.acquire():
        raise RunBusyError(
            f"the run {run_dir.path.name} is being delivered; 'tracelet show' tells how far it is"
        )
    try:
        yield
    finally:
        lock.release()


def _files(directory: Path) -> Iterator[str]:
    """Yield the files below a directory; links are not followed."""
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.join(folder, name)  # noqa: PTH118 - runs have many files


def _size(file: str, seen: set[tuple[int, int]]) -> int:
    try:
        status = os.lstat(file)
    except OSError:  # it was removed meanwhile
        return 0
    inode = status.st_dev, status.st_ino
    if inode in seen:
        return 0
    seen.add(inode)
    return status.st_size


def _lines_in_blobs(run_dir: RunDir) -> Iterator[str]:
    """Yield the digests of blobs that hold lines of the journal."""
    for segment in run_dir.journal.glob("*.jsonl"):
        with segment.open("rb") as lines:
            for line in lines:
                if line.startswith(_LINE_IN_BLOB):
                    with contextlib.suppress(ValueError):  # a damaged line names no blob
                        yield from (
                            record.digest
                            for record in decode_lines(line)
                            if isinstance(record, BlobRef)
                        )
