"""What the benchmarks of delivery share: a run in a journal, and its delivery to one backend."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tracelet
from benchmarks.tools import row
from tracelet.backends.registry import resolve
from tracelet.courier.delivery import Delivery
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir

BUDGET = 0.8
"""The part of the SDK's own speed that delivery must reach."""
METRICS = ["train/loss", "train/accuracy", "val/loss", "val/accuracy"]


def prepare(root: Path, points: int) -> RunDir:
    """Log points to no backend, and return the run."""
    config = {"dir": root / "runs", "capture": False, "system_metrics": False}
    exp = tracelet.start_logging("delivery", backend="null", config=config)
    for index in range(points):
        name = METRICS[index % len(METRICS)]
        exp.log_metric(name, 1 / (index + 1), iteration=index // len(METRICS))
    exp.stop()
    assert exp.dir is not None
    return RunDir(exp.dir)


def deliver(run_dir: RunDir, backend: str, options: Mapping[str, Any], points: int) -> float:
    """Deliver the run from its journal; return the seconds from the open run to its end."""
    start = RunState(run_dir).update().start
    assert start is not None
    (run_dir.cursors / f"{backend}.json").unlink(missing_ok=True)
    delivery = Delivery(run_dir, resolve(backend), start.run, dict(options), wait=lambda _: True)
    delivery._open()
    start = time.perf_counter()
    delivery.run()
    seconds = time.perf_counter() - start
    assert delivery.finished
    assert delivery.cursor.delivered == points, delivery.cursor
    return seconds


def compared(
    points: int, direct: Sequence[float], delivered: Sequence[float], directly: str, tracker: str
) -> dict[str, Any]:
    """Return the result of a benchmark.

    Args:
        points: how many were logged.
        direct: seconds of each round, with the SDK; the first warms up, and does not count.
        delivered: seconds of each round, from the journal.
        directly: what was done with the SDK.
        tracker: the tracker's name.
    """
    # Of pairs, one right after the other: what else the machine does disturbs both.
    pairs = zip(direct[1:], delivered[1:], strict=True)
    ratio = statistics.median(by / of for by, of in pairs)
    sdk = round(points / statistics.median(direct[1:]))
    ours = round(points / statistics.median(delivered[1:]))
    return {
        "points": points,
        "sdk_points_per_second": sdk,
        "tracelet_points_per_second": ours,
        "ratio": round(ratio, 2),
        "rows": [
            row(directly, f"{sdk:,}/s"),
            row(
                f"delivery to {tracker}, from the journal",
                f"{ours:,}/s, {ratio:.2f} x",
                f">= {BUDGET} x",
                ratio >= BUDGET,
            ),
        ],
    }
