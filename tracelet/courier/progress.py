"""How far a delivery has come: what the cursor on disk has, and what was done since it was saved.

What was done counts only once the backend has flushed it. Until then it is kept apart: a delivery
that ends in between begins again where the cursor is, and counts nothing twice.

The same holds for the **side files**, which grow with a delivery. They are cut back to their sizes
at the cursor, here and nowhere else; without that, a batch that comes again after a crash would add
its lines twice. Side files are

- ``rejected/<backend>.jsonl``, the backend's dead-letter file: each record that the backend did not
  take, with the reason;
- in the backend's scratch directory: the log of a backend that has no place for texts, and the
  exact values of what the backend could not hold as given.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.backends.base import Backend
from tracelet.courier.cursor import Cursor, CursorFile, Health
from tracelet.courier.error_texts import one_line
from tracelet.errors import CheckpointLostError
from tracelet.journal.reader import Position
from tracelet.journal.rundir import RunDir
from tracelet.records import Status

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0
"""How often a delivery that makes progress saves its cursor."""
_FIRST_STEP_SECONDS = 0.01
_IN_SCRATCH = ("log.txt", "tracelet/adjusted.jsonl")
"""The side files that the backend itself writes, in its scratch directory."""
_TABLES = ("parameters.json", "properties.json", "tags.json")
"""Files of the scratch directory that are replaced as a whole, and so are never cut back."""


class Rejection(NamedTuple):
    """A record that a backend did not take: its lines for the dead-letter file, and the error."""

    lines: list[bytes]
    error: BaseException


class Progress:
    """The progress of one run in one backend.

    Args:
        run_dir: the run.
        backend: the backend's name.

    Attributes:
        cursor: what is saved.
        ended: the status with which the run ended, by the records so far; None while it goes on.
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
        if self.cursor.side_files is not None or not self.cursor.position:
            self._cut_back(self.cursor.side_files or {})
        self.ended: Status | None = self.cursor.ended
        self._adjusted_before = 0
        self._skipped_before = self.cursor.skipped
        self._committed_at = time.monotonic()
        # A delivery that left the backend open has died, perhaps of what comes next, and this one
        # may die of it, too. With small steps at first, each delivery comes nearer to it.
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
        """Whether something was delivered or rejected that the cursor does not have."""
        return bool(self._delivered or self._rejections)

    @property
    def has_rejections(self) -> bool:
        """Whether any record of the run was rejected."""
        return bool(self.cursor.rejected or self._rejections)

    def check_side_files(self) -> None:
        """Look whether the side files still have what they had at the cursor.

        Raises:
            CheckpointLostError: one is gone or is shorter; only the whole run gives it back.
        """
        for name, size in (self.cursor.side_files or {}).items():
            file = self._side_files.get(name, self._scratch / name)
            is_there = _size(file) > 0 if name in _TABLES else _size(file) >= size
            if name != "rejected" and not is_there:
                raise CheckpointLostError(f"{file} is not there in full any more")

    def opened(self, adjustments: int) -> None:
        """Note that the backend is open, and how many records it has adjusted before."""
        self._adjusted_before = adjustments
        self.cursor.health = "ok"
        self.save()

    def add(self, delivered: int, rejections: list[Rejection]) -> None:
        """Note what became of a batch of records."""
        self._delivered += delivered
        self._rejections += rejections

    def commit(
        self, position: Position, checkpoint: Any, *, adjustments: int, skipped: int
    ) -> None:
        """Move the cursor: the backend has flushed what it was given.

        Args:
            position: behind what was delivered or rejected.
            checkpoint: what the flush returned.
            adjustments: how many records the backend has adjusted.
            skipped: how many lines before ``position``, of those that this delivery has read, were
                no records.
        """
        cursor = self.cursor
        if self._rejections:
            self._rejected.parent.mkdir(exist_ok=True)
            with self._rejected.open("ab") as file:
                file.writelines(line for one in self._rejections for line in one.lines)
            cursor.last_error = one_line(self._rejections[-1].error)
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
        """Note that the backend was closed with the run's status."""
        self.cursor.closed = status
        self.cursor.side_files = self._sizes()
        self.save()

    def start_over(self) -> None:
        """Go back to the start of the run: what the tracker had is not there any more."""
        self.cursor = Cursor(link=self.cursor.link, last_error=self.cursor.last_error)
        self.ended = None
        self._skipped_before = 0
        self._delivered, self._rejections = 0, []
        self._rejected.unlink(missing_ok=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self.save()

    def note_health(self, health: Health, error: str | None, failures: int) -> None:
        """Note how the backend is; without an error the last one stays."""
        self.cursor.health, self.cursor.failures = health, failures
        self.cursor.last_error = error or self.cursor.last_error
        self.save()

    def save(self) -> None:
        """Save the cursor. That this fails is logged once for as long as the reason is the same."""
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
        sizes = {name: _size(file) for name, file in files.items()}
        return {name: size for name, size in sizes.items() if size}

    def _cut_back(self, sizes: Mapping[str, int]) -> None:
        for name, file in self._side_files.items():
            _truncate(file, sizes.get(name, 0))


@contextmanager
def rollback_on_error(backend: Backend) -> Iterator[None]:
    """Take back what the backend adds to its side files in this block, if the block raises."""
    files = [backend.scratch / name for name in _IN_SCRATCH] if backend.scratch is not None else []
    sizes, adjustments = [_size(file) for file in files], backend.adjustments
    try:
        yield
    except BaseException:
        for file, size in zip(files, sizes, strict=True):
            _truncate(file, size)
        backend.adjustments = adjustments
        raise


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except FileNotFoundError:
        return 0


def _truncate(file: Path, size: int) -> None:
    if _size(file) > size:
        os.truncate(file, size)
