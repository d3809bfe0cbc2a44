"""The calls of an experiment that log metrics; the one that runs millions of times is here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from time import time as clock
from typing import Any, Never

from tracelet.core.keywords import refuse_keywords
from tracelet.core.track import Track
from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.records import DEFAULT_AXIS, Metric, encode_plain, encode_points
from tracelet.values.plain import copied, describe
from tracelet.values.scalars import iteration_value, metric_name, metric_value
from tracelet.wire import clean_text

_LARGEST = 2**63 - 1
_SMALL, _COMMON = -(2**30), 2**30
"""Between them Python compares integers in the shortest time."""
_MOST_IN_LINE = 256
"""Points in one line, which stays shorter than what is kept in a blob, unless names are long."""
_NUMBERS = frozenset({float, int})
_KEYWORDS = ("iteration", "axis", "time")


class MetricCalls:
    """What an :class:`~tracelet.Experiment` does with numbers."""

    _append: Any
    """Takes whole lines, their count, and the time of the call; raises if the run has ended."""

    def __init__(self) -> None:
        self._current: int | None = None
        self._last: dict[str | tuple[str, str], int] = {}
        """Where each metric's last point is; the key has the axis unless it is the default one."""

    def _check_running(self) -> None:
        """Raise unless the run lives."""
        raise NotImplementedError

    @property
    def iteration(self) -> int | None:
        """The current iteration; None until :meth:`set_iteration`."""
        return self._current

    def set_iteration(self, iteration: int) -> None:
        """Set the iteration of every metric that is logged without one.

        Raises:
            InvalidValueError: it is a fraction.
            ValueTypeError: it is no number.
        """
        self._check_running()
        self._current = iteration_value(None, iteration)

    def log_metric(
        self,
        name: str,
        value: Any,
        iteration: int | None = None,
        axis: str = DEFAULT_AXIS,
        time: float | None = None,
        **unknown: Never,
    ) -> None:
        """Log one point of a metric.

        Args:
            name: the metric's name; any text, ``train/loss`` groups in most trackers.
            value: anything with one number in it: bool, int, float, Decimal, a NumPy or Torch
                scalar, an array or tensor with one element. NaN and the infinities are kept.
            iteration: the integer position on the axis; None: the current iteration, or else a
                one more than this metric's last point on the axis, 0 for its first.
            axis: the name of the x-axis.
            time: seconds since the epoch; None: now.
            unknown: none; ``step=3`` and the like are answered with the word that is meant.

        Raises:
            ValueTypeError: value or iteration is no number, or an argument is unknown.
            InvalidValueError: the iteration is a fraction, or the name is empty.
        """
        # The common case, a finite number of a metric that has been logged before, costs a few
        # tests and one write.
        kind = type(value)
        if (
            ((kind is float and value - value == 0.0) or (kind is int and _SMALL < value < _COMMON))
            and type(name) is str
            and name in self._last
            and axis is DEFAULT_AXIS
            and time is None
            and not unknown
        ):
            at = iteration
            if at is None:
                at = self._last[name] + 1 if self._current is None else self._current
            if type(at) is int and 0 <= at < _COMMON:
                now = clock()
                # The line of a Metric; a tuple is made in less time, here and below.
                line = encode_plain(("metric", now, name, value, at, axis)) + b"\n"
                append = self._append  # Python is quicker to call a name than a given attribute
                append(line, 1, now)
                self._last[name] = at
                return
        if unknown:
            refuse_keywords("log_metric", unknown, ("name", "value", *_KEYWORDS))
        self._log_points({metric_name(name): value}, iteration, axis, time)

    def log_metrics(
        self,
        values: Mapping[str, Any],
        iteration: int | None = None,
        *,
        axis: str = DEFAULT_AXIS,
        time: float | None = None,
        **unknown: Never,
    ) -> None:
        """Log one point of each of several metrics, all or none; see :meth:`log_metric`.

        Args:
            values: metric names and their values.
            iteration: as in :meth:`log_metric`, for all of them.
            axis: as in :meth:`log_metric`.
            time: as in :meth:`log_metric`.
            unknown: as in :meth:`log_metric`.
        """
        # As in log_metric; here the points are one line.
        if (
            type(values) is dict
            and 0 < len(values) <= _MOST_IN_LINE
            and self._last.keys() >= values.keys()
            and _NUMBERS.issuperset(map(type, values.values()))
            and axis is DEFAULT_AXIS
            and time is None
            and not unknown
        ):
            at = self._next_of_all(values) if iteration is None else iteration
            if type(at) is int and 0 <= at < _COMMON:
                now = clock()
                try:
                    line = encode_plain(("metrics", now, values, at, axis)) + b"\n"
                    total = sum(values.values(), 0.0)
                except (TypeError, OverflowError):  # a name that only equals a text, a vast integer
                    line, total = b"", math.nan
                if total - total == 0.0:  # not so for NaN and the infinities
                    append = self._append
                    append(line, len(values), now)
                    self._last.update(dict.fromkeys(values, at))
                    return
        if unknown:
            refuse_keywords("log_metrics", unknown, ("values", *_KEYWORDS))
        if not isinstance(values, Mapping):
            raise ValueTypeError(
                f"log_metrics takes a mapping of names to numbers, not {type(values).__name__}"
            )
        if type(values) is not dict:
            values = copied("log_metrics: the mapping", values)
        if not values and iteration is not None:
            iteration_value(None, iteration, "log_metrics")
        self._log_points(values, iteration, axis, time)

    def track(self, name: str) -> Track:
        """Return a metric as an object: ``exp.track("loss").append(value=0.1, epoch=3)``."""
        return Track(self.log_metric, metric_name(name))

    def _log_points(
        self, values: Mapping[str, Any], iteration: Any, axis: str, time: float | None
    ) -> None:
        if axis is not DEFAULT_AXIS:
            axis = metric_name(axis, "the axis of a metric")
            axis = DEFAULT_AXIS if axis == DEFAULT_AXIS else axis
        now = clock() if time is None else _timestamp(time)
        at = None
        points = []
        for name, value in values.items():
            if type(value) is not float or value - value != 0.0:
                value = metric_value(metric_name(name), value)  # noqa: PLW2901
            if type(name) is not str or not name or not name.isascii():
                name = clean_text(metric_name(name))  # noqa: PLW2901
            if iteration is None:
                at = self._next_iteration(name, axis)
            elif at is None:
                at = iteration_value(name, iteration)
            points.append(("metric", now, name, value, at, axis))  # the line of a Metric
        self._append(_lines(points), len(points), now if time is None else clock())
        last = self._last
        for _, _, name, _, at, _ in points:
            last[name if axis is DEFAULT_AXIS else (name, axis)] = at

    def _next_iteration(self, name: str, axis: str) -> int:
        if self._current is not None and axis is DEFAULT_AXIS:
            return self._current
        last = self._last.get(name if axis is DEFAULT_AXIS else (name, axis), -1)
        return min(last + 1, _LARGEST)

    def _next_of_all(self, names: Iterable[str]) -> int | None:
        """Return the iteration of the next points of metrics; None if there is not one for all."""
        if self._current is not None:
            return self._current
        last, *others = set(map(self._last.__getitem__, names))
        return None if others else last + 1

    def _note_last(self, point: Metric) -> None:
        name, axis = point.name, point.axis
        self._last[name if axis == DEFAULT_AXIS else (name, axis)] = point.iteration


def _lines(points: list[tuple[str, float, str, Any, int, str]]) -> bytes:
    """Make one line of points at the same iteration, and else one of each."""
    if 1 < len(points) <= _MOST_IN_LINE:
        _, now, _, _, at, axis = points[0]
        values = {name: value for _, _, name, value, _, _ in points}
        if len(values) == len(points) and all(point[4] == at for point in points):
            return encode_plain(("metrics", now, values, at, axis)) + b"\n"
    return encode_points(points)


def _timestamp(time: Any) -> float:
    try:
        seconds = float(time)
    except Exception as error:  # a number can be the user's code
        raise ValueTypeError(
            f"time is seconds since the epoch, not {describe(time):.80}"
        ) from error
    if not 0 <= seconds < 1e11:
        raise InvalidValueError(f"time is seconds since the epoch, from 1970 on: {seconds}")
    return seconds
