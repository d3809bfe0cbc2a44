"""What a person sees at the end of a run: a progress bar while it is delivered, then the report."""

from __future__ import annotations

import contextlib
import sys
import time

from tracelet.courier.report import DeliveryReport
from tracelet.courier.run_delivery import RunDelivery

_QUIET_SECONDS = 1.0
"""A drain that takes no longer shows nothing."""


def wait(delivery: RunDelivery, timeout: float) -> bool:
    """Wait until a run is delivered, with a progress bar if somebody is looking."""
    began = time.monotonic()
    if delivery.drain(min(timeout, _QUIET_SECONDS)):
        return True
    left = timeout - (time.monotonic() - began)
    if left <= 0 or sys.stderr is None or not sys.stderr.isatty():
        return delivery.drain(max(0.0, left))
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"delivering to {', '.join(delivery.names)}", total=1.0)
        return delivery.drain(left, lambda part: progress.update(task, completed=part))


def show(report: DeliveryReport, *, goes_on: bool) -> None:
    """Write the report to stderr, one line a backend; nobody may be there to read it.

    Args:
        report: the report.
        goes_on: whether a process goes on with what is pending; threads have ended with the run.
    """
    lines = [f"tracelet: {line}" for line in report.lines()]
    if any(one.pending for one in report.backends.values()):
        delivers = "what is pending is delivered by"
        if goes_on:
            delivers = "the courier goes on with what is pending; so does"
        lines.append(f"tracelet: {delivers}: tracelet sync")
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads the pipe any more
            sys.stderr.write("\n".join(map(_printable, lines)) + "\n")


def _printable(line: str) -> str:
    """Return a line in which control characters, as a server can send, are written out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
