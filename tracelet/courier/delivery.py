"""Delivers one run to one backend: read, batch, call, commit. Records are lost here or nowhere.

Promises:

- The cursor moves behind a record only when the backend has taken it and flushed, or has refused
  it and it is in ``rejected/<backend>.jsonl``. So a record is delivered at least once.
- Records go to the backend in the order of the journal.
- A failure that may pass is tried again for as long as the run lives, with backoff; memory does not
  grow meanwhile, because the backlog stays in the journal.
- A failure for what is in a batch splits the batch until the one bad record is found.
- The backend is closed with the run's ending when everything before it is delivered; what comes
  later opens it again.
- A backend that has lost what it was given is opened again, and the run delivered anew.
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
from tracelet.courier.answers import WrongAnswerError, checked_checkpoint, checked_link
from tracelet.courier.attempts import LINGER_SECONDS, Attempts, Failure, Interrupted
from tracelet.courier.batches import Caller, Group, groups
from tracelet.courier.cursor import Cursor
from tracelet.courier.error_texts import full_text, keep_secret, one_line
from tracelet.courier.handover import hand_over
from tracelet.courier.progress import Progress
from tracelet.courier.retry import backoff
from tracelet.courier.run_files import log_run_files
from tracelet.errors import CheckpointLostError
from tracelet.journal.lifecycle import Lifecycle
from tracelet.journal.reader import Chunk
from tracelet.journal.rundir import RunDir
from tracelet.records import Finished, Record, RunInfo, Started, Status

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""How long new records are collected before they are delivered."""


