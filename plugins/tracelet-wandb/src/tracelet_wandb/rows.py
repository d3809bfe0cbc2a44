"""Makes rows of W&B's history of metric points: a row costs the same, whether it has 1 name or 50.

Promises:

- Points of one iteration and axis are one row, also around points of another axis; a name that
  repeats starts a new one, and so does one that would come before an earlier point of its own. So
  each metric keeps its order, and no point replaces another.
- A row holds its axis: nothing depends on W&B's own step, which only counts rows.
- ``_timestamp`` is the time of the row's first point; points of another time, by more than a
  millisecond, are listed with theirs under ``_times``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracelet.backends.base import nearest_float
from tracelet.records import MetricPoint, MetricValue
from tracelet_wandb.names import TIMES, Keys

SAME_TIME = 0.001
_INT64 = 2**63


def rounded(points: Sequence[MetricPoint]) -> list[MetricPoint]:
    """Return the points that W&B does not keep as they are; it rounds integers beyond 64 bits."""
    return [
        point
        for point in points
        if (point.value.__class__ is not float and _number(point.value) != point.value)
        or _number(point.iteration) != point.iteration
    ]


def rows(points: Sequence[MetricPoint], keys: Keys, began: float) -> list[dict[str, Any]]:
    """Return the rows of points.

    Args:
        points: the points, in order.
        keys: the names they have in W&B.
        began: when the run started, seconds since the epoch; charts by relative time need it.
    """
    made: list[dict[str, Any]] = []
    latest: dict[str, tuple[int, int]] = {}  # of an axis: the iteration and place of its last row
    places: dict[str, int] = {}  # of a key: the place of the last row that has it
    key_of = keys.metric
    for point in points:
        key = key_of(point.name)
        iteration, place = latest.get(point.axis, (0, -1))
        if iteration != point.iteration or places.get(key, -1) >= place:
            iteration, place = latest[point.axis] = point.iteration, len(made)
            made.append(
                {
                    keys.axis(point.axis): _number(iteration),
                    "_timestamp": point.time,
                    "_runtime": point.time - began,
                }
            )
        places[key] = place
        row, value = made[place], point.value
        row[key] = value if value.__class__ is float else _number(value)
        if abs(point.time - row["_timestamp"]) > SAME_TIME:
            row.setdefault(TIMES, []).append([key, point.time])
    return made


def _number(value: MetricValue) -> MetricValue:
    if isinstance(value, float) or -_INT64 <= value < _INT64:
        return value
    return nearest_float(value)
