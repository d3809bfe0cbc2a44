"""The calls of an experiment that log metrics; the one that runs millions of times is here."""

from __future__ import annotations

from collections.abc import Mapping
from time import time as clock
from typing import Any, Never

from tracelet.core.keywords import refuse_keywords
from tracelet.core.scalars import iteration_value, metric_name, metric_value
from tracelet.core.track import Track
from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.records import DEFAULT_AXIS, Metric, encode_plain, encode_points
from tracelet.wire import clean_text

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
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
        *,
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
        # The common case, a finite float with an integer iteration, costs one test and one write.
        if (
            type(value) is float
            and value - value == 0.0
            and type(iteration) is int
            and _SMALLEST <= iteration <= _LARGEST
            and type(name) is str
            and name
            and axis is DEFAULT_AXIS
            and time is None
            and name.isascii()
            and not unknown
        ):
            now = clock()
            # The line of a Metric; a tuple is made in less time, here and below.
            line = encode_plain(("metric", now, name, value, iteration, axis)) + b"\n"
            self._append(line, 1, now)
            self._last[name] = iteration
        elif unknown:
            refuse_keywords("log_metric", unknown, ("name", "value", *_KEYWORDS))
        else:
            self._log_points({name: value}, iteration, axis, time)

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
        if unknown:
            refuse_keywords("log_metrics", unknown, ("values", *_KEYWORDS))
        if not isinstance(values, Mapping):
            raise ValueTypeError(
                f"log_metrics takes a mapping of names to numbers, not {type(values).__name__}"
            )
        self._log_points(values, iteration, axis, time)

    def track(self, name: str) -> Track:
        """Return a metric as an object: ``exp.track("loss").append(value=0.1, epoch=3)``."""
        return Track(self.log_metric, metric_name(name))

    def _log_points(
        self, values: Mapping[str, Any], iteration: Any, axis: str, time: float | None
    ) -> None:
        if axis is not DEFAULT_AXIS:
            axis = clean_text(metric_name(axis))
            axis = DEFAULT_AXIS if axis == DEFAULT_AXIS else axis
        now = clock() if time is None else _timestamp(time)
        at = None
        points = []
        for name, value in values.items():
            if value.__class__ is not float or value - value != 0.0:
                value = metric_value(metric_name(name), value)  # noqa: PLW2901
            if name.__class__ is not str or not name or not name.isascii():
                name = clean_text(metric_name(name))  # noqa: PLW2901
            if iteration is None:
                at = self._next_iteration(name, axis)
            elif at is None:
                at = iteration_value(name, iteration)
            points.append(("metric", now, name, value, at, axis))  # the line of a Metric
        self._append(encode_points(points), len(points), now if time is None else clock())
        last = self._last
        for _, _, name, _, at, _ in points:
            last[name if axis is DEFAULT_AXIS else (name, axis)] = at

    def _next_iteration(self, name: str, axis: str) -> int:
        if self._current is not None and axis is DEFAULT_AXIS:
            return self._current
        last = self._last.get(name if axis is DEFAULT_AXIS else (name, axis), -1)
        return min(last + 1, _LARGEST)

    def _note_last(self, point: Metric) -> None:
        name, axis = point.name, point.axis
        self._last[name if axis == DEFAULT_AXIS else (name, axis)] = point.iteration


def _timestamp(time: Any) -> float:
    try:
        seconds = float(time)
    except (TypeError, ValueError):
        raise ValueTypeError(f"time is seconds since the epoch, not {time!r}") from None
    if not 0 <= seconds < 1e11:
        raise InvalidValueError(f"time is seconds since the epoch, from 1970 on: {time!r}")
    return seconds
