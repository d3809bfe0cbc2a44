"""One process's part of one run: its status, its journal, its capture, its end.

No call is accepted after the end, and no run ends twice.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import time as clock
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from tracelet.core.connect import Connections
from tracelet.errors import DeliveryError, JournalError, NotRunningError, TraceletWarning
from tracelet.plugin_hooks import notify_plugins
from tracelet.records import AnyRecord, RunInfo, RunLink, Status, Tags
from tracelet.redaction import Redactor
from tracelet.settings import Settings
from tracelet.values.scalars import seconds_value

if TYPE_CHECKING:  # start-up time: these bring the courier's side
    from tracelet.backends.base import Backend
    from tracelet.capture.session import CaptureSession
    from tracelet.core.departure import Departure
    from tracelet.core.exit import Left
    from tracelet.courier.report import DeliveryReport
    from tracelet.courier.run_delivery import RunDelivery
    from tracelet.journal.blobs import BlobStore

_stopping = threading.RLock()
_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


class Session:
    """The part of an experiment that exists once for each start of its run.

    - Calls are accepted while ``status`` is ``running``.
    - ``append`` writes complete lines to the journal; its arguments are those of
      ``JournalWriter.append_lines``. It raises unless the run is running. In a session that only
      checks arguments it does nothing.
    - Without a delivery nothing is written: before the start, in a rank above 0, and for a run
      that was stopped in another process.

    Args:
        name: the name of the experiment, for messages.
        settings: the settings of the run.
        redactor: hides the run's secrets.
        connections: the connected objects.
        status: the status of the run; None: it was not started.
        run: the identity of the run; None before the start.
        report: the delivery report of a run that was stopped in another process.
        delivery: this process's journal of the run and, if the run began here, its delivery.
        capture: the automatic capture, if the run began here.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        redactor: Redactor,
        connections: Connections,
        *,
        status: Status | None = None,
        run: RunInfo | None = None,
        report: DeliveryReport | None = None,
        delivery: RunDelivery | None = None,
        capture: CaptureSession | None = None,
    ) -> None:
        self.status = status
        self.run = run
        self.report = report
        self.connections = connections
        self.append: Any = self._refuse
        self._membership = delivery.join() if delivery is not None and delivery.is_joined else None
        self._ended_by_owner = False
        self._before_log: dict[int, list[Callable[[], None]]] = {}
        self._departure: Departure | None = None
        self._left: Left | None = None
        self._name = name
        self._settings = settings
        self._redactor = redactor
        self._delivery = delivery
        self._capture = capture
        if status == "running":
            self._accept_calls()
        _sessions.add(self)

    def __repr__(self) -> str:
        return f"<Session of {self._name!r} {self.status} in {self.dir}>"

    @property
    def is_running(self) -> bool:
        """Whether calls are accepted."""
        return self.status == "running" and not self._has_left()

    @property
    def owns_run(self) -> bool:
        """Whether this process began the run; its child processes only add to it."""
        return self._delivery is not None and self._delivery.owner and self._delivery.is_ours

    @property
    def dir(self) -> Path | None:
        """The run's directory; None before the start, and for a rank that writes nothing."""
        if self._delivery is not None:
            return self._delivery.run_dir.path
        if self.run is None or self.is_running:
            return None
        return Path(self.run.dir)

    @property
    def blobs(self) -> BlobStore | None:
        """The run's blobs; None if nothing is written."""
        return self._delivery.run_dir.blobs if self._delivery is not None else None

    def check_running(self) -> None:
        """Raise NotRunningError unless calls are accepted."""
        if not self.is_running:
            self._refuse()

    def write(self, record: AnyRecord) -> None:
        """Journal a record, if this process writes.

        Raises:
            NotRunningError: the run is not running.
        """
        self._prepare_write()
        if self._delivery is not None:
            self._delivery.writer.append(record)

    def call_before_log(self, function: Callable[[], None]) -> None:
        """Call a function once, before the calling thread logs something to the run."""
        if self._delivery is not None and self.is_running:
            functions = self._before_log.setdefault(threading.get_ident(), [])
            if function not in functions:
                functions.append(function)
            self._accept_calls()

    def _accept_calls(self) -> None:
        """Choose how lines are appended: without any test, unless there is something to test."""
        if self._delivery is None:
            self.append = _ignore
        elif self._before_log or self._membership is not None:
            self.append = self._append_with_care
        else:
            self.append = self._delivery.writer.append_lines

    def _append_with_care(self, lines: bytes, count: int, now: float) -> None:
        if self._before_log or self._membership is None or not self._membership.goes_on():
            self._prepare_write()
        assert self._delivery is not None
        self._delivery.writer.append_lines(lines, count, now)

    def _prepare_write(self) -> None:
        self.check_running()
        if self._before_log:
            functions = self._before_log.pop(threading.get_ident(), [])
            self._accept_calls()
            for function in functions:
                function()

    def write_about(self, path: str, content: bytes) -> None:
        """Write a file about the run itself, if this process writes."""
        if self._delivery is not None:
            self._delivery.run_dir.put_about(path, content)

    @contextlib.contextmanager
    def counting_losses(self) -> Iterator[None]:
        """Count a record that cannot be written, as the journal does, in place of an error."""
        try:
            yield
        except JournalError as error:
            if self._delivery is None:
                raise
            self._delivery.writer.failed(error)

    def links(self) -> dict[str, RunLink]:
        """Return the run's link in each backend that has opened it."""
        return self._delivery.links() if self._delivery is not None else {}

    def backend(self, name: str) -> Backend | None:
        """Return a backend's live object; see :meth:`Experiment.backend`."""
        if self.status is None:
            self._refuse()
        return self._delivery.backend(name) if self._delivery is not None else None

    def read_records(self) -> Iterator[AnyRecord]:
        """Yield all records that the run has now; none if nothing is written."""
        if self._delivery is not None:
            with contextlib.closing(self._delivery.run_dir.reader()) as reader:
                yield from reader.records()

    def flush(self, timeout: float) -> bool:
        """Read the connected objects, sync, and wait; see :meth:`Experiment.flush`."""
        self.check_running()
        with self.connections.read_again():
            seconds = seconds_value("flush: timeout", timeout)
            return self._delivery is None or self._delivery.flush(seconds)

    # -- the end ------------------------------------------------------------------------------

    def _has_left(self) -> bool:
        """Return whether the process that began the run has ended it; if so, leave the run."""
        if self._membership is None or self._membership.goes_on():
            return False
        self.status, self._ended_by_owner = self._membership.status(), True
        self.append, self._membership = self._refuse, None
        assert self._delivery is not None
        self._delivery.end(self.status, None)
        return True

    def after_fork(self) -> None:
        """Test from now on whether the run goes on: this process is a child of its owner."""
        if self.status == "running" and self._delivery is not None:
            self._membership = self._delivery.join()
            self._accept_calls()

    def watch(self, frame: FrameType | None) -> None:
        """Notice from now on whether an exception leaves the function that has started the run.

        If the thread logs something after that, it has gone on with the run: the exception does not
        count.

        Args:
            frame: the frame of that function.
        """
        from tracelet.core.departure import Departure  # start-up time

        self._departure = Departure(frame, self.note_left)

    def note_left(self, left: Left) -> None:
        """Note how an exception has left the run, unless one has before; it may go on."""
        if self._left is None and self.is_running:
            self._left = left
            self.call_before_log(self._stay)

    def _stay(self) -> None:
        self._left = None

    def left(self) -> Left | None:
        """Return how an exception has left the run, as far as that is known; None: none has."""
        if self._left is not None or self._departure is None:
            return self._left
        return self._departure.left(self._redactor)

    def merge_held(self) -> None:
        """Record what capture holds for the next run: none has started before this one ends."""
        if self._capture is not None:
            self._capture.merge_held()

    def close(self, status: Status) -> None:
        """Stop capture, and accept no more calls: the run has ended.

        Raises:
            NotRunningError: another call, maybe of another thread, has closed the session.
        """
        with _stopping:
            self.check_running()
            if self._capture is not None:
                self._capture.stop()
            self.append = self._refuse
            self.status = status
            if self._delivery is not None:
                self._delivery.end_membership(status)

    def finish(
        self,
        reason: str | None,
        *,
        timeout: float,
        wait: bool = True,
        may_raise: bool = True,
        show: bool = True,
    ) -> DeliveryReport:
        """Write the ending of a closed run, and wait for its backends; see :meth:`Experiment.end`.

        Raises:
            DeliveryError: with ``strict=True``, something was not delivered.
        """
        # Start-up time: the courier's side.
        from tracelet.core import report_output
        from tracelet.courier.report import DeliveryReport

        delivery, status = self._delivery, self.status
        if delivery is None:
            self.report = DeliveryReport()
            return self.report
        try:
            delivery.end(status, reason, redacted=self._redactor.count)
            if wait:
                report_output.wait(delivery, timeout)
        finally:  # also after Ctrl-C
            self.report = delivery.release(redacted=self._redactor.count)
        self._redactor.count = 0
        if self.owns_run:
            if show or not self.report.complete:
                report_output.show(self.report, courier_continues=not delivery.delivers_here)
            assert self.run is not None
            assert status is not None
            notify_plugins("tracelet_run_finished", run=self.run, status=status)
            if self._capture is not None:
                self._capture.warn_failures()
            if (
                self._settings.strict
                and may_raise
                and wait
                and not _is_complete(self.report, delivery.names)
            ):
                raise DeliveryError(f"not everything was delivered as given:\n{self.report}")
        return self.report

    def end_at_exit(self, timeout: float | None = None) -> DeliveryReport:
        """End the run at the exit of the program; the exit code may decide its status later.

        Args:
            timeout: seconds to wait for the delivery; None: do not wait for a courier process, and
                wait ``drain_timeout`` for threads of this process.

        Returns:
            The report; an empty one if this process does not own the run.
        """
        # Start-up time: the courier's side.
        from tracelet.core import report_output
        from tracelet.core.exit import Left, uncaught_exception
        from tracelet.courier.exit_status import record_exit_code
        from tracelet.courier.report import DeliveryReport

        delivery = self._delivery
        if delivery is None or not delivery.is_ours:
            return DeliveryReport()
        self.connections.read_at_exit()
        if not delivery.owner:
            return DeliveryReport()
        if self._capture is not None:
            self._capture.merge_held(report_output.say)
        error = uncaught_exception()
        left = self.left() if error is None else Left.by(error, self._redactor)
        status, reason = (left.status, left.reason) if left is not None else ("finished", None)
        if left is not None and left.tags:
            self.write(Tags(clock(), dict(left.tags)))
        if self._capture is not None:
            self._capture.stop()
        if delivery.delivers_here or timeout is not None:
            delivery.flush(self._settings.drain_timeout if timeout is None else timeout)
        is_exact = left is not None or not record_exit_code(delivery.run_dir)
        self.append = self._refuse
        self.status = status
        delivery.end(status if is_exact else None, reason, redacted=self._redactor.count)
        if delivery.delivers_here and is_exact:
            delivery.drain(self._settings.drain_timeout)
        self.report = delivery.release(redacted=self._redactor.count)
        if self._capture is not None:
            with contextlib.suppress(TraceletWarning):
                self._capture.warn_failures()
        return self.report

    def _refuse(self, *_: Any) -> NoReturn:
        if self._ended_by_owner and self.run is not None:
            raise NotRunningError(
                f"the run {self.run.run_id}, which this process has joined, was ended "
                f"({self.status}) by the process that began it: get_active_experiment() gives the "
                f"run that it has now, start_logging() joins or begins one, and "
                f"tracelet.load_run({self.run.dir!r}) adds to the ended one"
            )
        state = "was stopped" if self.status is not None else "is not started"
        raise NotRunningError(
            f"the experiment {self._name!r} {state}; start_logging() begins a new run, "
            f"start() goes on with this one"
        )


def _is_complete(report: DeliveryReport, names: Iterable[str]) -> bool:
    """Return whether these backends have every record, and the ending."""
    several = [report[name] for name in names]
    return not report.lost and all(
        one.complete and one.closed and one.health == "ok" for one in several
    )


def _ignore(*_: Any) -> None:
    """Write nothing, in a session that only checks arguments."""


def _after_fork() -> None:
    """In a forked child replace the lock: a thread of the parent may have held it."""
    global _stopping  # noqa: PLW0603
    _stopping = threading.RLock()
    for session in list(_sessions):
        session.after_fork()


os.register_at_fork(after_in_child=_after_fork)
