"""One metric as an object: ``exp.track("loss").append(0.1, epoch=3)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracelet.errors import InvalidValueError
from tracelet.records import DEFAULT_AXIS


class Track:
    """One metric of an experiment."""

    def __init__(self, log_metric: Callable[..., None], name: str) -> None:
        self._log_metric = log_metric
        self.name = name

    def append(self, value: Any, *, time: float | None = None, **axis: int | None) -> None:
        """Log one point.

        Args:
            value: the number.
            time: seconds since the epoch; None: now.
            axis: the x-axis and the position on it, e.g. ``epoch=3``; without it: the iteration.

        Raises:
            InvalidValueError: more than one axis is given.
        """
        if len(axis) > 1:
            raise InvalidValueError(
                f"track({self.name!r}).append takes one axis, and got {', '.join(axis)}; "
                "a point has one position"
            )
        name, position = next(iter(axis.items()), (DEFAULT_AXIS, None))
        self._log_metric(self.name, value, position, axis=name, time=time)
