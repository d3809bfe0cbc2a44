"""The progress of a delivery: the cursor on disk, and what was delivered since it was saved.

Delivered records count once the backend has flushed them. Until then they are counted separately.
So a delivery that starts again at the cursor counts nothing twice.

A delivery also appends to **side files**. A new delivery truncates them to their sizes at the
cursor. Otherwise a batch that comes again after a crash would add its lines twice. Side files are

- ``rejected/<backend>.jsonl``, the backend's dead-letter file: each record that the backend has
  rejected, with the reason;
- in the backend's scratch directory: the log of a backend that has no place for lines of text, and
  the exact values of records that the backend has adjusted.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tracelet.backends.base import Backend
from tracelet.courier.cursor import Cursor, CursorFile, Health
from tracelet.courier.error_texts import one_line
from tracelet.errors import CheckpointLostError
from tracelet.inner_path import InnerPath
from tracelet.journal.reader import Position
from tracelet.journal.rundir import RunDir
from tracelet.records import Status

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0
"""How often a delivery that makes progress saves its cursor."""
_FIRST_STEP_SECONDS = 0.01
_IN_SCRATCH = ("log.txt", "tracelet/adjusted.jsonl")
"""The side files that the backend writes, in its scratch directory."""
_TABLES = ("parameters.json", "properties.json", "tags.json")
"""Files of the scratch directory that are replaced as a whole, and so are never truncated."""


class Rejection(NamedTuple):
    """A rejected record: its lines for the dead-letter file, and the backend's error."""

    lines: list[bytes]
    error: BaseException


