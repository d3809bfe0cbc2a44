"""Metric points and log lines as the events that ClearML's server takes.

The SDK's own events have no argument for the time, and turn NaN and infinities into 0; so the
events are made here, in the SDK's form. What a chart cannot show is never a point of that chart: a
non-finite number is a mark, of height 1, in a chart of its own (see :mod:`tracelet_clearml.names`).

The server knows an event by task, iteration, title and series, and keeps one of those that have
them in common. A point that comes to an iteration that is not new to its series has a ``key`` in
addition, made of its time and value, which the server counts in: so such points are all kept, and a
point that is sent twice is still kept once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracelet.backends.base import TextLine
from tracelet.records import MetricPoint
from tracelet.wire import float_token
from tracelet_clearml.names import title_and_series

LARGEST_EXACT = 2**53
LARGEST = 2.0**128 - 2.0**104
"""The largest float32: the server's index has no larger numbers, and refuses the whole batch."""
MOST_ITERATIONS = 2**63 - 1
_LEVELS = {"notset", "debug", "verbose", "info", "warn", "warning", "error", "fatal", "critical"}


@dataclass(slots=True, eq=False)
class _Series:
    """A series: its title and name, the largest iteration it had, and what its keys begin with."""

    title: str
    series: str
    top: int | None
    key: str


class Plan(NamedTuple):
    """What is sent of some points: the events, and the points that are not shown as they are."""

    events: list[dict[str, Any]]
    adjusted: list[tuple[MetricPoint, str]]
    tops: dict[_Series, int]


class Scalars:
    """Makes the events of one run's metric points.

    Args:
        task: the id of the task.
        known: what :attr:`known` was, if the run goes on.
    """

    def __init__(self, task: str, known: Sequence[Sequence[Any]] = ()) -> None:
        self._task = task
        self._series: dict[tuple[str, str], _Series] = {}
        self._of: dict[tuple[str, str, str], _Series] = {}
        self._joined: set[str] = set()
        for title, series, top in known:
            self._add(title, series, top)

    @property
    def known(self) -> list[list[Any]]:
        """The series there are: title, series, and the largest iteration of each."""
        return [[one.title, one.series, one.top] for one in self._series.values()]

    def plan(self, points: Sequence[MetricPoint]) -> Plan:
        """Return the events of points; nothing has happened until they are sent."""
        made: list[dict[str, Any]] = []
        adjusted: list[tuple[MetricPoint, str]] = []
        tops: dict[_Series, int] = {}
        task = self._task
        for point in points:
            value, mark, reason, iteration = point.value, "", "", point.iteration
            if value.__class__ is not float or not -LARGEST <= value <= LARGEST:
                value, mark, reason = _shown(value)
            if not -MOST_ITERATIONS <= iteration <= MOST_ITERATIONS:
                iteration = MOST_ITERATIONS if iteration > 0 else -MOST_ITERATIONS
                reason = "ClearML's iterations have 64 bits"
            if reason:
                adjusted.append((point, reason))
            series = self._find(point.name, point.axis, mark)
            event = {
                "timestamp": round(point.time * 1000),
                "type": "training_stats_scalar",
                "task": task,
                "iter": iteration,
                "metric": series.title,
                "variant": series.series,
                "value": value,
            }
            top = tops.get(series, series.top)
            if top is not None and iteration <= top:
                event["key"] = f"{series.key}{point.time!r} {value!r}"
            else:
                tops[series] = iteration
                if series.key:
                    event["key"] = series.key
            made.append(event)
        return Plan(made, adjusted, tops)

    def done(self, plan: Plan) -> None:
        """Note that the events of a plan were taken."""
        for series, top in plan.tops.items():
            series.top = top

    def _find(self, name: str, axis: str, mark: str) -> _Series:
        found = self._of.get((name, axis, mark))
        if found is None:
            title, series = title_and_series(name, axis, mark)
            found = self._series.get((title, series)) or self._add(title, series, None)
            self._of[name, axis, mark] = found
        return found

    def _add(self, title: str, series: str, top: int | None) -> _Series:
        # The server joins the two by a dash: "a-b", "c" and "a", "b-c" are the same to it.
        joined = f"{title}-{series}"
        made = _Series(title, series, top, f"{title} " if joined in self._joined else "")
        self._joined.add(joined)
        self._series[title, series] = made
        return made


def _shown(value: float) -> tuple[float, str, str]:
    """Return what stands for a number in an event, the mark it is, and why it is not itself."""
    if not isinstance(value, int) and not math.isfinite(value):
        reason = "ClearML has no such number; it is marked in a chart of its own"
        return 1.0, float_token(value), reason
    if not -LARGEST <= value <= LARGEST:
        reason = "ClearML's server takes no larger numbers than those of float32"
        return LARGEST if value > 0 else -LARGEST, "", reason
    if isinstance(value, int) and -LARGEST_EXACT <= value <= LARGEST_EXACT:
        return value, "", ""
    rounded = float(value)
    return rounded, "", "" if rounded == value else "ClearML keeps float64"


def log_events(task: str, lines: Sequence[TextLine], worker: str) -> list[dict[str, Any]]:
    """Return the events of lines of the log."""
    return [
        {
            "timestamp": round(line.time * 1000),
            "type": "log",
            "task": task,
            "level": line.level if line.level in _LEVELS else "info",
            "worker": worker,
            "msg": line.text,
        }
        for line in lines
    ]
