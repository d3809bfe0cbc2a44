"""Makes a pandas DataFrame of points, column by column: a million points in a second.

A batch of records becomes a few arrays before the next is read: keeping a million record objects
takes more time than making them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from tracelet.records import AnyRecord, Metric

try:
    import numpy as np
    import pandas as pd
except ImportError as error:
    raise ImportError(
        "to_dataframe needs pandas; this installs it:  python -m pip install 'tracelet[dataframe]'"
    ) from error

_EXACT = 2**53


def points_to_dataframe(batches: Iterable[Sequence[AnyRecord]]) -> pd.DataFrame:
    """Return a DataFrame of the metric points among the records; see ``Run.to_dataframe``."""
    names, axes, values = _StrColumn(), _StrColumn(), _ValueColumn()
    iterations: list[np.ndarray] = []
    times: list[np.ndarray] = []
    for records in batches:
        if set(map(type, records)) == {Metric}:
            points = cast("Sequence[Metric]", records)
        else:
            points = [record for record in records if type(record) is Metric]
        names.add([point.name for point in points])
        axes.add([point.axis for point in points])
        values.add([point.value for point in points])
        iterations.append(np.array([point.iteration for point in points], dtype="int64"))
        times.append(np.array([point.time for point in points], dtype=float))
    return pd.DataFrame(
        {
            "name": names.column(),
            "value": values.column(),
            "iteration": _joined(iterations, "int64"),
            "axis": axes.column(),
            "time": _joined(times, "float64"),
        }
    )


class _Codes(dict[str, int]):
    """The number of each string, in the order of their first use."""

    def __missing__(self, key: str) -> int:
        self[key] = code = len(self)
        return code


class _StrColumn:
    """A column of few different strings."""

    def __init__(self) -> None:
        self._codes = _Codes()
        self._parts: list[np.ndarray] = []

    def add(self, values: list[str]) -> None:
        codes = map(self._codes.__getitem__, values)
        self._parts.append(np.fromiter(codes, dtype="int32", count=len(values)))

    def column(self) -> pd.Series[str]:
        codes = _joined(self._parts, "int32")
        values = pd.Index(list(self._codes), dtype=object)
        return pd.Series(pd.Categorical.from_codes(codes, values)).astype(str)


class _ValueColumn:
    """A column of values: float64, or objects if an integer is too large for that."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._large = False

    def add(self, values: list[Any]) -> None:
        kinds = set(map(type, values))
        if str in kinds:  # NaN and the infinities
            values = [float(value) if value.__class__ is str else value for value in values]
        if int not in kinds:
            self._parts.append(np.array(values, dtype=float))
            return
        # As objects: integers stay integers if one of them is too large.
        self._parts.append(np.array(values, dtype=object))
        self._large = self._large or any(
            value.__class__ is int and not -_EXACT <= value <= _EXACT for value in values
        )

    def column(self) -> np.ndarray:
        return _joined(self._parts, "object" if self._large else "float64")


def _joined(parts: list[np.ndarray], dtype: str) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *(part.astype(dtype, copy=False) for part in parts)])
