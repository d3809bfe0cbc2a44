"""A run that is logged without a pause is delivered in batches, not point by point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import tracelet
from tracelet.backends.base import Capabilities
from tracelet.backends.null import NullBackend
from tracelet.backends.registry import resolve
from tracelet.courier.delivery import Delivery
from tracelet.errors import TransientError
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import MetricPoint, RunInfo, RunLink


class Feeding(NullBackend):
    """Logs ten more points whenever it is given some, as a training that goes on does."""

    name: ClassVar[str] = "feeding"
    capabilities: ClassVar[Capabilities] = Capabilities.everything(lightweight=True)

    def __init__(self, exp: tracelet.Experiment) -> None:
        super().__init__()
        self.exp = exp
        self.batches: list[int] = []

    def log_metrics(self, batch: Any) -> None:
        self.batches.append(len(batch))
        if self.exp.is_running and len(self.batches) < 50:
            for iteration in range(10):
                self.exp.log_metric("more", 1.0, iteration=iteration)


class Halved(NullBackend):
    """Keeps what was flushed, refuses the point 5 and, at first, cannot take those behind it."""

    name: ClassVar[str] = "halved"
    capabilities: ClassVar[Capabilities] = Capabilities.everything(lightweight=True)

    def __init__(self) -> None:
        super().__init__()
        self.is_busy = True
        self.kept: list[int] = []

    def open(self, run: RunInfo) -> RunLink:
        del self.kept[run.checkpoint or 0 :]
        return super().open(run)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        iterations = [point.iteration for point in batch]
        if 5 in iterations:
            raise ValueError(iterations)
        if self.is_busy and iterations[-1] > 5:
            raise TransientError("busy")
        self.kept += iterations

    def flush(self) -> int:
        return len(self.kept)


def test_a_batch_that_was_left_in_its_middle_comes_again_as_a_whole(tmp_path):
    exp = tracelet.start_logging("halved", backend="null", dir=tmp_path, courier="thread")
    exp.log_params(lr=0.1)  # not committed yet when the batch is begun
    for iteration in range(10):
        exp.log_metric("loss", 0.5, iteration=iteration)
    exp.stop()
    run_dir = RunDir(exp.dir)
    start = RunState(run_dir).update().start
    backend = Halved()
    for is_busy in (True, False):
        backend.is_busy = is_busy
        Delivery(run_dir, resolve(backend), start.run, {}, wait=lambda _: True).run()
    assert backend.kept == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_what_is_logged_during_a_delivery_waits_for_the_next_batch(tmp_path):
    exp = tracelet.start_logging("batches", backend="null", dir=tmp_path, courier="thread")
    run_dir = RunDir(exp.dir)
    start = RunState(run_dir).update().start
    backend = Feeding(exp)
    for iteration in range(100):
        exp.log_metric("loss", 0.5, iteration=iteration)
    delivery = Delivery(run_dir, resolve(backend), start.run, {}, wait=lambda _: True)
    delivery.catch_up()
    assert backend.batches == [100]
    delivery.catch_up()
    assert backend.batches == [100, 10]
    exp.stop()
    delivery.run()
    assert backend.batches == [100, 10, 10]
    assert delivery.finished
    assert delivery.cursor.delivered == 120


def test_a_backlog_of_many_chunks_is_delivered_in_one_go(tmp_path):
    exp = tracelet.start_logging("backlog", backend="null", dir=tmp_path, courier="thread")
    run_dir = RunDir(exp.dir)
    start = RunState(run_dir).update().start
    for iteration in range(60_000):
        exp.log_metrics({"loss": 0.5, "accuracy": 0.25, "rate": 1e-3}, iteration=iteration)
    assert sum(file.stat().st_size for file in run_dir.journal.path.iterdir()) > 4 * 1024 * 1024
    backend = Feeding(exp)
    delivery = Delivery(run_dir, resolve(backend), start.run, {}, wait=lambda _: True)
    delivery.catch_up()
    assert delivery.cursor.delivered >= 180_000
    exp.stop()
    delivery.run()
    assert delivery.finished
    assert delivery.cursor.delivered == sum(backend.batches)
