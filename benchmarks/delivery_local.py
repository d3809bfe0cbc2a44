"""How fast 200,000 points reach the files of ``local``, against a loop that writes them by hand.

The loop makes the same line of JSON for each point, with the same encoder, and writes it to a
buffered file: without a journal and without a cursor.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.delivering import METRICS, compared, deliver, prepare
from benchmarks.tools import directory, row

POINTS = 200_000
ROUNDS = 5
BUDGET = 200_000
"""Points in a second: there is no SDK whose speed could be the measure."""


def main() -> dict[str, Any]:
    with directory() as root:
        run_dir = prepare(root, POINTS)
        by_hand: list[float] = []
        delivered: list[float] = []
        for number in range(ROUNDS + 1):
            by_hand.append(write_by_hand(root / f"{number}.jsonl"))
            delivered.append(deliver(run_dir, "local", {}, POINTS))
    found = compared(POINTS, by_hand, delivered, "a loop of write(), by hand", "local files")
    speed, ratio = found["tracelet_points_per_second"], found["ratio"]
    found["rows"][1] = row(
        "delivery to local files, from the journal",
        f"{speed:,}/s, {ratio:.2f} x",
        f">= {BUDGET:,}/s",
        speed >= BUDGET,
    )
    return found


def write_by_hand(file: Path) -> float:
    """Write the points in a loop; return the seconds that took."""
    encode = msgspec.json.Encoder().encode
    start = time.perf_counter()
    with file.open("wb") as lines:
        for index in range(POINTS):
            point = {
                "name": METRICS[index % len(METRICS)],
                "value": 1 / (index + 1),
                "iteration": index // len(METRICS),
                "axis": "iteration",
                "time": time.time(),
            }
            lines.write(encode(point) + b"\n")
    return time.perf_counter() - start
