"""The journal of one process in one run, and the delivery of that run: from start to report.

Every started run gets an ending, and has one courier at a time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tracelet.backends.base import Backend
from tracelet.backends.registry import ResolvedBackend
from tracelet.courier.client import ProcessCourier, ThreadCourier, needs_thread
from tracelet.courier.cursor import CursorFile
from tracelet.courier.exit_status import remove_exit_file, reserve_exit_file, save_to_exit_file
from tracelet.courier.replaced import remove_replaced
from tracelet.courier.report import DeliveryReport, is_delivered, make_report
from tracelet.courier.system_metrics import SystemMetrics
from tracelet.courier.view import write_view
from tracelet.errors import UnknownBackendError, nearest, warn
from tracelet.journal import membership
from tracelet.journal.process import this_process
from tracelet.journal.run_state import RunStart, RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import segment_ends
from tracelet.journal.writer import JournalWriter
from tracelet.records import Finished, RunInfo, RunLink, Started, Status
from tracelet.settings_fields import START_TIMEOUT

log = logging.getLogger(__name__)

_PAUSES = (0.002, 0.05)
"""Shortest and longest pause between two reads of the cursors, in seconds."""
_LONGEST_WAIT = 3600.0
"""Seconds of one wait for the courier: the system has no infinite wait."""


class RunDelivery:
    """A process's part of a run: its journal and, in the process that began the run, the delivery.

    Args:
        run_dir: the run; its directories exist.
        run: the identity of the run.
        backends: the backends with their options; empty in a child process, which only writes its
            journal.
        courier: the setting: ``auto``, ``process`` or ``thread``.
        stored_options: the options of each backend without secrets, for the journal.
        system_metrics: the seconds between two readings of system metrics; None: no readings.
        start_timeout: the seconds that a backend may take to start.
    """

    def __init__(
        self,
        run_dir: RunDir,
        run: RunInfo,
        backends: Sequence[tuple[ResolvedBackend, dict[str, Any]]] = (),
        *,
        courier: str = "auto",
        stored_options: dict[str, dict[str, Any]] | None = None,
        system_metrics: float | None = None,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self.run_dir = run_dir
        self.run = run
        self.writer: JournalWriter = run_dir.writer()
        self.owner = bool(backends)
        self.names = [found.name for found, _ in backends]
        self._pid = os.getpid()
        self._membership: membership.Membership | None = None
        self._member = 0
        self._began = 0.0
        self._end_position: dict[str, int] = {}
        self._warned: set[str] = set()
        self._sealed = True
        self._courier: ProcessCourier | ThreadCourier | None = None
        self._metrics: SystemMetrics | None = None
        if self.owner:
            with contextlib.ExitStack() as on_error:
                on_error.callback(self.writer.close)
                self._begin(
                    list(backends), courier, stored_options or {}, system_metrics, start_timeout
                )
                on_error.pop_all()

    def _begin(
        self,
        backends: list[tuple[ResolvedBackend, dict[str, Any]]],
        courier: str,
        stored_options: dict[str, dict[str, Any]],
        system_metrics: float | None,
        start_timeout: float,
    ) -> None:
        found = [one for one, _ in backends]
        reason = needs_thread(found, courier)
        light = all(one.cls.capabilities.lightweight for one in found)
        if reason is not None and (courier == "process" or (courier == "auto" and not light)):
            warn(
                "this run is delivered by threads of this process, not by a courier that "
                f"outlives it: {reason}"
            )
        run_start = RunStart(
            run=self.run,
            process=this_process(),
            backends=[
                {
                    "name": one.name,
                    "target": one.target,
                    "options": stored_options.get(one.name, {}),
                }
                for one in found
            ],
        )
        reserve_exit_file(self.run_dir)
        membership.begin(self.run_dir.membership)
        state = RunState(self.run_dir).update()
        self._began = state.now()
        self.writer.append(Started(self._began, msgspec.to_builtins(run_start)))
        write_view(self.run_dir, state.update(), None)
        if reason is not None:
            self._courier = ThreadCourier(self.run_dir, self.run, backends)
            if system_metrics is not None:
                self._metrics = SystemMetrics(
                    self.run_dir, self.run.started, run_start.process, system_metrics, self.writer
                )
        else:
            options = {one.name: options for one, options in backends}
            self._courier = ProcessCourier(
                self.run_dir,
                options,
                system_metrics=system_metrics,
                start_timeout=start_timeout,
            )
        self._courier.ensure()

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that made this object, and not a fork of it."""
        return os.getpid() == self._pid

    @property
    def is_joined(self) -> bool:
        """Whether another process began the run, and ends it."""
        return not (self.owner and self.is_ours)

    def join(self) -> membership.Membership:
        """Return what tells a process that has joined the run whether the run goes on."""
        if self._membership is None or self._member != os.getpid():
            self._membership = membership.Membership(self.run_dir.membership)
            self._member = os.getpid()
        return self._membership

    def end_membership(self, status: Status) -> None:
        """Have no other process add to the run: it ends."""
        if not self.is_joined:
            membership.end(self.run_dir.membership, status)

    @property
    def delivers_here(self) -> bool:
        """Whether threads of this process deliver the run."""
        return isinstance(self._courier, ThreadCourier)

    def links(self) -> dict[str, RunLink]:
        """Return the run's link in each backend that has opened it."""
        cursors = {name: CursorFile(self.run_dir.cursors, name).load() for name in self.names}
        return {name: cursor.link for name, cursor in cursors.items() if cursor.link is not None}

    def backend(self, name: str) -> Backend | None:
        """Return the live object of a backend; None if the courier is another process.

        Raises:
            UnknownBackendError: the run has no backend of that name.
        """
        names = [entry["name"] for entry in self._run_start().backends]
        if name not in names:
            raise UnknownBackendError(
                str(name), f"the run has no backend {name!r}{nearest(str(name), names)}"
            )
        return self._courier.backend(name) if self._courier is not None else None

    def flush(self, timeout: float) -> bool:
        """Sync the journal and wait until every healthy backend has all records so far.

        A warning names a backend that is not healthy and lacks records, once until it has them.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether every healthy backend has all records.
        """
        self.writer.sync()
        upto = self.writer.position()
        try:
            names = self.names or self._run_start().names
            complete = self._wait_for(names, upto, timeout)
            for name in names:
                if is_delivered(self.run_dir, name, upto):
                    self._warned.discard(name)
                elif (
                    name not in self._warned
                    and (health := self._unhealthy_reason(name)) is not None
                ):
                    self._warned.add(name)
                    log.warning("the backend %s lacks records, and flush() does not wait for it: "
                                "%s", name, health)  # fmt: skip
        except OSError as error:  # this process's limit of files is reached
            warn(f"flush() cannot read what the backends have: {error}")
            return False
        return complete

    def _wait_for(self, names: list[str], upto: dict[str, int], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        pause = _PAUSES[0]
        if self._courier is not None and self.is_ours:
            self._courier.wake()
        while True:
            if self._courier is not None and self.is_ours:
                self._courier.ensure()
            names = [name for name in names if not self._needs_no_wait(name, upto)]
            if not names or time.monotonic() > deadline:
                return not names
            time.sleep(pause)
            pause = min(pause * 1.5, _PAUSES[1])

    def _needs_no_wait(self, name: str, upto: dict[str, int]) -> bool:
        return is_delivered(self.run_dir, name, upto) or self._unhealthy_reason(name) is not None

    def _unhealthy_reason(self, name: str) -> str | None:
        """Return why ``flush`` does not wait for a backend; None if it is healthy."""
        cursor = CursorFile(self.run_dir.cursors, name).load()
        if cursor.health not in ("degraded", "hung", "broken", "gave up"):
            return None
        return f"{cursor.health} ({cursor.last_error}); its records wait in the journal"

    def _run_start(self) -> RunStart:
        run_start = RunState(self.run_dir).update().start
        assert run_start is not None
        return run_start

    def end(self, status: Status | None, reason: str | None, *, redacted: int = 0) -> None:
        """Write the ending and close the journal.

        Args:
            status: how the run has ended; None: it depends on the exit code of this process.
            reason: why the run has ended, unless it was stopped.
            redacted: how many values had secrets.
        """
        lost = self.writer.lost
        if self.owner and self.is_ours:
            if self._metrics is not None:
                self._metrics.stop()
            # With the lock, the time of the ending is after all records of other processes.
            with self.run_dir.ending_lock():
                # A clock may have been set back: the ending must be later than the start.
                now = max(time.time(), self._began)
                ending = Finished(now, status, reason, lost, redacted)
                self.writer.append(ending)
                if self.writer.lost != lost:  # the disk is full
                    ending = msgspec.structs.replace(ending, lost=self.writer.lost)
                    save_to_exit_file(self.run_dir, ending)
                elif status is not None:
                    remove_exit_file(self.run_dir)
        self._end_position = self.writer.position()
        self.writer.close()
        if self._membership is not None and self._member == os.getpid():
            self._membership.close()
        self._sealed = self.writer.lost == lost
        if self._courier is not None and self.is_ours and self.run_dir.path.exists():
            self._courier.ensure(at_once=True)  # it may have been killed
            self._courier.wake()

    def drain(self, timeout: float, on_progress: Callable[[float], None] | None = None) -> bool:
        """Wait until everything is delivered; return whether it is.

        Args:
            timeout: seconds to wait at most.
            on_progress: called about every 0.25 s with the part that is delivered, 0 to 1.
        """
        if self._courier is None or not self.is_ours:
            return True
        if self.writer.gone or not self.run_dir.path.exists():  # deleted, or moved
            return False
        if not self._sealed:  # the disk is full: the journal has no ending
            return self._wait_for(self.names, self._end_position, timeout)
        deadline = time.monotonic() + timeout
        while True:
            self._courier.ensure()
            left = deadline - time.monotonic()
            if self._courier.wait(max(0.0, min(left, 0.25 if on_progress else _LONGEST_WAIT))):
                return True
            if time.monotonic() >= deadline:
                return False
            if on_progress is not None:
                on_progress(self._delivered_part())

    def release(self, *, redacted: int = 0) -> DeliveryReport:
        """Let the courier run alone, write ``run.json``, and return the report.

        Args:
            redacted: how many values had secrets.
        """
        left_running = False
        if self._courier is not None and self.is_ours:
            process = self._courier if isinstance(self._courier, ProcessCourier) else None
            left_running = process is not None and process.exit_code is None
            self._courier.release()
        state = RunState(self.run_dir).update()
        # Backends of earlier starts, and those added since, may lack records, too.
        names = [entry["name"] for entry in state.start.backends] if state.start else self.names
        report = make_report(
            self.run_dir,
            names if self.owner else [],
            lost=max(self.writer.lost, state.lost),
            redacted=max(redacted, state.redacted),
        )
        # A running courier writes run.json at its end; this process must not overwrite that.
        if self.owner and self.is_ours and not left_running and self.run_dir.path.exists():
            try:
                if state.status != "running":
                    self._seal(state)
                write_view(self.run_dir, state, report)
            except OSError as error:  # the disk is full; the next reader of the run writes it
                log.warning("the files of %s are not up to date: %s", self.run_dir.path, error)
        return report

    def _seal(self, state: RunState) -> None:
        """Seal what the courier has not sealed: it may have ended before the journal was closed."""
        lock = self.run_dir.lock()
        try:
            if lock.acquire():
                remove_replaced(self.run_dir, state)
                self.run_dir.seals.seal(ended=True)
        finally:
            lock.release()

    def _delivered_part(self) -> float:
        """Return the part of the journal that every backend has, 0 to 1."""
        total = sum(segment_ends(self.run_dir.journal).values())
        cursors = [CursorFile(self.run_dir.cursors, name).load() for name in self.names]
        done = min(sum(at for at, _ in cursor.position.values()) for cursor in cursors)
        return min(1.0, done / total) if total else 1.0
