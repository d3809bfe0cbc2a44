"""Writes to the terminal at the end of a run: a progress bar during delivery, then the report."""

from __future__ import annotations

import contextlib
import sys
import time

from tracelet.courier.report import DeliveryReport
from tracelet.courier.run_delivery import RunDelivery

_QUIET_SECONDS = 1.0
"""Without a progress bar for this long."""


def wait(delivery: RunDelivery, timeout: float) -> bool:
    """Wait up to ``timeout`` seconds for the delivery, with a progress bar on a terminal.

    Returns:
        Whether everything is delivered.
    """
    began = time.monotonic()
    if delivery.drain(min(timeout, _QUIET_SECONDS)):
        return True
    left = timeout - (time.monotonic() - began)
    if left <= 0 or sys.stderr is None or not sys.stderr.isatty():
        return delivery.drain(max(0.0, left))
    # Start-up time, and only for a terminal:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"delivering to {', '.join(delivery.names)}", total=1.0)
        return delivery.drain(left, lambda part: progress.update(task, completed=part))


def show(report: DeliveryReport, *, courier_continues: bool) -> None:
    """Write the report to stderr, one line for each backend; stderr may be closed.

    Args:
        report: the report.
        courier_continues: whether a courier process delivers the pending records.
    """
    lines = [f"tracelet: {line}" for line in report.lines()]
    if any(one.pending for one in report.backends.values()):
        delivers = "what is pending is delivered by"
        if courier_continues:
            delivers = "the courier goes on with what is pending; so does"
        lines.append(f"tracelet: {delivers}: tracelet sync")
    _write(lines)


def say(message: str) -> None:
    """Write a message to stderr: at the exit of the program, where nobody reads warnings."""
    _write([f"tracelet: {message}"])


def _write(lines: list[str]) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # closed, or a broken pipe
            sys.stderr.write("\n".join(map(_printable, lines)) + "\n")


def _printable(line: str) -> str:
    """Return a line with its control characters escaped: a server may have sent them."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
