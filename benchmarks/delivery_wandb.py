"""How fast 5,000 points reach an offline run of W&B, against the SDK called directly.

The direct way is the SDK's own best: all metrics of an iteration in one ``run.log``, with the
iteration as a value, as ``define_metric`` wants it, and the same settings. Both begin with a run
that is open, and end when ``finish`` has returned, so that the file is complete. Delivery reads the
journal, where the points were logged one by one, and makes the rows itself.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks.delivering import METRICS, compared, deliver, prepare
from benchmarks.tools import directory

POINTS = 5_000
ROUNDS = 20


def main() -> dict[str, Any]:
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    with directory() as root:
        run_dir = prepare(root, POINTS)
        direct: list[float] = []
        delivered: list[float] = []
        for number in range(ROUNDS + 1):
            direct.append(log_directly(root / f"direct-{number}"))
            options = {"mode": "offline", "dir": str(root / f"tracelet-{number}")}
            delivered.append(deliver(run_dir, "wandb", options, POINTS))
    directly = "wandb, one log call an iteration, directly"
    return compared(POINTS, direct, delivered, directly, "W&B")


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
