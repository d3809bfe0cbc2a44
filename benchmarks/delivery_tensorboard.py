"""How fast 20,000 points reach TensorBoard's event file, against a loop over its own writer.

The loop is what a careful user writes: one ``EventFileWriter``, with whichever length of its queue
is the fastest, one event a point, closed at the end. It stores float32. Delivery reads the journal,
and stores each value twice, as float32 and exactly.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.delivering import METRICS, compared, deliver, prepare
from benchmarks.tools import directory

POINTS = 20_000
ROUNDS = 5
QUEUES = (10, 10_000)


def main() -> dict[str, Any]:
    with directory() as root:
        run_dir = prepare(root, POINTS)
        by_hand: dict[int, list[float]] = {queue: [] for queue in QUEUES}
        delivered: list[float] = []
        for number in range(ROUNDS + 1):
            for queue in QUEUES:
                by_hand[queue].append(write_by_hand(root / f"hand-{queue}-{number}", queue))
            options = {"log_dir": str(root / f"tracelet-{number}")}
            delivered.append(deliver(run_dir, "tensorboard", options, POINTS))
    quickest = min(by_hand.values(), key=lambda seconds: statistics.median(seconds[1:]))
    directly = "EventFileWriter in a loop, by hand"
    return compared(POINTS, quickest, delivered, directly, "TensorBoard")


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
