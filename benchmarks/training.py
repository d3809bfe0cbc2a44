"""How much slower a training loop gets: about 1 ms of work, then ten metrics in one call.

Blocks of iterations come in random order: with logging, without, without once more (what the two
differ by is the noise of the machine), and with a bare ``os.write`` of as many bytes in its place.
Five backends have their courier and workers up, and deliver while a block that logs runs; every
block begins when they have delivered everything.
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
from benchmarks.tools import FIVE, below, directory, percentile, row

ROUNDS = 30
ITERATIONS = 500
NAMES = [f"train/metric_{number}" for number in range(10)]
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
    for _ in range(200):
        began = perf_counter()
        work(10_000)
        took.append(perf_counter() - began)
    return int(10_000 * 0.001 / percentile(took, 0.1))  # as undisturbed as can be


def block(size: int, log: Callable[[float, int], None] | None) -> tuple[list[float], list[float]]:
    """Return the seconds of each iteration of a block, and those of each of its calls."""
    seconds, calls = [], []
    for iteration in range(ITERATIONS):
        began = perf_counter()
        value = work(size)
        if log is not None:
            worked = perf_counter()
            log(value, iteration)
            calls.append(perf_counter() - worked)
        seconds.append(perf_counter() - began)
    return seconds, calls


def main() -> dict[str, Any]:
    size = size_of_a_millisecond()
    seconds: dict[str, list[float]] = {}
    calls: dict[str, list[float]] = {}
    sums: dict[str, list[float]] = {}
    with directory() as path:
        exp = tracelet.start_logging("bench", backend=FIVE, dir=path, courier="process")
        exp.log_metrics(dict.fromkeys(NAMES, 0.0), iteration=0)
        exp.flush(60)
        fd = os.open(path / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        kinds: dict[str, Callable[[float, int], None] | None] = {
            "nothing": None,
            "nothing again": None,
            "write": lambda *_: os.write(fd, LINES) and None,
            "log": lambda value, iteration: exp.log_metrics(
                dict.fromkeys(NAMES, value), iteration=iteration
            ),
        }
        courier = below()
        before = spent(courier)
        for _ in range(ROUNDS):
            for kind in random.sample(list(kinds), len(kinds)):
                took, called = block(size, kinds[kind])
                seconds.setdefault(kind, []).extend(took)
                calls.setdefault(kind, []).extend(called)
                sums.setdefault(kind, []).append(sum(took))
                exp.flush(60)
        processor = 100 * (spent(courier) - before) / sum(sums["log"])
        os.close(fd)
        report = exp.stop()
    assert report.complete, str(report)

    def slower(kind: str, of: Callable[[list[float]], float] = statistics.median) -> float:
        return 100 * (of(seconds[kind]) / of(seconds["nothing"]) - 1)

    iteration = statistics.median(seconds["nothing"])
    call = 100 * statistics.median(calls["log"]) / iteration
    bare = 100 * statistics.median(calls["write"]) / iteration
    whole = {kind: 100 * (statistics.median(sums[kind]) / statistics.median(sums["nothing"]) - 1)
             for kind in kinds}  # fmt: skip
    return {
        "rows": [
            row("an iteration without logging, median", f"{iteration * 1e3:.2f} ms"),
            row("log_metrics of 10, median, part of it", f"{call:.2f} %", "1 %", call <= 1),
            row("… a bare os.write in its place", f"{bare:.2f} %"),
            row("median iteration slower", f"{slower('log'):+.2f} %", "1 %", slower("log") <= 1),
            row("… the same without logging (noise)", f"{slower('nothing again'):+.2f} %"),
            row("… with a bare os.write", f"{slower('write'):+.2f} %"),
            row(f"median of {ROUNDS} whole blocks slower", f"{whole['log']:+.2f} %"),
            row("… the same without logging (noise)", f"{whole['nothing again']:+.2f} %"),
            row("… with a bare os.write", f"{whole['write']:+.2f} %"),
            row("courier and workers, part of a core", f"{processor:.1f} %"),
        ],
        "details": {"blocks": sums, "whole": whole},
    }


def spent(processes: list[psutil.Process]) -> float:
    """Return the processor seconds of the courier and its workers so far."""
    times = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in times)
