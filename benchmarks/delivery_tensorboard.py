"""How fast 20,000 points reach TensorBoard's event file, against a loop over its own writer.

The loop is what a careful user writes: one ``EventFileWriter``, with whichever length of its queue
is the fastest, one event a point, closed at the end. It stores float32. Delivery reads the journal,
and stores each value twice, as float32 and exactly.
"""

from __future__ import annotations

import json
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

POINTS = 20_000
ROUNDS = 5
BUDGET = 0.8
"""The part of the loop's speed that delivery must reach."""
METRICS = ["train/loss", "train/accuracy", "val/loss", "val/accuracy"]
QUEUES = (10, 10_000)


def main() -> dict[str, Any]:
    with directory() as root:
        run_dir = prepare(root)
        by_hand: dict[int, list[float]] = {queue: [] for queue in QUEUES}
        delivered: list[float] = []
        for number in range(ROUNDS + 1):  # the first of each warms up, and does not count
            for queue in QUEUES:
                by_hand[queue].append(write_by_hand(root / f"hand-{queue}-{number}", queue))
            delivered.append(deliver(run_dir, root / f"tracelet-{number}"))
    seconds_by_hand = min(statistics.median(seconds[1:]) for seconds in by_hand.values())
    seconds = statistics.median(delivered[1:])
    ratio = seconds_by_hand / seconds
    by_hand_speed, speed = round(POINTS / seconds_by_hand), round(POINTS / seconds)
    return {
        "points": POINTS,
        "by_hand_points_per_second": by_hand_speed,
        "tracelet_points_per_second": speed,
        "ratio": round(ratio, 2),
        "rows": [
            row("EventFileWriter in a loop, by hand", f"{by_hand_speed:,}/s"),
            row(
                "delivery to TensorBoard, from the journal",
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


def deliver(run_dir: RunDir, log_dir: Path) -> float:
    """Deliver the run from its journal; return the seconds that took."""
    launch = Lifecycle(run_dir).update().launch
    assert launch is not None
    (run_dir.cursors / "tensorboard.json").unlink(missing_ok=True)
    delivery = Delivery(
        run_dir,
        resolve("tensorboard"),
        launch.run,
        {"log_dir": str(log_dir)},
        wait=lambda _: True,
    )
    start = time.perf_counter()
    delivery.run()
    seconds = time.perf_counter() - start
    assert delivery.finished
    assert delivery.cursor.delivered == POINTS, delivery.cursor
    return seconds


def write_by_hand(log_dir: Path, queue: int) -> float:
    """Write the points with the package's own writer; return the seconds that took."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    start = time.perf_counter()
    writer = EventFileWriter(str(log_dir), max_queue_size=queue)
    for index in range(POINTS):
        name = METRICS[index % len(METRICS)]
        value = Summary.Value(tag=name, simple_value=1 / (index + 1))
        writer.add_event(
            Event(
                wall_time=time.time(),
                step=index // len(METRICS),
                summary=Summary(value=[value]),
            )
        )
    writer.close()
    return time.perf_counter() - start


if __name__ == "__main__":
    result = main()
    print(json.dumps(result))
    print(
        f"TensorBoard: {result['tracelet_points_per_second']:,} points/s delivered, "
        f"{result['by_hand_points_per_second']:,} by hand: {result['ratio']:.2f} x, of {BUDGET}"
    )
