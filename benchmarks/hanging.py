"""What a W&B that never answers costs the training and the other trackers: it must be nothing.

The same run is logged with it and without it, in turn: the calls are timed, and how long it takes
until the files of ``local`` and of TensorBoard have everything.
"""

from __future__ import annotations

import os
import select
import socket
import statistics
import time
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import tracelet
from benchmarks.tools import directory, end_below, row
from tracelet.courier.cursor import CursorFile

POINTS = 20_000
ROUNDS = 8
OTHERS = ["local", "tensorboard"]
BUDGET = 1.1
"""Nothing, but for what two measurements of the same differ by."""
START_SECONDS = 60.0


def main() -> dict[str, Any]:
    calls: dict[bool, list[float]] = {True: [], False: []}
    delivered: dict[bool, list[float]] = {True: [], False: []}
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connections
        os.environ |= {
            "WANDB_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "WANDB_API_KEY": "0" * 40,
            "WANDB_INIT_TIMEOUT": "600",
            "WANDB_MODE": "online",
        }
        for _ in range(ROUNDS + 1):  # the first warms up, and does not count
            for hanging in (True, False):
                with directory() as path:
                    call, delivery = measure(path, silent if hanging else None)
                calls[hanging].append(call)
                delivered[hanging].append(delivery)
    return {
        "rows": [
            *compared("log_metric, p50", calls, "µs"),
            *compared(f"{POINTS:,} points in local and TensorBoard", delivered, "s"),
        ],
        "details": {"calls": calls[True], "delivered": delivered[True]},
    }


def measure(path: Path, silent: socket.socket | None) -> tuple[float, float]:
    """Log a run; return the median call in microseconds, and the seconds until all is delivered."""
    exp = tracelet.start_logging(
        "hanging",
        backend=[*OTHERS, *(["wandb"] if silent is not None else [])],
        config={"dir": path, "capture": False, "system_metrics": False, "courier": "process"},
    )
    assert exp.dir is not None
    exp.log_metric("loss", 0.5, 0)
    wait_until_delivered(exp.dir, 1)
    if silent is not None:
        assert select.select([silent], [], [], START_SECONDS)[0], "nobody has called W&B"
        silent.accept()[0].detach()  # and is never closed: nobody answers
    took = []
    began = time.perf_counter()
    for iteration in range(1, POINTS):
        before = perf_counter_ns()
        exp.log_metric("loss", 1 / iteration, iteration)
        took.append(perf_counter_ns() - before)
    wait_until_delivered(exp.dir, POINTS)
    seconds = time.perf_counter() - began
    exp.stop(wait=False)
    end_below()
    return statistics.median(took) / 1000, seconds


def wait_until_delivered(run_dir: Path, points: int) -> None:
    """Wait until the others have so many points."""
    cursors = [CursorFile(run_dir / "cursors", name) for name in OTHERS]
    deadline = time.monotonic() + START_SECONDS
    while any(cursor.load().delivered < points for cursor in cursors):
        assert time.monotonic() < deadline, "not delivered"
        time.sleep(0.002)


def compared(what: str, found: dict[bool, list[float]], unit: str) -> list[dict[str, Any]]:
    """Return the rows of one figure."""
    with_it, without = (statistics.median(found[hanging][1:]) for hanging in (True, False))
    # Of pairs, one right after the other: what else the machine does disturbs both.
    pairs = zip(found[True][1:], found[False][1:], strict=True)
    ratio = statistics.median(one / other for one, other in pairs)
    shown = f"{with_it:.2f} {unit}, {ratio:.2f} x"
    return [
        row(f"{what}, without W&B", f"{without:.2f} {unit}"),
        row("… while W&B hangs", shown, f"<= {BUDGET} x", ratio <= BUDGET),
    ]
