"""The memory of the courier and its workers while two million points wait for two bad trackers.

One tracker is down, one takes 2 ms a point. The backlog stays in the journal.
"""

from __future__ import annotations

import time
from typing import Any

import psutil

import tracelet
from benchmarks.tools import below, directory, end_below, resident, row

POINTS = 2_000_000
WATCHED_SECONDS = 20.0
NAMES = [f"train/metric_{number}" for number in range(10)]
BACKENDS = ["benchmarks.backends:Down", "benchmarks.backends:Slow"]
BUDGET = 300
FLAT = 40


def memory() -> dict[str, float]:
    """Return the MiB of the courier and of each worker."""
    found = {}
    for process in below():
        try:
            command = process.cmdline()
            found[command[-1] if "--backend" in command else "courier"] = resident(process)
        except psutil.NoSuchProcess:
            continue
    return found


def log(exp: tracelet.Experiment, points: int) -> None:
    """Log so many points."""
    for iteration in range(points // 10):
        exp.log_metrics(dict.fromkeys(NAMES, 0.5 + iteration), iteration=iteration)


def main() -> dict[str, Any]:
    with directory() as path:
        exp = tracelet.start_logging("bench", backend=BACKENDS, dir=path, courier="process")
        log(exp, 20_000)
        time.sleep(3)  # both have read the first of it
        before = memory()
        own = resident()
        log(exp, POINTS)
        own = resident() - own
        samples = []
        deadline = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < deadline:
            samples.append(memory())
            time.sleep(0.5)
        pending = {name: one.pending for name, one in exp.stop(wait=False).items()}
        end_below()
    rows = [row(f"waiting for {name}", f"{count:,} points") for name, count in pending.items()]
    for name, first in before.items():
        highest = max(sample.get(name, 0.0) for sample in samples)
        last = samples[-1].get(name, 0.0)
        shown = f"{first:.0f}, {highest:.0f}, {last:.0f} MiB"
        rows += [
            row(f"{name}: before, highest, last", shown, f"{BUDGET} MiB", highest <= BUDGET),
            row("… grows by", f"{highest - first:.0f} MiB", f"flat ({FLAT})",
                highest - first <= FLAT),
        ]  # fmt: skip
    rows.append(row("the training process grows by", f"{own:.0f} MiB", "flat (20)", own <= 20))
    return {"rows": rows, "details": {"before": before, "samples": samples, "pending": pending}}
