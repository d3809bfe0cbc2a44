"""What a call costs the thread that makes it, beside a bare ``os.write`` of the same bytes.

Both are timed in the same loop, one after the other, so that whatever else the machine does happens
to both. The cost of reading the clock is measured there too, and taken off.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import tracelet
from benchmarks.tools import FIVE, directory, end_below, percentile, row

CALLS = 20_000
ROUNDS = 5
CASES: list[tuple[str, list[str], str]] = [
    ("local, thread", ["local"], "thread"),
    ("local + null, thread", ["local", "null"], "thread"),
    ("five, thread", FIVE, "thread"),
    ("local, process", ["local"], "process"),
    ("five, process", FIVE, "process"),
]
TEN = [f"train/metric_{number}" for number in range(10)]


def last_write(exp: tracelet.Experiment, lines: int) -> bytes:
    """Return the bytes of the latest call in the journal."""
    assert exp.dir is not None
    (segment,) = (exp.dir / "journal").glob("*.jsonl")
    return b"".join(segment.read_bytes().splitlines(keepends=True)[-lines:])


def measure(exp: tracelet.Experiment, file: Path, *, ten: bool) -> dict[str, Any]:
    """Time calls and writes; nanoseconds."""
    log_metric, log_metrics, write = exp.log_metric, exp.log_metrics, os.write
    values = dict.fromkeys(TEN, 0.0)
    for name in TEN if ten else TEN[:1]:
        exp.log_metric(name, 0.1234567890123, iteration=123_456)
    line = last_write(exp, len(TEN) if ten else 1)
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC)
    calls, writes, clocks = [], [], []
    try:
        for iteration in range(100_000, 100_000 + CALLS):
            value = 1.0 / iteration
            if ten:
                values = dict.fromkeys(TEN, value)
                began = perf_counter_ns()
                log_metrics(values, iteration=iteration)
            else:
                began = perf_counter_ns()
                log_metric("train/metric_0", value, iteration=iteration)
            called = perf_counter_ns()
            write(fd, line)
            written = perf_counter_ns()
            clocks.append(perf_counter_ns() - written)
            calls.append(called - began)
            writes.append(written - called)
    finally:
        os.close(fd)
    clock = statistics.median(clocks)
    return {
        "p50": statistics.median(calls) - clock,
        "p99": percentile(calls, 0.99) - clock,
        "write_p50": statistics.median(writes) - clock,
        "write_p99": percentile(writes, 0.99) - clock,
    }


def measured(backends: list[str], courier: str, *, ten: bool) -> dict[str, float]:
    """Measure in several runs; the median of each figure, in microseconds."""
    found = []
    for _ in range(ROUNDS):
        with directory() as path:
            exp = tracelet.start_logging("bench", backend=backends, dir=path, courier=courier)
            exp.flush(30)
            found.append(measure(exp, path / "bare", ten=ten))
            exp.stop(wait=False)
            end_below()
    return {key: statistics.median(one[key] for one in found) / 1000 for key in found[0]}


def main() -> dict[str, Any]:
    rows, details = [], {}
    for ten in (False, True):
        call = "log_metrics of 10" if ten else "log_metric"
        for case, backends, courier in CASES:
            us = details[f"{call}, {case}"] = measured(backends, courier, ten=ten)
            ratio = us["p50"] / us["write_p50"]
            shown = f"{us['p50']:.2f} µs"
            if ten:
                rows.append(row(f"{call}, {case}: p50", shown, "10 µs", us["p50"] <= 10))
            else:
                rows.append(row(f"{call}, {case}: p50", shown, "2 µs", us["p50"] <= 2))
                rows.append(row("… / bare os.write", f"{ratio:.2f} x", "2 x", ratio <= 2))
            bare = f"p99; bare os.write {us['write_p50']:.2f}, p99 {us['write_p99']:.1f} µs"
            rows.append(row(f"… {bare}", f"{us['p99']:.1f} µs"))
    return {"rows": rows, "details": details}
