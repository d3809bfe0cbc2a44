"""Making room: how much runs take, and removing them or the contents that they keep.

A run that goes on, or that is being delivered, is never removed. Nothing outside a run's directory
is removed but the segments of its journal, where ``journal_dir`` has put them elsewhere.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import msgspec

from tracelet.courier.exit_status import unwritten_ending
from tracelet.errors import RunBusyError
from tracelet.inner_path import InnerPath
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import BlobRef, decode_lines

_SEGMENTS = (".jsonl", ".jsonl.gz")
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
    contents, journal, other = (
        sum(_size(file, seen) for file in folder.files())
        for folder in (run_dir.blobs.directory, run_dir.journal, InnerPath(run_dir.path))
    )
    return Space(journal, contents, other)


def remove_run(run_dir: RunDir) -> None:
    """Remove a run.

    Raises:
        RunBusyError: it goes on, or is being delivered.
        RunNotFoundError: the directory holds no run.
        OSError: something of it cannot be removed.
    """
    with _left_alone(run_dir):
        elsewhere = run_dir.journal_elsewhere
        if elsewhere is not None and run_dir.is_own:
            for name in run_dir.journal.names():
                if name.endswith(_SEGMENTS):
                    (run_dir.journal / name).unlink()
            with contextlib.suppress(OSError):  # somebody keeps something else there
                elsewhere.rmdir()
        run_dir.cursors.remove_tree()  # with that it is no run any more
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
        for file in list(run_dir.blobs.directory.files()):
            if file.name[:64] not in lines:
                status = file.stat()
                removed.add((status.st_dev, status.st_ino))
                file.unlink()
        # The same content under the name of an artifact.
        for file in list(InnerPath(run_dir.path).files()):
            status = file.stat()
            if (status.st_dev, status.st_ino) in removed:
                file.unlink()


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


def _size(file: InnerPath, seen: set[tuple[int, int]]) -> int:
    try:
        status = file.stat()
    except OSError:  # it was removed meanwhile
        return 0
    inode = status.st_dev, status.st_ino
    if inode in seen:
        return 0
    seen.add(inode)
    return status.st_size


def _lines_in_blobs(run_dir: RunDir) -> Iterator[str]:
    """Yield the digests of blobs that hold lines of the journal."""
    for name in run_dir.journal.names():
        if not name.endswith(".jsonl"):
            continue
        with (run_dir.journal / name).reading() as lines:
            for line in lines:
                if line.startswith(_LINE_IN_BLOB):
                    with contextlib.suppress(ValueError):  # a damaged line names no blob
                        yield from (
                            record.digest
                            for record in decode_lines(line)
                            if isinstance(record, BlobRef)
                        )
