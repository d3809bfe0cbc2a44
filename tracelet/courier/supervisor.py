"""The courier: a process that outlives the training and delivers what it logged, whatever happens.

It runs light backends in threads and keeps a worker process for each of the others; a worker that
dies is started again, one whose call goes far past its time bound is ended. When the training
process is gone it writes the run's true ending, waits until everything is delivered, and leaves.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tracelet.backends.registry import ResolvedBackend, resolve
from tracelet.courier.cursor import CursorFile
from tracelet.courier.ending import settle
from tracelet.courier.error_texts import hide_in_output, one_line
from tracelet.courier.messages import LOCKED, Orders, launch, read_orders
from tracelet.courier.report import is_delivered
from tracelet.courier.system_metrics import SystemMetrics
from tracelet.courier.thread import DeliveryThread
from tracelet.courier.view import refresh_view, write_view
from tracelet.courier.worker_process import WorkerProcess
from tracelet.errors import TraceletError
from tracelet.journal.run_state import RunStart, RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import segment_ends

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
READING_SECONDS = 2.0
"""How long the lock may be somebody's who only reads the run; a courier has it for longer."""


class Supervisor:
    """Runs the courier of one run; it holds the run's lock.

    Args:
        run_dir: the run.
        life: its lifecycle, read.
        orders: options, and how long to keep trying.
    """

    def __init__(self, run_dir: RunDir, life: RunState, orders: Orders) -> None:
        self._run_dir = run_dir
        self._life = life
        self._orders = orders
        self._teller_is_there = True
        self._deliveries: dict[str, WorkerProcess | DeliveryThread] = {}
        self._begun_at: dict[str, int] = {}  # which start of the run each delivery began with
        self._shown: Any = None
        self._metrics: SystemMetrics | None = None
        self._measured = 0  # which start of the run that is

    def run(self) -> None:
        """Deliver until the run has ended and every backend is done, or its directory is gone."""
        self._staff()
        over = False
        # Whoever deletes a run while it is delivered may leave a part of it.
        while self._run_dir.cursors.is_dir() and self._run_dir.journal.is_dir():
            # At the end somebody waits for us.
            self._listen(TICK_SECONDS / 10 if over else TICK_SECONDS)
            self._life.update()
            over = self._is_over()
            self._measure(over)
            self._show(over)
            for delivery in self._deliveries.values():
                if isinstance(delivery, WorkerProcess):
                    delivery.tick(run_is_over=over)
            done = [name for name, delivery in self._deliveries.items() if delivery.done]
            # Whoever resumed the run meanwhile wrote that into the journal.
            if any(self._begun_at[name] < self._life.update().start_count for name in done):
                self._staff()
            elif over and len(done) == len(self._deliveries):
                return

    def _is_over(self) -> bool:
        try:
            return settle(self._run_dir, self._life) != "running"
        except OSError as error:  # the disk takes no file more; it is tried again
            log.debug("the ending of the run cannot be written: %s", error)
            return False

    def has_delivered(self, upto: dict[str, int]) -> bool:
        """Return whether every backend that could be reached has what is before ``upto``."""
        return all(
            is_delivered(self._run_dir, name, upto)
            for name in self._deliveries
            if CursorFile(self._run_dir.cursors, name).load().health == "ok"
        )

    def _show(self, over: bool) -> None:
        """Keep ``run.json`` up to date while the run lives."""
        links = {name: CursorFile(self._run_dir.cursors, name).load().link
                 for name in self._deliveries}  # fmt: skip
        now = (over, dict(self._life.tags), links)
        if now == self._shown:
            return
        try:
            if over:
                refresh_view(self._run_dir, self._life)
            else:
                write_view(self._run_dir, self._life, None)
        except OSError as error:  # the disk is full; it is tried again
            log.debug("run.json cannot be written: %s", error)
        else:
            self._shown = now

    def _measure(self, over: bool) -> None:
        """Have system metrics read while the run lives, however often it is resumed."""
        if self._metrics is not None and (over or self._measured < self._life.start_count):
            self._metrics.stop()
            self._metrics = None
        interval, launch = self._orders.system_metrics, self._life.start
        if interval is None or launch is None or over or self._measured == self._life.start_count:
            return
        self._measured = self._life.start_count
        self._metrics = SystemMetrics(self._run_dir, launch.run.started, launch.process, interval)

    def _staff(self) -> None:
        life_launch = self._life.start
        assert life_launch is not None
        starts = self._life.start_count
        behind = {
            name
            for name, delivery in self._deliveries.items()
            if delivery.done and self._begun_at[name] < starts
        }
        for found, options in choose(self._run_dir, life_launch, self._orders):
            if found.name in self._deliveries and found.name not in behind:
                continue
            self._begun_at[found.name] = starts
            if found.cls.capabilities.lightweight:
                self._deliveries[found.name] = DeliveryThread(
                    self._run_dir, found, life_launch.run, options, linger=self._orders.linger
                )
            else:
                self._deliveries[found.name] = WorkerProcess(
                    self._run_dir, found.name, self._orders
                )
        self._begun_at.update(dict.fromkeys(behind, starts))

    def _listen(self, seconds: float) -> None:
        if not self._teller_is_there:
            time.sleep(seconds)
        elif select.select([0], [], [], seconds)[0]:
            if os.read(0, 4096):
                for delivery in self._deliveries.values():
                    delivery.wake()
            else:
                self._teller_is_there = False


