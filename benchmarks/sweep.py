"""What a sweep costs: describing 10**12 configurations, making 100,000, running one more.

What ``run`` adds is taken from the difference of two sweeps with one worker, so that the start of
the worker does not count; the training does nothing, and the backend is the local one.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.tools import directory, median_seconds, percentile, row
from tracelet import DynamicValue, Sweep

MANY = 60
ROUNDS = 7


def nothing(number: int) -> int:
    return number


def peak(call: Callable[[], Any]) -> float:
    """Return the memory that a call takes on the way, in MB."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def described() -> Sweep:
    sweep = Sweep()
    for number in range(12):
        sweep = sweep.product(**{f"x{number}": range(10)})
    return sweep


def seconds_to_run(count: int, name: str, path: Path) -> float:
    began = time.perf_counter()
    Sweep().product(number=range(count)).run(nothing, name=name, dir=path, max_workers=1)
    return time.perf_counter() - began


def main() -> dict[str, Any]:
    rows = []
    with directory() as path:
        huge = described()
        calls: dict[str, Callable[[], Any]] = {
            "len": lambda: len(huge),
            "sweep[i]": lambda: huge[123_456_789_012],
            "sample(10)": lambda: huge.sample(10, seed=1),
            "save, JSON": lambda: huge.save(path / "sweep.json"),
            "save, YAML": lambda: huge.save(path / "sweep.yaml"),
        }
        for name, call in calls.items():
            call()  # imports what it needs
            ms, mb = median_seconds(call, ROUNDS) * 1000, peak(call)
            met = ms <= 10 and mb <= 1
            rows.append(row(f"10**12 configurations: {name}", f"{ms:.3f} ms, {mb:.2f} MB",
                            "10 ms, 1 MB", met))  # fmt: skip
        grids = {
            "5 axes": Sweep() * {f"x{number}": list(range(10)) for number in range(5)},
            "17 axes": (Sweep() * {f"x{number}": [0, 1] for number in range(17)})[:100_000],
            "5 choices in one dict": Sweep(
                configs=[{"net": {f"x{number}": DynamicValue(range(10)) for number in range(5)}}]
            ),
        }
        for name, sweep in grids.items():
            took = median_seconds(lambda sweep=sweep: list(sweep), ROUNDS)
            rows.append(
                row(f"100,000 configurations: {name}", f"{took:.2f} s", "0.5 s", took <= 0.5)
            )
        pairs = [
            (seconds_to_run(MANY + 1, f"many{n}", path) - seconds_to_run(1, f"one{n}", path)) / MANY
            for n in range(3)
        ]
        added = percentile(pairs, 0.5) * 1000
        rows.append(row("run, local backend, one more", f"{added:.0f} ms", "50 ms", added <= 50))
    return {"rows": rows}
