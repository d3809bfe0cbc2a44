"""One million points: logged, delivered to local files, and read into a DataFrame.

The baselines do the same by hand, without any promise: one JSON line a point in one file, written
by a loop, and read by pandas.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

import tracelet
from benchmarks.tools import directory, median_seconds, resident, row

POINTS = 1_000_000
NAMES = [f"train/metric_{number}" for number in range(10)]
ROUNDS = 3
_random = random.Random(1)
VALUES = [_random.random() for _ in range(9973)]


def value(iteration: int, number: int) -> float:
    """Return a float with many digits, as losses have."""
    return VALUES[(iteration * 7 + number) % len(VALUES)] * (1 + iteration % 89)


def by_hand(file: Path) -> float:
    """Write the points in a loop; return the seconds."""
    encode = msgspec.json.Encoder().encode
    began = time.perf_counter()
    with file.open("wb") as lines:
        for iteration in range(POINTS // 10):
            now = time.time()
            for number, name in enumerate(NAMES):
                point = {
                    "name": name,
                    "value": value(iteration, number),
                    "iteration": iteration,
                    "axis": "iteration",
                    "time": now,
                }
                lines.write(encode(point) + b"\n")
    return time.perf_counter() - began


def log_all(path: Path, courier: str) -> tuple[Path, dict[str, float]]:
    """Log the points; return the run's directory, seconds, and MiB of this process."""
    exp = tracelet.start_logging("million", backend="local", dir=path, courier=courier)
    memory = []
    began = time.perf_counter()
    for iteration in range(POINTS // 10):
        exp.log_metrics(
            {name: value(iteration, number) for number, name in enumerate(NAMES)},
            iteration=iteration,
        )
        if iteration % 5000 == 0:
            memory.append(resident())
    logged = time.perf_counter()
    report = exp.stop(timeout=300)
    stopped = time.perf_counter()
    assert report.complete, str(report)
    assert exp.dir is not None
    # Flat: the second half needs no more than the first, whatever delivery here needs at all.
    half = len(memory) // 2
    return exp.dir, {
        "log": logged - began,
        "delivered": stopped - began,
        "growth": max(memory[half:]) - max(memory[:half]),
        "taken": max(memory) - memory[0],
        "resident": max(memory),
    }


def read(run: Path) -> None:
    """Read a run back."""
    frame = tracelet.load_run(run).to_dataframe()
    assert len(frame) == POINTS, len(frame)


def main() -> dict[str, Any]:
    rows = []
    details: dict[str, Any] = {}
    with directory() as path:
        hands = [by_hand(path / "hand.jsonl") for _ in range(ROUNDS)]
        hand, best_hand = statistics.median(hands), min(hands)
        rows.append(row("a loop of write() by hand", f"{POINTS / hand:,.0f}/s"))
        run = path
        for courier in ("process", "thread"):
            found = []
            for _ in range(ROUNDS):
                run, one = log_all(path, courier)
                found.append(one)
            mid = {key: statistics.median(one[key] for one in found) for key in found[0]}
            details[courier] = mid
            rate = POINTS / mid["delivered"]
            quickest = POINTS / min(one["delivered"] for one in found)
            rows += [
                row(f"{courier} courier: logged", f"{POINTS / mid['log']:,.0f}/s"),
                row("… from the first call to the end of stop()", f"{rate:,.0f}/s",
                    "200,000/s", rate >= 200_000),
                row(f"… the quickest of {ROUNDS}, beside the loop",
                    f"{quickest:,.0f}/s, {quickest * best_hand / POINTS:.2f} x"),
                row("… training process grows, in all", f"{mid['taken']:.0f} MiB"),
                row("… and in the second half", f"{mid['growth']:.1f} MiB", "flat (5)",
                    mid["growth"] <= 5),
            ]  # fmt: skip
        times = [median_seconds(lambda: read(run), 1) for _ in range(7)]
        frame = statistics.median(times)
        cpu = median_seconds(lambda: read(run), 3, time.process_time)
        pandas = median_seconds(lambda: pd.read_json(path / "hand.jsonl", lines=True), 3)
        rows += [
            row("load_run(...).to_dataframe()", f"{frame:.2f} s", "1 s", frame <= 1),
            row("… processor time; the quickest", f"{cpu:.2f}; {min(times):.2f} s"),
            row("pandas.read_json of the file by hand", f"{pandas:.2f} s"),
        ]
        details |= {
            "to_dataframe": frame,
            "to_dataframe_cpu": cpu,
            "read_json": pandas,
            "by_hand": hand,
        }
    return {"rows": rows, "details": details}
