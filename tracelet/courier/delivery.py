"""Delivers one run to one backend: read the journal, call the backend, commit the cursor.

Promises:

- The cursor moves behind a record only when the backend has taken it and flushed, or has rejected
  it and it is in ``rejected/<backend>.jsonl``. So a record is delivered at least once.
- The backend gets the records in the order of the journal.
- After a failure that may pass, the call is made again, with backoff, as long as the run lives.
  Memory does not grow, because the records stay in the journal.
- After a failure that will not pass, the batch is split until the one bad record is found.
- The backend is closed with the run's status when everything before its end is delivered. A later
  record opens it again.
- A backend that has lost its data is opened again, and gets the run from the start.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from tracelet.backends.base import Backend
from tracelet.backends.registry import ResolvedBackend
from tracelet.courier.calls import (
    STAGED,
    InvalidReturnError,
    batches,
    call_backend,
    checked_checkpoint,
    checked_link,
    log_run_files,
)
from tracelet.courier.cursor import Cursor
from tracelet.courier.error_texts import full_text, one_line, remember_secrets
from tracelet.courier.exit_status import write_missing_ending
from tracelet.courier.progress import Progress
from tracelet.courier.retrying import (
    BACKEND_ERRORS,
    LINGER_SECONDS,
    Attempts,
    Interrupted,
    backoff,
    deliver_batch,
)
from tracelet.errors import CheckpointLostError
from tracelet.journal.reader import Chunk
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import Finished, Record, RunInfo, Started, Status
from tracelet.settings_fields import START_TIMEOUT

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""How long new records are collected before they are delivered."""


