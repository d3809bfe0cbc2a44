"""Delivers what is pending of one run, with a courier of its own, and waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from rich.progress import BarColumn

from tracelet.cli.formatting import clean
from tracelet.cli.output import TASK, progress
from tracelet.core.post_run import reachable
from tracelet.core.run import Run, files_of
from tracelet.courier.client import ProcessCourier
from tracelet.courier.cursor import CursorFile
from tracelet.courier.messages import LOCKED
from tracelet.courier.report import DeliveryReport, is_delivered
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import segment_ends
from tracelet.settings import Settings

LINGER_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_MOST_LOOKS = 30
"""At couriers that have died, each of which is started again after half a second."""

Outcome = Literal["delivered", "busy", "pending"]


class Delivered(NamedTuple):
    """What became of a run.

    Attributes:
        outcome: ``delivered``: nothing is pending; ``busy``: another courier has the run.
        report: the delivery report, afterwards.
    """

    outcome: Outcome
    report: DeliveryReport


def deliver(
    run: Run,
    settings: Settings,
    *,
    only: str | None = None,
    timeout: float | None = None,
    say: Callable[[str], None],
) -> Delivered:
    """Deliver what is pending of a run, and wait until it is.

    Args:
        run: the run.
        settings: for the options of its backends that the run itself does not have.
        only: the backend to deliver to; None: all of the run.
        timeout: seconds to go on for at most.
        say: called with one line about what prevents the delivery.
    """
    run_dir = files_of(run)
    start = RunState(run_dir).update().start
    pending, unended = lacking(run, only)
    if not (pending or unended) or start is None:
        return Delivered("delivered", run.report)
    if is_busy(run_dir):
        followed = _follow_courier(run_dir, run, [*pending, *unended], timeout)
        if followed is not None:
            return followed
    names = [*reachable(start, pending, say), *unended]
    busy = False
    if names:
        options = {name: start.options(name, settings.backends.get(name)) for name in names}
        linger = LINGER_SECONDS if timeout is None else min(timeout, LINGER_SECONDS)
        courier = ProcessCourier(
            run_dir,
            options,
            linger=linger,
            only=names,
            start_timeout=settings.start_timeout,
        )
        what = clean(f"{run.run_id} to {', '.join(names)}")
        with progress(what, TASK, BarColumn(), total=1.0) as show:
            busy = _wait(courier, run, names, timeout, show)
    report = Run(run_dir).report
    if busy:
        return Delivered("busy", report)
    left = any(report[name].pending for name in pending)
    return Delivered("pending" if left else "delivered", report)


def _follow_courier(
    run_dir: RunDir, run: Run, names: list[str], timeout: float | None
) -> Delivered | None:
    """Have the courier that is at work try again now, and wait for it.

    Args:
        run_dir: the run's directory.
        run: the run.
        names: the backends that lack something.
        timeout: the seconds to wait at most; None: as long as something is delivered, and
            ``LINGER_SECONDS`` more.

    Returns:
        What became of the run; None if the courier has left, and the rest is to be delivered.
    """
    run_dir.request_retry()
    upto = segment_ends(run_dir.journal)
    began = moved = time.monotonic()
    before = -1.0
    what = clean(f"{run.run_id} to {', '.join(names)}")
    with progress(what, TASK, BarColumn(), total=1.0) as show:
        while is_busy(run_dir):
            part, now = _part(run, names), time.monotonic()
            show(completed=part)
            if part != before:
                before, moved = part, now
            if all(is_delivered(run_dir, name, upto) for name in names):
                return Delivered("delivered", Run(run_dir).report)
            if now > (moved + LINGER_SECONDS if timeout is None else began + timeout):
                return Delivered("busy", Run(run_dir).report)
            time.sleep(_LOOK_SECONDS)
    report = Run(run_dir).report
    left = any(report[name].pending for name in names)
    return None if left else Delivered("delivered", report)


def lacking(run: Run, only: str | None) -> tuple[list[str], list[str]]:
    """Return the backends that lack records of a run, and those that lack nothing but its ending.

    Of the latter, those that nothing was begun in, as of a journal that cannot be read, are left
    out, and those to which only the process that logged the run could deliver.
    """
    reports = {name: one for name, one in run.report.items() if only in (None, name)}
    pending = [name for name, one in reports.items() if one.pending]
    begun = {name: one for name, one in reports.items() if one.link is not None}
    open_yet = [name for name, one in begun.items() if run.status not in ("running", one.closed)]
    start = RunState(files_of(run)).update().start
    if start is None:
        return pending, []
    return pending, list(reachable(start, set(open_yet) - set(pending), lambda _: None))


def is_busy(run_dir: RunDir) -> bool:
    """Return whether a courier is at work on a run."""
    lock = run_dir.lock()
    if not lock.acquire():
        return True
    lock.release()
    return False


def _wait(
    courier: ProcessCourier,
    run: Run,
    names: list[str],
    timeout: float | None,
    show: Callable[..., None],
) -> bool:
    """Wait for a courier as long as it makes sense; return whether another one has the run."""
    lives = run.status == "running"
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    try:
        for _ in range(_MOST_LOOKS):
            courier.ensure()
            while not courier.wait(_LOOK_SECONDS) and courier.exit_code is None:
                part = _part(run, names)
                show(completed=part)
                if time.monotonic() > deadline or (lives and part >= 1.0):
                    return False
            if courier.exit_code in (0, LOCKED):
                break
        return courier.exit_code == LOCKED
    finally:
        # The courier of a run that goes on has more to do; what an ended run lacks was waited for.
        if lives:
            courier.release()
        else:
            courier.end()


def _part(run: Run, names: list[str]) -> float:
    """Return which part of what the run had at first is delivered by now, 0 to 1."""
    cursors = files_of(run).cursors
    accepted = done = 0
    for name in names:
        cursor = CursorFile(cursors, name).load()
        accepted += run.report[name].accepted
        done += min(cursor.delivered + cursor.rejected, run.report[name].accepted)
    return done / accepted if accepted else 1.0