def choose(
    run_dir: RunDir, life: RunStart, orders: Orders
) -> list[tuple[ResolvedBackend, dict[str, Any]]]:
    """Return the backends of a run with their options; one that cannot be loaded is left out."""
    chosen = []
    for entry in life.backends:
        name, target = entry["name"], entry["target"]
        if target is None or name not in (life.names if orders.only is None else orders.only):
            continue
        try:
            chosen.append((resolve(target), life.options(name, orders.options.get(name))))
        except TraceletError as error:
            log.error("%s", error)  # noqa: TRY400 - it says all there is to say
            CursorFile(run_dir.cursors, name).note("gave up", one_line(error))
    return chosen


def serve(run_dir: RunDir, orders: Orders) -> int:
    """Be the courier of a run until it is delivered; return the exit code."""
    if not run_dir.cursors.is_dir():
        log.error("%s holds no run", run_dir.path)
        return 2
    lock = run_dir.lock()
    life = RunState(run_dir)
    ends: dict[str, int] = {}
    while True:
        if not lock.acquire():
            log.info("somebody reads or delivers %s", run_dir.path)
            if not lock.wait(READING_SECONDS):
                log.info("another courier delivers %s", run_dir.path)
                return LOCKED
        if life.update().start is None:
            log.error("%s holds no run", run_dir.path)
            return 2
        supervisor = Supervisor(run_dir, life, orders)
        supervisor.run()
        if not run_dir.cursors.is_dir():
            log.error("%s was deleted; there is nothing to deliver any more", run_dir.path)
            return 2
        try:
            refresh_view(run_dir, life)
        except OSError as error:  # the disk is full; whoever reads the run next writes them
            log.warning("the files of the run are not up to date: %s", error)
        seen = life.start_count
        lock.release()
        # The courier of a run that goes on since then has found the lock taken, and has left. So
        # has whoever added a record to the run when its delivery was over.
        before, ends = ends, segment_ends(run_dir.journal)
        late = ends != before and not supervisor.has_delivered(ends)
        if life.update().start_count == seen and not late:
            return 0
        if life.start_count == seen and before:  # the training may wait for us: once more is enough
            launch(run_dir.path, orders, run_dir.courier_log)
            return 0


def main(path: str) -> int:
    """Run as ``python -m tracelet courier RUN_DIR``."""
    hide_in_output()
    logging.basicConfig(format="%(asctime)s courier: %(message)s", level=logging.INFO)
    if hasattr(os, "nice"):
        os.nice(5)  # the training comes first
    threading.current_thread().name = "tracelet-courier"
    return serve(RunDir(Path(path)), read_orders(sys.stdin.buffer))
