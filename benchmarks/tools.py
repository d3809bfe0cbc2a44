"""What every benchmark needs: a row of the table, a directory, percentiles, memory."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

MIB = 1024 * 1024
FIVE = ["local", *(f"benchmarks.backends:{name}" for name in ("One", "Two", "Three", "Four"))]
"""Five backends: the local one, and four that drop everything, each in a process of its own."""


def row(what: str, measured: str, budget: str = "", met: bool | None = None) -> dict[str, Any]:
    """Make a row of the table; without a budget it is a baseline, or an explanation."""
    return {"what": what, "measured": measured, "budget": budget, "met": met}


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory for runs, deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="tracelet-bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which ``part`` (0 to 1) of the values are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def median_seconds(
    call: Callable[[], Any], times: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the median of the seconds that a call takes."""
    took = []
    for _ in range(times):
        began = clock()
        call()
        took.append(clock() - began)
    return statistics.median(took)


def resident(process: psutil.Process | None = None) -> float:
    """Return the resident memory of a process in MiB."""
    return (process or psutil.Process()).memory_info().rss / MIB


def below() -> list[psutil.Process]:
    """Return the processes that this one has started, and theirs: couriers and workers."""
    return psutil.Process().children(recursive=True)


def end_below() -> None:
    """End the couriers and workers that this process has started."""
    processes = below()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
