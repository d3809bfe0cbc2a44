"""Faults: whatever fails, hangs or dies in the backend, nothing is lost and the report is exact.

The backend under test fails on purpose, by :mod:`tracelet.testing.faults`, and is called again as
the courier does it. What was not stored when the call failed must be stored by the next.
"""

from __future__ import annotations

from tracelet.backends.base import Support
from tracelet.testing.checks import check
from tracelet.testing.context import Context
from tracelet.testing.expect import (
    difference,
    fail_if,
    points_match,
    runs_match,
    show,
    values_match,
)
from tracelet.testing.runner import Outcome
from tracelet.testing.values import Point, numbered


def _delivered(outcome: Outcome, rejected: int = 0) -> None:
    found = outcome.report
    if found.accepted != found.delivered + rejected or found.rejected != rejected or found.pending:
        raise AssertionError(
            f"of {found.accepted} records {found.delivered} are delivered, {found.rejected} "
            f"rejected and {found.pending} pending; {rejected} had to be rejected. The last error: "
            f"{found.last_error}"
        )
    if len(outcome.rejected) != rejected:
        raise AssertionError(
            f"{rejected} records had to be rejected, and the file of them has {outcome.rejected}"
        )


@check()
def fault_calls_fail(context: Context) -> None:
    """A call failed with ``TransientError``, was made again, and something is lost or twice.

    ``log_metrics``, ``log_params``, ``log_artifact`` and ``close`` fail before they have done
    anything. What a backend keeps between its calls must not be lost or done twice by that.
    """
    outcome = context.faulty("faults")
    points_match(context, outcome, None, numbered("before", "fault/fails", "after"), ordered=False)
    expected = {"fault/fails": 1, "fault.other": 2}
    values_match(context, outcome, "param", expected, "param_names")
    if context.support("artifacts") is not Support.UNSUPPORTED:
        found = outcome.read.artifacts.get("fault/fails.txt")
        fail_if([] if found == b"kept" else [f"fault/fails.txt was b'kept', and is {found!r}"])
    _delivered(outcome)
    if outcome.read.status != "finished" and context.support("statuses") is Support.FULL:
        raise AssertionError(f"close() failed once, and the run is {outcome.read.status!r} now")


@check()
def fault_open_fails(context: Context) -> None:
    """``open`` failed twice, and the tracker has no run, or more than one.

    The second time it fails after its work is done, as if the answer of a server were lost: the
    next ``open`` knows no link, and must find what is there by the run's id.
    """
    runs_match(context.faulty("faults"), "after open() failed twice")


@check()
def fault_poisoned(context: Context) -> None:
    """One point and one parameter are refused by the backend, and more than these are lost.

    The batch is split until the bad record is found: a call that raises must have stored nothing,
    or must not mind to get the same again.
    """
    outcome = context.faulty("poison")
    _delivered(outcome, rejected=2)
    fail_if(
        [
            f"the reason of a rejected record is {line['reason']!r}"
            for line in outcome.rejected
            if "refused on purpose" not in line["reason"]
        ]
    )
    points = [*numbered("good"), Point("good", 50.0, 50)]
    points_match(context, outcome, None, points, ordered=False)
    values_match(context, outcome, "param", {"good.a": 1, "good.b": 3})


@check()
def fault_hangs(context: Context) -> None:
    """A call hung past its time bound, its worker was ended, and something is lost or pending.

    The worker begins again with ``open`` and the link it had; look at ``courier.log``.
    """
    outcome = context.faulty("hang")
    names = ("before", "between", "fault/hangs", "after")
    points_match(context, outcome, None, numbered(*names), ordered=False)
    expected = {f"hang.{name}": 1 for name in names}
    values_match(context, outcome, "param", expected, "param_names")
    runs_match(outcome, "after a worker was ended")
    _delivered(outcome)


@check(alone=True)
def fault_dies(context: Context) -> None:
    """The worker died when a batch was stored and not yet counted: it is lost, or there twice.

    The batch comes again. Make it harmless (``repeats``): by a checkpoint that ``flush`` returns
    and ``open`` goes back to, or by a tracker that ignores what it has.
    """
    outcome = context.faulty("hang")
    expected = [point.expected() for point in numbered("fault/dies")]
    stored = [point for point in outcome.read.points if point.name == "fault/dies"]
    missing, surplus = difference(expected, stored)
    support = context.support("repeats")
    if support is not Support.UNSUPPORTED:
        missing += surplus
    fail_if([f"lost, or there twice: {show(point)}" for point in missing], support, "repeats")
