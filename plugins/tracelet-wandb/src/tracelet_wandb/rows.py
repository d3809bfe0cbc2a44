"""Makes rows of W&B's history of metric points: a row costs the same, whether it has 1 name or 50.

Promises:

- Points that follow each other and have iteration and axis in common are one row; a name that
  repeats starts a new one. So each metric keeps its order, and no point replaces another.
- A row holds its axis: nothing depends on W&B's own step, which only counts rows.
- ``_timestamp`` is the time of the row's first point; points of another time, by more than a
  millisecond, are listed with theirs under ``_times``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tracelet.records import MetricPoint, MetricValue
from tracelet_wandb.names import TIMES, Keys

SAME_TIME = 0.001
_INT64 = 2**63


def rounded(points: Sequence[MetricPoint]) -> list[MetricPoint]:
    """Return the points that W&B does not keep as they are; it rounds integers beyond 64 bits."""
    return [
        point
        for point in points
        if (point.value.__class__ is not float and not _is_exact(point.value))
        or not _is_exact(point.iteration)
    ]


def _is_exact(value: MetricValue) -> bool:
    if isinstance(value, float) or -_INT64 <= value < _INT64:
        return True
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def rows(points: Sequence[MetricPoint], keys: Keys, began: float) -> Iterator[dict[str, Any]]:
    """Yield the rows of points.

    Args:
        points: the points, in order.
        keys: the names they have in W&B.
        began: when the run started, seconds since the epoch; charts by relative time need it.
    """
    row: dict[str, Any] = {}
    iteration, axis, first = 0, "", 0.0
    key_of = keys.metric
    for point in points:
        key = key_of(point.name)
        if not row or key in row or point.iteration != iteration or point.axis != axis:
            if row:
                yield row
            iteration, axis, first = point.iteration, point.axis, point.time
            row = {
                keys.axis(axis): _number(iteration),
                "_timestamp": first,
                "_runtime": first - began,
            }
        value = point.value
        row[key] = value if value.__class__ is float else _number(value)
        if abs(point.time - first) > SAME_TIME:
            row.setdefault(TIMES, []).append([key, point.time])
    if row:
        yield row


def _number(value: MetricValue) -> MetricValue:
    if isinstance(value, float) or -_INT64 <= value < _INT64:
        return value
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
