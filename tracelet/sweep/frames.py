"""Rows of names and values as a pandas DataFrame in which an integer stays one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracelet.errors import MissingPackageError

if TYPE_CHECKING:
    import pandas as pd

_ABSENT: Any = object()
_INT64 = 2**63
_EXACT = 2**53


def rows_to_dataframe(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row each, the columns in the order in which their names appear first.

    Raises:
        MissingPackageError: pandas is not installed; the message has the install line.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingPackageError(
            "to_dataframe needs pandas; this installs it:  "
            "python -m pip install 'tracelet[dataframe]'"
        ) from error

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _column([row.get(name, _ABSENT) for row in rows]) for name in names}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _column(values: list[Any]) -> pd.Series[Any]:
    import pandas as pd

    there = [value for value in values if value is not _ABSENT and value is not None]
    kinds = set(map(type, there))
    plain = [None if value is _ABSENT else value for value in values]
    if kinds == {int} and all(-_INT64 <= value < _INT64 for value in there):
        return pd.Series(plain, dtype="int64" if len(there) == len(values) else "Int64")
    if kinds == {bool}:
        return pd.Series(plain, dtype="bool" if len(there) == len(values) else "boolean")
    exact = all(-_EXACT <= value <= _EXACT for value in there if type(value) is int)
    if kinds and kinds <= {int, float} and exact:
        return pd.Series(plain, dtype="float64")
    return pd.Series(plain, dtype=object)