class Delivery:
    """The delivery of one run to one backend.

    Args:
        run_dir: the run.
        found: the backend.
        run: the identity of the run.
        options: the backend's own settings.
        wait: waits some seconds, or less if there may be new records; returns True to end the
            delivery.
        watch: called with the seconds that a call may take when it begins, with None when it has
            returned.
        linger: see :data:`LINGER_SECONDS`.
        start_timeout: the seconds that opening the run may take, and importing the SDK for that.
    """

    def __init__(
        self,
        run_dir: RunDir,
        found: ResolvedBackend,
        run: RunInfo,
        options: dict[str, Any],
        *,
        wait: Callable[[float], bool],
        watch: Callable[[float | None], None] = lambda _: None,
        linger: float = LINGER_SECONDS,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self._run_dir = run_dir
        self._found = found
        self._run = run
        self._options = options
        remember_secrets(options)
        self._wait = wait
        self._linger = linger
        self._start_timeout = start_timeout
        self._losses = 0
        self._losing_since = 0.0
        self._state = RunState(run_dir)
        self._progress = Progress(run_dir, found.name)
        self._attempts = Attempts(
            found.name,
            found.cls.capabilities.time_bound,
            ask_backend=lambda error: (
                None if self._backend is None else self._backend.is_transient(error)
            ),
            wait=wait,
            watch=watch,
            run_is_over=lambda: self._state.update().status != "running",
            report=self._progress.note_health,
            linger=linger,
        )
        self._reader = run_dir.reader()
        self._backend: Backend | None = None
        self._is_open = False
        self._run_files: dict[str, str] = {}

    @property
    def backend(self) -> Backend | None:
        """The backend's object, once it was opened; it stays after the end of the run."""
        return self._backend

    @property
    def cursor(self) -> Cursor:
        """The cursor that was saved last."""
        return self._progress.cursor

    @property
    def finished(self) -> bool:
        """Whether the run has ended and the backend was closed with that status."""
        return self._progress.finished

    def retry_now(self) -> None:
        """Try a failing backend now; called by another thread, which then ends the wait."""
        self._attempts.retry_now()

    def run(self) -> None:
        """Deliver until the run has ended and is closed, or until ``wait`` returns True."""
        try:
            while True:
                self.catch_up()
                if self.finished or self._wait(POLL_SECONDS):
                    return
        except Interrupted:  # perhaps within a batch: the cursor is before it
            return
        finally:
            self._reader.close()

    def catch_up(self) -> None:
        """Deliver the records that the journal has now; close the backend if the run has ended.

        Raises:
            Interrupted: ``wait`` returned True, or the delivery gave up.
        """
        while True:
            try:
                self._deliver_journal()
            except CheckpointLostError as error:
                self._start_over_after(error)
            except InvalidReturnError as error:
                message = one_line(error)
                log.error("%s", message)  # noqa: TRY400 - the message is complete
                self._progress.note_health("gave up", message, 1)
                raise Interrupted from error
            else:
                self._losses = 0
                return

    def _deliver_journal(self) -> None:
        """Read the journal from the cursor on, call the backend with it, and move the cursor.

        The journal of a running run is read once to its present end. New records wait for the next
        call: otherwise the batches of a busy program would become ever smaller.
        """
        progress = self._progress
        backend = None if progress.finished else self._open()
        self._reader.position_time = self.cursor.moved
        while (chunk := self._reader.read(self.cursor.position)) is not None:
            if backend is None:
                backend = self._open()
                continue  # read again: opening it may have moved the cursor to the start
            send = partial(call_backend, backend, self._run_dir)
            done = 0
            for end, batch in batches(chunk.records, backend.capabilities.batch_limit):
                if batch:
                    commit_first = partial(self._try_commit, backend, chunk, done)
                    rejections = deliver_batch(
                        batch, send, self._attempts, before_waiting=commit_first
                    )
                    if rejections and not progress.has_rejections:
                        # Only the first; all of them are in the dead-letter file.
                        reason = full_text(rejections[0].error)
                        log.warning("%s refused a record: %s", self._found.name, reason)
                    progress.add(len(batch) - len(rejections), rejections)
                else:
                    self._note_start_or_end(chunk.records[end - 1])
                done = end
                if progress.is_due:
                    self._commit(backend, chunk, done)
            self._commit(backend, chunk, done)
            if progress.ended is None and not chunk.more:
                break
        if progress.ended is None and not self._run_dir.is_own:
            # Nothing is written into the journal of a run that somebody else has made.
            status = write_missing_ending(self._run_dir, self._state.update())
            progress.ended = None if status == "running" else status
        if progress.note_cut(self._reader.beyond):
            log.warning(
                "%s has had more of the journal than there is now: it was cut in %s",
                self._found.name,
                ", ".join(f"{name}.jsonl" for name in self.cursor.cut),
            )
        if backend is not None and progress.ended is not None:
            self._close(backend, progress.ended)

    def _note_start_or_end(self, record: Record) -> None:
        if isinstance(record, Started):
            self._progress.ended = None
        elif isinstance(record, Finished) and record.status is not None:
            self._progress.ended = record.status

    def _commit(self, backend: Backend, chunk: Chunk | None = None, done: int = 0) -> None:
        """Flush the backend, then move the cursor behind ``done`` records of ``chunk``."""
        self._save(backend, chunk, done, self._attempts.until_it_works(backend.flush))

    def _try_commit(self, backend: Backend, chunk: Chunk, done: int) -> None:
        """Commit if the flush succeeds at once, so that fewer records are delivered twice."""
        if self._progress.is_ahead:
            with contextlib.suppress(*BACKEND_ERRORS):
                self._save(backend, chunk, done, self._attempts.once(backend.flush))

    def _save(self, backend: Backend, chunk: Chunk | None, done: int, checkpoint: Any) -> None:
        position = self.cursor.position
        if chunk is not None:
            position = chunk.advance(position, done)
        self._progress.commit(
            position,
            checked_checkpoint(self._found.name, checkpoint),
            adjustments=backend.adjustments,
            skipped=self._reader.skipped_before(position),
        )

    def _open(self) -> Backend:
        """Return the backend; open it unless it is open."""
        if self._backend is not None and self._is_open:
            return self._backend
        if self._found.cls.capabilities.restart == "replay":
            self._start_over()
        self._progress.note_start()
        self._backend = self._attempts.until_it_works(self._create, limit=self._start_timeout)
        self._is_open = True
        self._progress.opened(self._backend.adjustments)
        return self._backend

    def _create(self) -> Backend:
        backend = self._backend or self._found.create(self._options)
        backend.scratch = (self._run_dir.scratch / self._found.name).checked_path()
        cursor = self.cursor
        run = msgspec.structs.replace(self._run, link=cursor.link, checkpoint=cursor.checkpoint)
        try:
            if cursor.checkpoint is not None:
                self._progress.check_side_files()
            cursor.link = checked_link(self._found.name, backend.open(run))
        except CheckpointLostError as error:
            self._log_start_over(error)
            self._start_over()
            link = backend.open(msgspec.structs.replace(run, checkpoint=None))
            self.cursor.link = checked_link(self._found.name, link)
        self.cursor.closed = None
        return backend

    def _start_over(self) -> None:
        """Move the cursor to the start of the run."""
        self._progress.start_over()
        self._run_files.clear()

    def _start_over_after(self, error: CheckpointLostError) -> None:
        """Wait and start over: the backend has lost its data during the run.

        Raises:
            Interrupted: ``wait`` returned True, or the run has ended and the backend keeps failing.
        """
        self._log_start_over(error)
        now = time.monotonic()
        self._losses += 1
        self._losing_since = self._losing_since if self._losses > 1 else now
        self._is_open = False
        self._start_over()
        self._progress.note_health("ok", one_line(error), self._losses)
        if now - self._losing_since > self._linger and self._state.update().status != "running":
            self._progress.note_health("gave up", one_line(error), self._losses)
            raise Interrupted
        self._attempts.pause(backoff(self._losses))

    def _log_start_over(self, error: CheckpointLostError) -> None:
        log.warning(
            "%s: %s; the run is delivered from the start", self._found.name, one_line(error)
        )

    def _close(self, backend: Backend, status: Status) -> None:
        """Store the files about the run itself in the backend, and close it."""
        self._call_at_end(partial(log_run_files, self._run_dir, backend, self._run_files))
        self._call_at_end(backend.log_leftovers)
        self._commit(backend)
        backend.ended = self._state.update().ended
        self._call_at_end(partial(backend.close, status))
        self._progress.closed(status)
        self._is_open = False
        if not self._run_dir.is_own:
            (self._run_dir.scratch / STAGED).remove_tree()

    def _call_at_end(self, call: Callable[[], None]) -> None:
        """Make one of the last calls. A permanent error is logged, not raised."""
        try:
            self._attempts.until_it_works(call, raise_permanent=True)
        except (Interrupted, CheckpointLostError):
            raise
        except BACKEND_ERRORS as error:
            log.warning("%s failed at the end: %s", self._found.name, full_text(error))
            self._progress.note_health("degraded", one_line(error), 1)
