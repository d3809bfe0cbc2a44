"""How much slower a training loop gets: about 1 ms of work, then ten metrics in one call.

Short blocks of iterations come in random order: with logging, without, without once more (what the
two differ by is the noise of the machine), and with a bare ``os.write`` of as many bytes in its
place. A machine's speed drifts by several percent within seconds: the shorter the blocks, the less
of that is taken for the cost of one of them. Every iteration has its metrics in a mapping, whether
they are logged or not.

Five backends have their courier and workers up, and deliver all the while, during blocks that do
not log, too: what they take from other cores is in a row of its own.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import psutil

import tracelet
from benchmarks.tools import FIVE, below, directory, row

ROUNDS = 300
ITERATIONS = 50
NAMES = [f"train/metric_{number}" for number in range(10)]
Metrics = dict[str, float]
LINES = b'["metric",1763707200.2512345,"train/metric_0",1499.5,100,"iteration"]\n' * 10


def work(size: int) -> float:
    """Be the training: pure Python, so that nothing of it is hidden from the interpreter's lock."""
    total = 0.0
    for number in range(size):
        total += number * 0.5 % 3.0
    return total


def size_of_a_millisecond() -> int:
    """Return the size of about 1 ms of work here."""
    took = []
    for _ in range(1000):
        began = perf_counter()
        work(10_000)
        took.append(perf_counter() - began)
    return int(10_000 * 0.001 / statistics.median(took))


def nothing(_metrics: Metrics, _iteration: int) -> None:
    """Log nothing."""


def block(size: int, log: Callable[[Metrics, int], Any]) -> tuple[list[float], list[float]]:
    """Return the seconds of each iteration of a block, and those of each of its calls."""
    seconds, calls = [], []
    for iteration in range(ITERATIONS):
        began = perf_counter()
        metrics = dict.fromkeys(NAMES, work(size))
        worked = perf_counter()
        log(metrics, iteration)
        done = perf_counter()
        calls.append(done - worked)
        seconds.append(done - began)
    return seconds, calls


def main() -> dict[str, Any]:
    size = size_of_a_millisecond()
    seconds: dict[str, list[float]] = {}
    calls: dict[str, list[float]] = {}
    with directory() as path:
        exp = tracelet.start_logging("bench", backend=FIVE, dir=path, courier="process")
        exp.log_metrics(dict.fromkeys(NAMES, 0.0), iteration=0)
        exp.flush(60)
        fd = os.open(path / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        kinds: dict[str, Callable[[Metrics, int], Any]] = {
            "nothing": nothing,
            "nothing again": nothing,
            "write": lambda *_: os.write(fd, LINES),
            "log": lambda metrics, iteration: exp.log_metrics(metrics, iteration=iteration),
        }
        courier = below()
        before = spent(courier)
        for _ in range(ROUNDS):
            for kind in random.sample(list(kinds), len(kinds)):
                took, called = block(size, kinds[kind])
                seconds.setdefault(kind, []).extend(took)
                calls.setdefault(kind, []).extend(called)
        exp.flush(60)
        processor = 100 * (spent(courier) - before) / sum(seconds["log"])
        os.close(fd)
        report = exp.stop()
    assert report.complete, str(report)

    def more(kind: str, of: Callable[[list[float]], float]) -> float:
        return 100 * (of(seconds[kind]) / of(seconds["nothing"]) - 1)

    iteration = statistics.median(seconds["nothing"])
    part = {kind: 100 * statistics.median(calls[kind]) / iteration for kind in kinds}
    slower = {kind: more(kind, statistics.median) for kind in kinds}
    mean = {kind: more(kind, statistics.fmean) for kind in kinds}
    return {
        "rows": [
            row("an iteration without logging, median", f"{iteration * 1e3:.2f} ms"),
            row("log_metrics of 10, median, part of it", f"{part['log']:.2f} %", "1 %",
                part["log"] <= 1),
            row("… a bare os.write in its place", f"{part['write']:.2f} %"),
            row("median iteration slower", f"{slower['log']:+.2f} %", "1 %", slower["log"] <= 1),
            row("… the same without logging (noise)", f"{slower['nothing again']:+.2f} %"),
            row("… with a bare os.write", f"{slower['write']:+.2f} %"),
            row("mean iteration slower", f"{mean['log']:+.2f} %"),
            row("… the same without logging (noise)", f"{mean['nothing again']:+.2f} %"),
            row("… with a bare os.write", f"{mean['write']:+.2f} %"),
            row("courier and workers, part of a core", f"{processor:.1f} %"),
        ],
        "details": {"slower": slower, "mean": mean, "part": part},
    }  # fmt: skip


def spent(processes: list[psutil.Process]) -> float:
    """Return the processor seconds of the courier and its workers so far."""
    times = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in times)
