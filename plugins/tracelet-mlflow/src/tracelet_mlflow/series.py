"""Which key and which millisecond a point is stored under, so that each stays a point of its own.

MLflow takes two points with the same key, step, value and millisecond for one, and lists a metric
by time, then step. So points of one key are set apart by a millisecond where they would change
places or meet. What is decided depends on the points alone, and on the state that the checkpoint
carries: a batch that comes again gets the same times, and MLflow ignores it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tracelet.backends.base import nearest_float
from tracelet.records import DEFAULT_AXIS, MetricPoint
from tracelet_mlflow.names import BY, name_tag, series_name, stored_name

TAG = "tracelet.metric."
"""Before a key in the tag that says which metric and axis it is, unless it is plain."""

FAR_OFF = 1000
"""Milliseconds by which a point may be moved without counting as adjusted."""

_NAME_IN_TAG = 2000

Clock = list[int]
"""Of one key: the last point's own millisecond, and the millisecond and step it is stored under."""


class Placed(NamedTuple):
    """A point as it goes to MLflow; ``reason`` says what of it could not be kept."""

    point: MetricPoint
    key: str
    value: float
    timestamp: int
    reason: str | None


class Plan(NamedTuple):
    """Where the points of a batch go, which tags they need, and the state when all that is done."""

    placed: list[Placed]
    tags: dict[str, str]
    keys: dict[tuple[str, str], str]
    owners: dict[str, str]
    clocks: dict[str, Clock]


class Series:
    """The metrics of one run.

    A metric's first axis owns its plain name, whichever that is; points on a second axis get a key
    that says so, ``loss:by:epoch``, because steps of two kinds in one chart would mean nothing.

    Args:
        tags: the tags that the run has in MLflow.
        metrics: the keys of the metrics that it has.
        clocks: the state that :attr:`clocks` had at the checkpoint.
    """

    def __init__(
        self, tags: Mapping[str, str], metrics: Iterable[str], clocks: Mapping[str, Clock]
    ) -> None:
        self.clocks: dict[str, Clock] = dict(clocks)
        self._keys: dict[tuple[str, str], str] = {}
        self._owners: dict[str, str] = dict.fromkeys(metrics, DEFAULT_AXIS)
        for name, text in tags.items():
            if name.startswith(TAG):
                fields = json.loads(text)
                self._keys[fields["metric"], fields["axis"]] = fields["key"]
                if BY not in fields["key"]:
                    self._owners[fields["key"]] = fields["axis"]

    def plan(self, batch: Sequence[MetricPoint]) -> Plan:
        """Decide where points go; nothing is remembered until :meth:`done`."""
        plan = Plan([], {}, {}, {}, {})
        keys, known, moved = plan.keys, self._keys, plan.clocks
        for point in batch:
            name = point.name, point.axis
            key = known.get(name) or keys.get(name) or self._new_key(*name, plan)
            value, reason = point.value, None
            if value.__class__ is not float or not -1e300 < value < 1e300 or value == 0.0:
                value, reason = _storable(value)
            own = round(point.time * 1000)
            clock = moved.get(key) or self.clocks.get(key)
            timestamp = _timestamp(own, point.iteration, clock)
            if own < 0:
                timestamp, reason = 0, "a time before 1970"
            elif timestamp - own > FAR_OFF and reason is None:
                reason = "one point too many at this iteration and time"
            moved[key] = [own, timestamp, point.iteration]
            plan.placed.append(Placed(point, key, value, timestamp, reason))
        return plan

    def done(self, plan: Plan) -> None:
        """Remember what was decided: MLflow has it."""
        self._keys.update(plan.keys)
        self._owners.update(plan.owners)
        self.clocks.update(plan.clocks)

    def _new_key(self, metric: str, axis: str, plan: Plan) -> str:
        key = stored_name(metric)
        owner = self._owners.get(key) or plan.owners.get(key)
        if owner is None:
            plan.owners[key] = axis
        elif owner != axis:
            key = series_name(metric, axis)
        plan.keys[metric, axis] = key
        if key != metric or axis != DEFAULT_AXIS:
            plan.tags.update(name_tag(TAG, key, {"metric": metric[:_NAME_IN_TAG], "axis": axis}))
        return key


def _timestamp(own: int, step: int, clock: Clock | None) -> int:
    """Return the millisecond of a point that comes after ``clock``, in the log and in MLflow."""
    if clock is None or own < clock[0]:  # the first one, or of a time that was given
        return own
    _, last, last_step = clock
    if own > last:
        return own
    return last if step > last_step else last + 1


def _storable(value: float) -> tuple[float, str | None]:
    """Return the float64 that MLflow stores for a number, and the reason if they differ.

    Infinities become the largest floats, as MLflow's own SQL store has it; -0.0 loses its sign.
    """
    if isinstance(value, int):
        number = nearest_float(value)
        if math.isinf(number):
            return math.copysign(sys.float_info.max, number), "beyond the range of a float64"
        return number, None if number == value else "an integer that no float64 can hold"
    if math.isinf(value):
        return math.copysign(sys.float_info.max, value), "SQL has no infinity"
    if value == 0.0 and math.copysign(1.0, value) < 0:
        return 0.0, "SQL has no negative zero"
    return value, None