class Progress:
    """The progress of one run in one backend.

    Args:
        run_dir: the run.
        backend: the backend's name.

    Attributes:
        cursor: the saved cursor.
        ended: the status of the run's ending among the records so far; None while it runs.
    """

    def __init__(self, run_dir: RunDir, backend: str) -> None:
        self._backend = backend
        self._file = CursorFile(run_dir.cursors, backend)
        self._scratch = run_dir.scratch / backend
        self._rejected = run_dir.rejected / f"{backend}.jsonl"
        self._side_files = {
            "rejected": self._rejected,
            **{name: self._scratch / name for name in _IN_SCRATCH},
        }
        self.cursor = self._file.load()
        if self._file.is_damaged:
            log.warning(
                "%s; the run is delivered to %s from its start", self.cursor.last_error, backend
            )
        if self.cursor.side_files is not None or not self.cursor.position:
            self._truncate_side_files(self.cursor.side_files or {})
        self.ended: Status | None = self.cursor.ended
        self._adjusted_before = 0
        self._skipped_before = self.cursor.skipped
        self._committed_at = time.monotonic()
        # A delivery that left the backend open has died, perhaps of the next records, and this one
        # may die of them, too. Small steps at first bring each delivery nearer to them.
        was_left_open = self.cursor.health != "starting" and self.cursor.closed is None
        self._step = 0.0 if was_left_open else COMMIT_SECONDS
        self._delivered = 0
        self._rejections: list[Rejection] = []
        self._save_error: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the run has ended and the backend was closed with that status."""
        return self.ended is not None and self.cursor.closed == self.ended

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next commit."""
        return time.monotonic() - self._committed_at > self._step

    @property
    def is_ahead(self) -> bool:
        """Whether records were delivered or rejected since the last commit."""
        return bool(self._delivered or self._rejections)

    @property
    def has_rejections(self) -> bool:
        """Whether any record of the run was rejected."""
        return bool(self.cursor.rejected or self._rejections)

    def check_side_files(self) -> None:
        """Check that the side files are as long as they were at the cursor.

        Raises:
            CheckpointLostError: a file is gone or shorter; only a new delivery restores it.
        """
        for name, size in (self.cursor.side_files or {}).items():
            file = self._side_files.get(name) or self._scratch / name
            is_there = file.size() > 0 if name in _TABLES else file.size() >= size
            if name != "rejected" and not is_there:
                raise CheckpointLostError(f"{file} is not there in full any more")

    def note_start(self) -> None:
        """Note that the backend is being opened."""
        self.cursor.starting_since = time.time()
        self.save()

    def opened(self, adjustments: int) -> None:
        """Save that the backend is open; it has adjusted ``adjustments`` records so far."""
        self._adjusted_before = adjustments
        self.cursor.health = "ok"
        self.cursor.starting_since = None
        self.save()

    def note_cut(self, segments: list[str]) -> bool:
        """Note the segments that end before the cursor; return whether any of them is new."""
        cut = sorted({*self.cursor.cut, *segments})
        is_new = cut != self.cursor.cut
        if is_new:
            self.cursor.cut = cut
            self.save()
        return is_new

    def add(self, delivered: int, rejections: list[Rejection]) -> None:
        """Count the delivered and rejected records of a batch."""
        self._delivered += delivered
        self._rejections += rejections

    def commit(
        self, position: Position, checkpoint: Any, *, adjustments: int, skipped: int
    ) -> None:
        """Move the cursor: the backend has flushed.

        Args:
            position: behind the last record that was delivered or rejected.
            checkpoint: the value that ``flush`` returned.
            adjustments: how many records the backend has adjusted so far.
            skipped: how many of the lines that this delivery has read before ``position`` were no
                records.
        """
        cursor = self.cursor
        if self._rejections:
            self._rejected.parent.mkdir()
            with self._rejected.appending() as file:
                file.writelines(line for one in self._rejections for line in one.lines)
            cursor.last_error = one_line(self._rejections[-1].error)
        if position != cursor.position:
            cursor.moved = time.time()
        cursor.position = position
        cursor.checkpoint = checkpoint
        cursor.side_files = self._sizes()
        cursor.delivered += self._delivered
        cursor.rejected += len(self._rejections)
        cursor.adjusted += adjustments - self._adjusted_before
        cursor.ended = self.ended
        cursor.skipped = self._skipped_before + skipped
        self._delivered, self._rejections = 0, []
        self._adjusted_before = adjustments
        self.save()
        self._committed_at = time.monotonic()
        self._step = min(2 * self._step + _FIRST_STEP_SECONDS, COMMIT_SECONDS)

    def closed(self, status: Status) -> None:
        """Save that the backend was closed with the run's status."""
        self.cursor.closed = status
        self.cursor.side_files = self._sizes()
        self.save()

    def start_over(self) -> None:
        """Move the cursor to the start of the run: the tracker has lost its data."""
        self.cursor = Cursor(link=self.cursor.link, last_error=self.cursor.last_error)
        self.ended = None
        self._skipped_before = 0
        self._delivered, self._rejections = 0, []
        self._rejected.unlink(missing_ok=True)
        self._scratch.remove_tree()
        self.save()

    def note_health(self, health: Health, error: str | None, failures: int) -> None:
        """Save the health of the backend; without an error the last one stays."""
        self.cursor.health, self.cursor.failures = health, failures
        self.cursor.last_error = error or self.cursor.last_error
        self.save()

    def save(self) -> None:
        """Save the cursor. A failure is logged, once for as long as its reason is the same."""
        save_error = None
        try:
            self._file.save(self.cursor)
        except OSError as error:
            save_error = error.strerror or str(error)
            if save_error != self._save_error:
                log.warning("the cursor of %s cannot be saved: %s", self._backend, error)
        self._save_error = save_error

    def _sizes(self) -> dict[str, int]:
        files = {**self._side_files, **{name: self._scratch / name for name in _TABLES}}
        sizes = {name: file.size() for name, file in files.items()}
        return {name: size for name, size in sizes.items() if size}

    def _truncate_side_files(self, sizes: Mapping[str, int]) -> None:
        for name, file in self._side_files.items():
            file.truncate(sizes.get(name, 0))


@contextlib.contextmanager
def rollback_on_error(backend: Backend) -> Iterator[None]:
    """Remove what the backend adds to its side files in this block, if the block raises."""
    scratch = None if backend.scratch is None else InnerPath.of(backend.scratch)
    files = [scratch / name for name in _IN_SCRATCH] if scratch is not None else []
    sizes, adjustments = [file.size() for file in files], backend.adjustments
    with contextlib.ExitStack() as rollback:
        for file, size in zip(files, sizes, strict=True):
            rollback.callback(file.truncate, size)
        rollback.callback(setattr, backend, "adjustments", adjustments)
        yield
        rollback.pop_all()
