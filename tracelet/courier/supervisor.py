"""The courier: a process that delivers a run, and outlives the training.

It runs light backends in threads, and each other backend in a worker process. A worker that dies is
started again. A worker whose call takes far longer than its time bound is killed. When the training
process is gone, the courier writes the run's ending, delivers everything, and exits.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
import time
from typing import Any

from tracelet.backends.registry import ResolvedBackend, resolve
from tracelet.courier.cursor import CursorFile
from tracelet.courier.error_texts import one_line, redact_output
from tracelet.courier.exit_status import write_missing_ending
from tracelet.courier.messages import LOCKED, WorkerConfig, read_config, start_process
from tracelet.courier.replaced import remove_replaced
from tracelet.courier.report import is_delivered
from tracelet.courier.system_metrics import SystemMetrics
from tracelet.courier.view import refresh_view, write_view
from tracelet.courier.worker import DeliveryThread, WorkerProcess
from tracelet.errors import TraceletError
from tracelet.journal.run_state import RunStart, RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import segment_ends

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
READING_SECONDS = 2.0
"""How long a reader of the run may hold its lock; another courier holds it longer."""


class Supervisor:
    """Delivers one run to all its backends; the caller holds the run's lock.

    Args:
        run_dir: the run.
        state: the state of the run, up to date.
        config: the options of the backends, and how long to keep trying.
    """

    def __init__(self, run_dir: RunDir, state: RunState, config: WorkerConfig) -> None:
        self._run_dir = run_dir
        self._state = state
        self._config = config
        self._parent_alive = True
        self._deliveries: dict[str, WorkerProcess | DeliveryThread] = {}
        self._delivered_starts: dict[str, int] = {}
        """For each delivery: the run's ``start_count`` when it began."""
        self._view_content: Any = None
        self._retry_request = run_dir.last_retry_request()
        self._seals = run_dir.seals
        self._metrics: SystemMetrics | None = None
        self._measured_starts = 0
        """The run's ``start_count`` when the present system metrics began."""

    def run(self) -> None:
        """Deliver until the run has ended and every backend is done, or the directory is gone."""
        self._start_deliveries()
        over = False
        # A run that is deleted during the delivery may leave some files.
        while self._run_dir.cursors.is_dir() and self._run_dir.journal.is_dir():
            # After the end of the run the training process waits for the courier.
            self._wait_for_message(TICK_SECONDS / 10 if over else TICK_SECONDS)
            self._state.update()
            over = self._is_over()
            self._update_system_metrics(over)
            self._seals.seal(ended=over)
            self._update_view(over)
            self._pass_on_retry_request()
            for delivery in self._deliveries.values():
                if isinstance(delivery, WorkerProcess):
                    delivery.tick(run_is_over=over)
            done = [name for name, delivery in self._deliveries.items() if delivery.done]
            # The run may have been resumed meanwhile.
            starts = self._state.update().start_count
            if any(self._delivered_starts[name] < starts for name in done):
                self._start_deliveries()
            elif over and len(done) == len(self._deliveries):
                remove_replaced(self._run_dir, self._state)
                return

    def _pass_on_retry_request(self) -> None:
        request = self._run_dir.last_retry_request()
        if request != self._retry_request:
            self._retry_request = request
            for delivery in self._deliveries.values():
                delivery.retry_now()

    def has_delivered(self, upto: dict[str, int]) -> bool:
        """Return whether every healthy backend has all records before ``upto``."""
        return all(
            is_delivered(self._run_dir, name, upto)
            for name in self._deliveries
            if CursorFile(self._run_dir.cursors, name).load().health == "ok"
        )

    def _is_over(self) -> bool:
        try:
            return write_missing_ending(self._run_dir, self._state) != "running"
        except OSError as error:  # the disk is full; it is tried again
            log.debug("the ending of the run cannot be written: %s", error)
            return False

    def _update_view(self, over: bool) -> None:
        """Keep ``run.json`` up to date while the run lives."""
        cursors = {
            name: CursorFile(self._run_dir.cursors, name).load() for name in self._deliveries
        }
        links = {name: cursor.link for name, cursor in cursors.items()}
        now = (over, dict(self._state.tags), links)
        if now == self._view_content:
            return
        try:
            if over:
                refresh_view(self._run_dir, self._state)
            else:
                write_view(self._run_dir, self._state, None)
        except OSError as error:  # the disk is full; it is tried again
            log.debug("run.json cannot be written: %s", error)
        else:
            self._view_content = now

    def _update_system_metrics(self, over: bool) -> None:
        """Read system metrics while the run runs, also after it was resumed."""
        start, starts = self._state.start, self._state.start_count
        if self._metrics is not None and (over or self._measured_starts < starts):
            self._metrics.stop()
            self._metrics = None
        interval = self._config.system_metrics
        if interval is None or start is None or over or self._measured_starts == starts:
            return
        self._measured_starts = starts
        self._metrics = SystemMetrics(self._run_dir, start.run.started, start.process, interval)

    def _start_deliveries(self) -> None:
        """Start the delivery to each backend without one; replace one that a resumed run ended."""
        start, starts = self._state.start, self._state.start_count
        assert start is not None
        outdated = {
            name
            for name, delivery in self._deliveries.items()
            if delivery.done and self._delivered_starts[name] < starts
        }
        for found, options in select_backends(self._run_dir, start, self._config):
            name = found.name
            if name in self._deliveries and name not in outdated:
                continue
            self._delivered_starts[name] = starts
            if found.cls.capabilities.lightweight:
                self._deliveries[name] = DeliveryThread(
                    self._run_dir, found, start.run, options, linger=self._config.linger
                )
            else:
                self._deliveries[name] = WorkerProcess(self._run_dir, name, self._config)
        self._delivered_starts.update(dict.fromkeys(outdated, starts))

    def _wait_for_message(self, seconds: float) -> None:
        """Wait for a message of the parent, and wake the deliveries; notice the parent's end."""
        if not self._parent_alive:
            time.sleep(seconds)
        elif select.select([0], [], [], seconds)[0]:
            if os.read(0, 4096):
                for delivery in self._deliveries.values():
                    delivery.wake()
            else:
                self._parent_alive = False


