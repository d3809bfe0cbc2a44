"""Metrics: every point, exact, as often and in the order it was logged."""

from __future__ import annotations

from tracelet.backends.base import Support
from tracelet.testing import values
from tracelet.testing.checks import check
from tracelet.testing.context import Context
from tracelet.testing.expect import fail_if, points_match
from tracelet.testing.values import Point


@check(thread=True)
def metric_float64(context: Context) -> None:
    """A float64 comes back rounded, for example as float32.

    ``float64`` is ``FULL`` only if all 53 bits are kept; otherwise keep the exact value beside it.
    """
    points_match(context, context.everything, "float64", values.METRIC_FLOAT64)


@check(thread=True)
def metric_nan(context: Context) -> None:
    """A NaN is dropped, became 0, or another number: a diverged training would look fine."""
    points_match(context, context.everything, "nan", values.METRIC_NAN)


@check(thread=True)
def metric_infinity(context: Context) -> None:
    """An infinity is dropped, or became the largest number there is."""
    points_match(context, context.everything, "infinity", values.METRIC_INFINITY)


@check()
def metric_integers(context: Context) -> None:
    """An integer beyond 2**53 lost its last digits on the way through a float."""
    points_match(context, context.everything, "integers", values.METRIC_INTEGERS)


@check()
def metric_numbers(context: Context) -> None:
    """A number of another kind (a bool, a Decimal, a tensor's scalar) is lost or changed."""
    numbers = [*values.METRIC_NUMBERS, Point("numbers", 0.75, 3)]
    points_match(context, context.everything, None, [*values.METRIC_BOOLS, *numbers])


@check()
def metric_iteration_zero(context: Context) -> None:
    """The point at iteration 0 is lost, or elsewhere: 0 is a value, not the absence of one."""
    points_match(context, context.everything, None, values.METRIC_ZERO)


@check()
def metric_iteration_negative(context: Context) -> None:
    """Points at negative iterations are dropped or moved."""
    points_match(context, context.everything, "negative_iterations", values.METRIC_NEGATIVE)


@check()
def metric_iteration_large(context: Context) -> None:
    """Iterations beyond 2**32 overflow, or are rounded."""
    points_match(context, context.everything, None, values.METRIC_LARGE)


@check()
def metric_iteration_decreasing(context: Context) -> None:
    """Points whose iteration goes backwards are dropped, or sorted."""
    points_match(context, context.everything, "unordered_iterations", values.METRIC_DECREASING)


@check()
def metric_iteration_repeated(context: Context) -> None:
    """Points at the same iteration replace each other, or become one because they are equal."""
    points = [*values.METRIC_REPEATED, *values.METRIC_IDENTICAL]
    points_match(context, context.everything, "unordered_iterations", points)


@check(thread=True)
def metric_axes(context: Context) -> None:
    """A point of another axis is lost, or sits on the wrong one.

    ``log_metrics`` gets the axis of each point; where the tracker has one axis only, give the
    others names of their own, reversibly (``axes=EMULATED``).
    """
    points_match(context, context.everything, "axes", values.METRIC_AXES, ordered=False)


@check(thread=True)
def metric_names(context: Context) -> None:
    """A metric whose name has ``@``, brackets, spaces or 300 characters is lost or renamed.

    Replace what the tracker forbids reversibly, resolve names that become the same, and keep the
    original where ``read_back`` finds it (``metric_names=EMULATED``).
    """
    points_match(context, context.everything, "metric_names", values.METRIC_NAMES)


@check()
def metric_names_beside(context: Context) -> None:
    """``loss`` and ``loss/train`` cannot be beside each other: one is a folder of the other."""
    points_match(context, context.everything, None, values.METRIC_BESIDE)


@check()
def metric_times(context: Context) -> None:
    """The time of a point is not the time it was logged with, to the millisecond.

    Give ``MetricPoint.time`` to the tracker; the time of delivery may be days later.
    """
    support = context.support("timestamps")
    if support is Support.UNSUPPORTED:
        return
    read = context.everything.read
    kept = {
        line["iteration"]: line["time"] for line in read.adjusted if line.get("metric") == "times"
    }
    stored = {point.iteration: point.time for point in read.points if point.name == "times"}
    wrong = []
    for point in values.METRIC_TIMES:
        found = stored.get(point.iteration)
        assert point.time is not None
        if found is not None and abs(found - point.time) < 0.0015:
            continue
        if support is Support.EMULATED and kept.get(point.iteration) == point.time:
            continue
        wrong.append(f"iteration {point.iteration}: logged at {point.time}, read back {found}")
    fail_if(wrong, support, "timestamps")


@check(thread=True)
def metric_order(context: Context) -> None:
    """The points of a metric are stored in another order than they were logged in."""
    points_match(context, context.everything, None, values.METRIC_ORDER)


@check()
def metric_many(context: Context) -> None:
    """Of 100,000 points some are missing, or there twice.

    Look at the last batch before ``close``, and at the limit of one request (``batch_limit``).
    """
    outcome = context.outcome("many")
    half = range(0, outcome.job.points, 2)
    expected = [Point("many/a", number / 3, number) for number in half]
    expected += [Point("many/b", -number, number) for number in half]
    expected.append(Point("many/last", 1.0, 0))
    points_match(context, outcome, None, expected, ordered=False, also="float64")
