"""How fast 5,000 points reach an offline run of W&B, against the SDK called directly.

The direct way is the SDK's own best: all metrics of an iteration in one ``run.log``, with the
iteration as a value, as ``define_metric`` wants it, and the same settings. Both begin with a run
that is open, and end when ``finish`` has returned, so that the file is complete. Delivery reads the
journal, where the points were logged one by one, and makes the rows itself.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import tracelet
from benchmarks.tools import directory, row
from tracelet.backends.registry import resolve
from tracelet.courier.delivery import Delivery
from tracelet.journal.lifecycle import Lifecycle
from tracelet.journal.rundir import RunDir

POINTS = 5_000
ROUNDS = 20
BUDGET = 0.8
"""The part of the SDK's speed that delivery must reach."""
METRICS = ["train/loss", "train/accuracy", "val/loss", "val/accuracy"]


def main() -> dict[str, Any]:
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    with directory() as root:
        run_dir = prepare(root)
        direct: list[float] = []
        delivered: list[float] = []
        for number in range(ROUNDS + 1):  # the first of each warms up, and does not count
            direct.append(log_directly(root / f"direct-{number}"))
            delivered.append(deliver(run_dir, root / f"tracelet-{number}"))
    seconds_directly, seconds = statistics.median(direct[1:]), statistics.median(delivered[1:])
    # Of pairs, one right after the other: what else the machine does disturbs both.
    ratio = statistics.median(by / of for by, of in zip(direct[1:], delivered[1:], strict=True))
    direct_speed, speed = round(POINTS / seconds_directly), round(POINTS / seconds)
    return {
        "points": POINTS,
        "sdk_points_per_second": direct_speed,
        "tracelet_points_per_second": speed,
        "ratio": round(ratio, 2),
        "rows": [
            row("wandb, one log call an iteration, directly", f"{direct_speed:,}/s"),
            row(
                "delivery to W&B, from the journal",
                f"{speed:,}/s, {ratio:.2f} x",
                f">= {BUDGET} x",
                ratio >= BUDGET,
            ),
        ],
    }


def prepare(root: Path) -> RunDir:
    """Log the points to no backend, and return the run."""
    config = {"dir": root / "runs", "capture": False, "system_metrics": False}
    exp = tracelet.start_logging("delivery", backend="null", config=config)
    for index in range(POINTS):
        name = METRICS[index % len(METRICS)]
        exp.log_metric(name, 1 / (index + 1), iteration=index // len(METRICS))
    exp.stop()
    assert exp.dir is not None
    return RunDir(exp.dir)


def deliver(run_dir: RunDir, folder: Path) -> float:
    """Deliver the run from its journal; return the seconds from ``open`` to the end."""
    launch = Lifecycle(run_dir).update().launch
    assert launch is not None
    (run_dir.cursors / "wandb.json").unlink(missing_ok=True)
    found = resolve("wandb")
    backend = found.cls(mode="offline", dir=folder)
    opened = [0.0]
    real_open = backend.open

    def timed_open(run: tracelet.RunInfo) -> tracelet.RunLink:
        link = real_open(run)
        opened[0] = time.perf_counter()
        return link

    setattr(backend, "open", timed_open)  # noqa: B010 - to leave the start of the SDK out
    given = type(found)(found.name, found.cls, None, backend)
    delivery = Delivery(run_dir, given, launch.run, {}, wait=lambda _: True)
    delivery.run()
    seconds = time.perf_counter() - opened[0]
    assert delivery.finished
    assert delivery.cursor.delivered == POINTS, delivery.cursor
    return seconds


def log_directly(folder: Path) -> float:
    """Log the points with the SDK; return the seconds from the open run to the end."""
    import wandb

    settings = wandb.Settings(
        root_dir=str(folder),
        silent=True,
        console="off",
        symlink=False,
        disable_code=True,
        disable_git=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    folder.mkdir()
    run = wandb.init(mode="offline", project="direct", reinit="create_new", settings=settings)
    run.define_metric("iteration", hidden=True)
    run.define_metric("*", step_metric="iteration", step_sync=False)
    start = time.perf_counter()
    for first in range(0, POINTS, len(METRICS)):
        values = {name: 1 / (first + index + 1) for index, name in enumerate(METRICS)}
        run.log({"iteration": first // len(METRICS), **values})
    run.finish(exit_code=0)
    return time.perf_counter() - start


if __name__ == "__main__":
    result = main()
    print(json.dumps(result))
    print(
        f"W&B: {result['tracelet_points_per_second']:,} points/s delivered, "
        f"{result['sdk_points_per_second']:,} directly: {result['ratio']:.2f} x, of {BUDGET}"
    )
