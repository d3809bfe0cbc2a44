"""How far a delivery has come: what the cursor on disk has, and what was done since it was saved.

What was done counts only once the backend has flushed it. Until then it is kept apart, so that a
delivery that ends in between begins again where the cursor is, and counts nothing twice.
"""

from __future__ import annotations

import logging
import shutil
import time
from typing import Any

from tracelet.courier.cursor import Cursor, CursorFile, Health
from tracelet.courier.error_texts import one_line
from tracelet.courier.handover import Refusal
from tracelet.courier.kept import Kept
from tracelet.journal.reader import Position
from tracelet.journal.rundir import RunDir
from tracelet.records import Status

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0
_FIRST_STEP_SECONDS = 0.01


class Progress:
    """The progress of one run in one backend.

    Args:
        run_dir: the run.
        backend: the backend's name.

    Attributes:
        cursor: what is saved.
        ended: the ending of the run that was found last; None while it goes on behind that.
    """

    def __init__(self, run_dir: RunDir, backend: str) -> None:
        self._backend = backend
        self._file = CursorFile(run_dir.cursors, backend)
        self._scratch = run_dir.scratch / backend
        self._kept = Kept(run_dir, backend)
        self.cursor = self._file.load()
        if self.cursor.kept is not None or not self.cursor.position:
            self._kept.cut_back(self.cursor.kept or {})  # what is beyond comes again
        self.ended: Status | None = self.cursor.ended
        self._adjusted_before = 0
        self._skipped_before = self.cursor.skipped
        self._committed_at = time.monotonic()
        # Whoever left it open has died, perhaps of what comes next, and the next one may, too: with
        # small steps first, it comes nearer each time.
        was_left_open = self.cursor.health != "starting" and self.cursor.closed is None
        self._step = 0.0 if was_left_open else COMMIT_SECONDS
        self._delivered = 0
        self._refused: list[Refusal] = []
        self._unsaved: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the run has ended and the backend was closed with that ending."""
        return self.ended is not None and self.cursor.closed == self.ended

    @property
    def is_due(self) -> bool:
        """Whether the last commit was a while ago."""
        return time.monotonic() - self._committed_at > self._step

    @property
    def is_ahead(self) -> bool:
        """Whether something was delivered or refused that the cursor does not have."""
        return bool(self._delivered or self._refused)

    @property
    def has_refusals(self) -> bool:
        """Whether any record of the run was refused."""
        return bool(self.cursor.rejected or self._refused)

    def check_kept(self) -> None:
        """Look whether what the backend keeps beside the run is still there.

        Raises:
            CheckpointLostError: some of it is not; only the whole run gives it back.
        """
        self._kept.check(self.cursor.kept or {})

    def opened(self, adjustments: int) -> None:
        """Note that the backend is open, and how many records it has adjusted before."""
        self._adjusted_before = adjustments
        self.cursor.health = "ok"
        self.save()

    def add(self, delivered: int, refused: list[Refusal]) -> None:
        """Note what became of a group of records."""
        self._delivered += delivered
        self._refused += refused

    def commit(
        self, position: Position, checkpoint: Any, *, adjustments: int, skipped: int
    ) -> None:
        """Move the cursor: the backend has flushed what it was given.

        Args:
            position: behind what was delivered or refused.
            checkpoint: what the flush returned.
            adjustments: how many records the backend has adjusted.
            skipped: lines before that which were no records, of those this delivery has read.
        """
        cursor = self.cursor
        if self._refused:
            self._kept.rejected.parent.mkdir(exist_ok=True)
            with self._kept.rejected.open("ab") as file:
                file.writelines(line for refusal in self._refused for line in refusal.lines)
            cursor.last_error = one_line(self._refused[-1].error)
        cursor.position = position
        cursor.checkpoint = checkpoint
        cursor.kept = self._kept.sizes()
        cursor.delivered += self._delivered
        cursor.rejected += len(self._refused)
        cursor.adjusted += adjustments - self._adjusted_before
        cursor.ended = self.ended
        cursor.skipped = self._skipped_before + skipped
        self._delivered, self._refused = 0, []
        self._adjusted_before = adjustments
        self.save()
        self._committed_at = time.monotonic()
        self._step = min(2 * self._step + _FIRST_STEP_SECONDS, COMMIT_SECONDS)

    def closed(self, status: Status) -> None:
        """Note that the backend was closed with an ending."""
        self.cursor.closed = status
        self.cursor.kept = self._kept.sizes()
        self.save()

    def start_over(self) -> None:
        """Begin anew: what the tracker had before is not there any more."""
        self.cursor = Cursor(link=self.cursor.link, last_error=self.cursor.last_error)
        self.ended = None
        self._skipped_before = 0
        self._delivered, self._refused = 0, []
        self._kept.rejected.unlink(missing_ok=True)
        # What was kept beside the run is made anew, too; else its lines would be there twice.
        shutil.rmtree(self._scratch, ignore_errors=True)
        self.save()

    def note_health(self, health: Health, error: str | None, failures: int) -> None:
        """Note how the backend is; without an error the last one stays."""
        self.cursor.health, self.cursor.failures = health, failures
        self.cursor.last_error = error or self.cursor.last_error
        self.save()

    def save(self) -> None:
        """Save the cursor; a full disk is logged, once for as long as it lasts."""
        unsaved = None
        try:
            self._file.save(self.cursor)
        except OSError as error:
            unsaved = error.strerror or str(error)  # not None, whatever it says
            if unsaved != self._unsaved:
                log.warning("the cursor of %s cannot be saved: %s", self._backend, error)
        self._unsaved = unsaved