def select_backends(
    run_dir: RunDir, start: RunStart, config: WorkerConfig
) -> list[tuple[ResolvedBackend, dict[str, Any]]]:
    """Return the backends to deliver to, with their options.

    A backend that cannot be loaded is left out; its cursor gets the error.
    """
    chosen = []
    names = start.names if config.only is None else config.only
    for entry in start.backends:
        name, target = entry["name"], entry["target"]
        if target is None or name not in names:
            continue
        try:
            chosen.append((resolve(target), start.options(name, config.options.get(name))))
        except TraceletError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete
            CursorFile(run_dir.cursors, name).note("gave up", one_line(error))
    return chosen


def serve(run_dir: RunDir, config: WorkerConfig) -> int:
    """Deliver a run until everything is delivered; return the exit code of the courier."""
    if not run_dir.cursors.is_dir():
        log.error("%s holds no run", run_dir.path)
        return 2
    if not run_dir.is_written:
        log.error("%s is a run %s, and is not delivered", run_dir.path, run_dir.whose)
        return 2
    lock = run_dir.lock()
    state = RunState(run_dir)
    ends: dict[str, int] = {}
    while True:
        if not lock.acquire():
            log.info("another process reads or delivers %s", run_dir.path)
            if not lock.wait(READING_SECONDS):
                log.info("another courier delivers %s", run_dir.path)
                return LOCKED
        if state.update().start is None:
            log.error("%s holds no run", run_dir.path)
            return 2
        supervisor = Supervisor(run_dir, state, config)
        supervisor.run()
        if not run_dir.cursors.is_dir():
            log.error("%s was deleted; there is nothing to deliver any more", run_dir.path)
            return 2
        try:
            refresh_view(run_dir, state)
        except OSError as error:  # the disk is full; the next reader of the run writes them
            log.warning("the files of the run are not up to date: %s", error)
        seen = state.start_count
        lock.release()
        # Until now another courier has found the lock taken, and has exited: the courier of a
        # resumed run, or of a process that has added a record to the run.
        before, ends = ends, segment_ends(run_dir.journal)
        has_more = ends != before and not supervisor.has_delivered(ends)
        if state.update().start_count == seen and not has_more:
            return 0
        if state.start_count == seen and before:  # not after the first round: the training may wait
            start_process(run_dir, config)
            return 0


def main(run_dir: RunDir) -> int:
    """Run as ``python -m tracelet courier RUN_DIR``."""
    redact_output()
    logging.basicConfig(format="%(asctime)s courier: %(message)s", level=logging.INFO)
    os.nice(5)  # the training comes first
    threading.current_thread().name = "tracelet-courier"
    return serve(run_dir, read_config(sys.stdin.buffer))
