"""Compares what was logged with what is read back, under what the backend declares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tracelet.backends.base import Property, Support
from tracelet.records import MetricPoint
from tracelet.testing.context import Context
from tracelet.testing.runner import Outcome
from tracelet.testing.values import Point
from tracelet.values.equality import same_value

Kind = Literal["param", "tag", "property", "config"]
_SHOWN = 5


same = same_value


def values_match(
    context: Context,
    outcome: Outcome,
    kind: Kind,
    expected: Mapping[str, Any],
    field: str | None = None,
) -> None:
    """Check named values.

    Args:
        context: the context.
        outcome: of the run they were logged in.
        kind: what adjusted records call them.
        expected: what was logged; more may be there.
        field: the capability that has a say; None: there is none, the values must be there.

    Raises:
        AssertionError: something is missing or different.
    """
    __tracebackhide__ = True
    support = Support.FULL if field is None else context.support(field)
    if support is Support.UNSUPPORTED:
        return
    actual = _read(outcome, kind)
    wrong = [
        f"{key!r:.80} was logged as {value!r:.120}, and read back as "
        + (f"{actual[key]!r:.120}" if key in actual else "nothing")
        for key, value in expected.items()
        if not (key in actual and same_value(value, actual[key]))
        and not (support is Support.EMULATED and is_kept(outcome, kind, key, value))
    ]
    fail_if(wrong, support, field)


def _read(outcome: Outcome, kind: Kind) -> Mapping[str, Any]:
    """Return the named values that were read back; of properties the values alone."""
    read = outcome.read
    named = {
        "param": read.params,
        "tag": read.tags,
        "config": read.configs,
        "property": read.properties,
    }[kind]
    return {
        name: found.value if isinstance(found, Property) else found for name, found in named.items()
    }


def is_kept(outcome: Outcome, kind: Kind, key: str, value: Any) -> bool:
    """Return whether a named value is exact in ``tracelet/adjusted.jsonl``."""
    return any(
        line.get(kind) == key and same_value(line.get("value"), value)
        for line in outcome.read.adjusted
    )


def runs_match(outcome: Outcome, why: str) -> None:
    """Check that the tracker has one run for a run.

    Raises:
        AssertionError: it has none, or more.
    """
    __tracebackhide__ = True
    if outcome.read.runs != 1:
        raise AssertionError(f"the tracker has {outcome.read.runs} runs {why}")


def all_delivered(outcome: Outcome) -> None:
    """Check that every record of a run is delivered.

    Raises:
        AssertionError: one is pending, or was rejected.
    """
    __tracebackhide__ = True
    if outcome.report.pending or outcome.report.rejected:
        raise AssertionError(f"not everything is delivered: {outcome.report}")


def points_match(
    context: Context,
    outcome: Outcome,
    field: str | None,
    expected: Iterable[Point | MetricPoint],
    *,
    ordered: bool = True,
    also: str | None = None,
) -> None:
    """Check the points of metrics, which must be there as often as they were logged.

    Args:
        context: the context.
        outcome: of the run they were logged in.
        field: the capability that has a say; None: there is none.
        expected: what was logged, in order; all points of these metrics.
        ordered: whether they must be stored in the order of the log.
        also: another capability that has a say.

    Raises:
        AssertionError: a point is missing, different, too many, or out of order.
    """
    __tracebackhide__ = True
    supports = [context.support(one) for one in (field, also) if one is not None]
    if Support.UNSUPPORTED in supports:
        return
    support = Support.EMULATED if Support.EMULATED in supports else Support.FULL
    logged = [point.expected() if isinstance(point, Point) else point for point in expected]
    names = {point.name for point in logged}
    stored = [point for point in outcome.read.points if point.name in names]
    missing, surplus = difference(logged, stored)
    if support is Support.EMULATED:
        missing = _not_kept(outcome, missing)
        surplus = []  # how the tracker shows what it cannot hold is its backend's business
    problems = [f"missing: {show(point)}" for point in missing]
    problems += [f"was not logged: {show(point)}" for point in surplus]
    if not problems and ordered and support is Support.FULL:
        for name in sorted(names):
            order = [_key(point) for point in stored if point.name == name]
            wanted = [_key(point) for point in logged if point.name == name]
            if order != wanted:
                problems.append(f"the order of {name!r} is {order}, and was {wanted}")
    fail_if(problems, support, field)


def difference(
    logged: Sequence[MetricPoint], stored: Sequence[MetricPoint]
) -> tuple[list[MetricPoint], list[MetricPoint]]:
    """Return the points of one that the other does not have, both ways; times do not count."""
    left: dict[Any, list[MetricPoint]] = {}
    for point in stored:
        left.setdefault(_key(point), []).append(point)
    missing = []
    for point in logged:
        same_key = left.get(_key(point))
        if same_key:
            same_key.pop()
        else:
            missing.append(point)
    return missing, [point for points in left.values() for point in points]


def show(point: MetricPoint) -> str:
    """Return a point as a person reads it."""
    return f"{point.name:.60} = {point.value!r} at {point.axis} {point.iteration}"


def fail_if(
    problems: Sequence[str], support: Support = Support.FULL, field: str | None = None
) -> None:
    """Fail with the first few of the problems, if there are any.

    Raises:
        AssertionError: there are.
    """
    __tracebackhide__ = True
    if not problems:
        return
    lines = [*problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"and {len(problems) - _SHOWN} more")
    if field is not None:
        declared = f"the backend declares {field}={support.name}"
        if support is Support.EMULATED:
            declared += ", and the exact records are not in tracelet/adjusted.jsonl either"
        lines.append(declared)
    raise AssertionError("\n".join(lines))


def _key(point: MetricPoint) -> tuple[str, Any, int, str]:
    is_nan = isinstance(point.value, float) and math.isnan(point.value)
    value = "NaN" if is_nan else point.value
    return (point.name, value, point.iteration, point.axis)


def _not_kept(outcome: Outcome, points: Iterable[MetricPoint]) -> list[MetricPoint]:
    kept = [
        MetricPoint(line["metric"], line["value"], line["iteration"], line["axis"], line["time"])
        for line in outcome.read.adjusted
        if "metric" in line
    ]
    return difference(list(points), kept)[0]
