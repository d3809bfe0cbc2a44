"""How fast 5,000 points reach an offline session of ClearML, against the SDK called directly.

The direct way is the SDK's own best: no reporter process, which blocks for seconds, no automatic
connections, ``report_scalar`` in a loop, and a flush that waits for its thread. Both begin with a
task that is open, and end when its points are in the session folder; the archive that the SDK makes
of the folder when it closes the task does not count.
"""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.delivering import METRICS, compared, deliver, prepare
from benchmarks.tools import directory

POINTS = 5_000
ROUNDS = 10


def main() -> dict[str, Any]:
    with directory() as root:
        os.environ.update(CLEARML_CACHE_DIR=str(root), CLEARML_OFFLINE_MODE="1")
        run_dir = prepare(root, POINTS)
        direct: list[float] = []
        delivered: list[float] = []
        for number in range(ROUNDS + 1):
            direct.append(log_directly(number))
            delivered.append(deliver(run_dir, "clearml", {"offline": True}, POINTS))
    directly = "clearml, report_scalar in a loop, directly"
    return compared(POINTS, direct, delivered, directly, "ClearML")


def log_directly(number: int) -> float:
    """Log the points with the SDK; return the seconds from the open task to the last point."""
    from clearml import Task

    Task._report_subprocess_enabled = False
    task = Task.init(
        project_name="direct",
        task_name=f"direct {number}",
        reuse_last_task_id=False,
        auto_connect_arg_parser=False,
        auto_connect_frameworks=False,
        auto_connect_streams=False,
        auto_resource_monitoring=False,
    )
    logger = task.get_logger()
    names = [name.split("/") for name in METRICS]
    start = time.perf_counter()
    for index in range(POINTS):
        title, series = names[index % len(names)]
        logger.report_scalar(title, series, 1 / (index + 1), index // len(names))
    task.flush(wait_for_uploads=True)
    seconds = time.perf_counter() - start
    task.close()
    return seconds