class Delivery:
    """The delivery of one run to one backend.

    Args:
        run_dir: the run.
        found: the backend.
        run: who the run is.
        options: the backend's own settings.
        wait: waits some seconds, or less if there may be news; returns True to end the delivery.
        watch: told the time bound in seconds when a call begins, and None when it has returned.
        linger: see :data:`LINGER_SECONDS`.
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
    ) -> None:
        self._run_dir = run_dir
        self._found = found
        self._run = run
        self._options = options
        keep_secret(options)
        self._wait = wait
        self._linger = linger
        self._losses = 0
        self._losing_since = 0.0
        self._life = Lifecycle(run_dir)
        self._progress = Progress(run_dir, found.name)
        self._attempts = Attempts(
            found.name,
            found.cls.capabilities.time_bound,
            wait=wait,
            watch=watch,
            run_is_over=lambda: self._life.update().status != "running",
            report=self._progress.note_health,
            linger=linger,
            backend=lambda: self._backend,
        )
        self._reader = run_dir.reader()
        self._backend: Backend | None = None
        self._is_open = False
        self._run_files: dict[str, str] = {}
        self._chunk: Chunk | None = None
        self._done = 0  # records of the chunk

    @property
    def backend(self) -> Backend | None:
        """The backend's object, once it was opened; it stays after the end of the run."""
        return self._backend

    @property
    def cursor(self) -> Cursor:
        """The cursor as it was saved last."""
        return self._progress.cursor

    @property
    def finished(self) -> bool:
        """Whether the run has ended and the backend was closed with that ending."""
        return self._progress.finished

    def run(self) -> None:
        """Deliver until the run has ended and is closed, or until ``wait`` says to stop."""
        try:
            while True:
                self.catch_up()
                if self.finished or self._wait(POLL_SECONDS):
                    return
        except Interrupted:  # perhaps in the middle of a group: nothing is committed behind it
            return
        finally:
            self._reader.close()

    def catch_up(self) -> None:
        """Deliver what the journal holds now, and close the backend if the run has ended.

        A run that is being logged is read once to its end as it was: whoever logs without a pause
        would otherwise be followed in ever smaller batches.

        Raises:
            Interrupted: the delivery was asked to stop meanwhile, or gave up.
        """
        while True:
            try:
                self._catch_up()
            except CheckpointLostError as error:
                self._lost(error)
            except WrongAnswerError as error:
                said = one_line(error)
                log.error("%s", said)  # noqa: TRY400 - it says all there is to say
                self._progress.note_health("gave up", said, 1)
                raise Interrupted from error
            else:
                self._losses = 0
                return

    def _catch_up(self) -> None:
        if not self.finished:
            self._open()
        while (chunk := self._reader.read(self.cursor.position)) is not None:
            if not self._is_open:
                self._open()  # and read again: the run may have to be delivered anew
                continue
            self._chunk, self._done = chunk, 0
            for behind, group in groups(chunk.records, self._found.cls.capabilities.batch_limit):
                if group:
                    self._deliver(group)
                else:
                    self._note_life(chunk.records[behind - 1])
                self._done = behind
                if self._progress.is_due:
                    self._commit()
            self._commit()
            self._chunk = None
            if self._progress.ended is None and not chunk.more:
                break  # what came meanwhile is for the next batch, not for many small ones
        ended = self._progress.ended
        if ended is None and self._reader.is_damaged:  # its ending may not be readable
            status = self._life.update().status
            ended = self._progress.ended = None if status == "running" else status
        if ended is not None and not self.finished:
            self._close(ended)

    def _note_life(self, record: Record) -> None:
        if isinstance(record, Started):
            self._progress.ended = None
        elif isinstance(record, Finished) and record.status is not None:
            self._progress.ended = record.status

    def _open(self) -> None:
        if self._is_open:
            return
        if self._found.cls.capabilities.restart == "anew":
            self._start_over()
        backend = self._attempts.until_it_works(self._create)
        self._backend, self._is_open = backend, True
        self._progress.opened(backend.adjustments)

    def _create(self) -> Backend:
        backend = self._backend or self._found.create(self._options)
        backend.scratch = self._run_dir.scratch / self._found.name
        cursor = self.cursor
        run = msgspec.structs.replace(self._run, link=cursor.link, checkpoint=cursor.checkpoint)
        try:
            if cursor.checkpoint is not None:
                self._progress.check_kept()
            cursor.link = checked_link(self._found.name, backend.open(run))
        except CheckpointLostError as error:
            log.warning("%s: %s; the run is delivered anew", self._found.name, one_line(error))
            self._start_over()
            link = backend.open(msgspec.structs.replace(run, checkpoint=None))
            self.cursor.link = checked_link(self._found.name, link)
        self.cursor.closed = None
        return backend

    def _start_over(self) -> None:
        """Deliver the run from its beginning: what the tracker had before is not there any more."""
        self._progress.start_over()
        self._run_files.clear()

    def _lost(self, error: CheckpointLostError) -> None:
        """Begin anew, after a pause: in the middle of the run the backend has lost what it had."""
        said = one_line(error)
        log.warning("%s: %s; the run is delivered anew", self._found.name, said)
        now = time.monotonic()
        self._losses += 1
        self._losing_since = self._losing_since if self._losses > 1 else now
        self._is_open = False
        self._chunk = None
        self._start_over()
        self._progress.note_health("ok", said, self._losses)
        if now - self._losing_since > self._linger and self._life.update().status != "running":
            self._progress.note_health("gave up", said, self._losses)
            raise Interrupted
        self._attempts.pause(backoff(self._losses))

    def _deliver(self, group: Group) -> None:
        assert self._backend is not None
        call = Caller(self._backend, self._run_dir.blobs)
        refused = hand_over(group, call, self._attempts, before_waiting=self._try_commit)
        if refused and not self._progress.has_refusals:
            # Once for a person; all of them are in the file.
            log.warning("%s refused a record: %s", self._found.name, full_text(refused[0].error))
        # Counted only now: a commit in the middle of a group moves the cursor to its beginning.
        self._progress.add(len(group) - len(refused), refused)

    def _close(self, status: Status) -> None:
        backend = self._backend
        assert backend is not None
        self._finish_with(partial(log_run_files, self._run_dir, backend, self._run_files))
        self._finish_with(backend.log_leftovers)
        self._commit()
        backend.ended = self._life.update().ended
        self._finish_with(partial(backend.close, status))
        self._progress.closed(status)
        self._is_open = False

    def _finish_with(self, call: Callable[[], None]) -> None:
        """Make one of the last calls; one that no later try can cure must not hold up the end."""
        try:
            self._attempts.until_it_works(call, blame=True)
        except (Interrupted, CheckpointLostError):
            raise
        except Failure as error:
            log.warning("%s failed at the end: %s", self._found.name, full_text(error))
            self._progress.note_health("degraded", one_line(error), 1)

    def _commit(self) -> None:
        """Flush the backend, then move the cursor behind what it was given."""
        if self._is_open and self._backend is not None:
            self._advance(self._attempts.until_it_works(self._backend.flush))

    def _try_commit(self) -> None:
        """Commit if that works at once: what was taken need not be delivered twice."""
        if self._is_open and self._backend and self._progress.is_ahead:
            with contextlib.suppress(*Failure):
                self._advance(self._attempts.once(self._backend.flush))

    def _advance(self, checkpoint: Any) -> None:
        backend = self._backend
        assert backend is not None
        position = self.cursor.position
        if self._chunk is not None:
            position = self._chunk.advance(position, self._done)
        self._progress.commit(
            position,
            checked_checkpoint(self._found.name, checkpoint),
            adjustments=backend.adjustments,
            skipped=self._reader.skipped_before(position),
        )
