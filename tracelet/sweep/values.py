"""Whether what is given for a name is many values, or a single one."""

from __future__ import annotations

import enum
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.values.fields import named_fields
from tracelet.values.plain import ATOMS, is_array, is_set, is_table, sort_plain

_SINGLE = (str, bytes, bytearray, memoryview, Mapping)
_TIMES = "mM"
"""The kinds of NumPy's times and spans of time."""
_RISKY = (*_TIMES, "f", "c")
"""The kinds of NumPy's scalars that Python may have no type for."""


class DynamicValue:
    """Values for one place of a configuration; each of them makes a configuration of its own.

    It can stand anywhere in a configuration, inside nested dicts and lists, and among the values
    of another: a choice that brings choices of its own.

    Args:
        values: a list, tuple, range, set (taken in order), array, generator or any other iterable;
            a generator is read at once.

    Attributes:
        values: the values; a range stays one.

    Raises:
        ValueTypeError: for a str, a number, a mapping or another single value.
    """

    __slots__ = ("values",)

    def __init__(self, values: Iterable[Any]) -> None:
        found = many(values)
        if found is None:
            raise ValueTypeError(
                f"DynamicValue takes the values to choose from, e.g. a list or a range, "
                f"not a single {type(values).__name__}: DynamicValue([{values!r:.60}])"
            )
        self.values: Sequence[Any] = found

    def __repr__(self) -> str:
        values = self.values if isinstance(self.values, range) else list(self.values)
        return f"DynamicValue({values!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DynamicValue):
            return NotImplemented
        return size_of(self.values) == size_of(other.values) and all(
            mine == others for mine, others in zip(self.values, other.values, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # its values need not be hashable

    def __reduce__(self) -> tuple[Any, ...]:
        return DynamicValue, (self.values,)


def many(value: Any) -> Sequence[Any] | None:
    """Return the values that ``value`` holds, or None if it is a single one.

    Text, bytes, mappings, objects with named fields, classes and functions are single values even
    if they can be iterated; an enumeration class stands for its members. A range stays one, so
    that a range of any size costs nothing.
    """
    if type(value) in ATOMS or isinstance(value, _SINGLE):
        return None
    if isinstance(value, DynamicValue):
        return value.values
    if isinstance(value, range):
        return value
    if type(value) in (list, tuple):
        return tuple(value)
    if isinstance(value, type):
        return tuple(value) if issubclass(value, enum.Enum) else None
    if is_array(value) or is_table(value):
        return _elements(value)
    if is_set(value):
        return tuple(sort_plain(list(value)))
    if isinstance(value, Iterator):
        return tuple(value)
    if callable(value) or not isinstance(value, Iterable) or named_fields(value) is not None:
        return None
    return tuple(value)


def axis(name: str, value: Any) -> Sequence[Any]:
    """Return the values of a name, a single value as the only one.

    Raises:
        InvalidValueError: there are none.
    """
    values = many(value)
    if values is None:
        return (value,)
    if not values:
        raise InvalidValueError(f"{name!r} has no values; give it at least one, or leave it out")
    return values


def size_of(values: Sequence[Any]) -> int:
    """Return the length of a sequence; ``len`` itself fails for a range beyond 64 bits."""
    if isinstance(values, range):
        return max(0, -((values.start - values.stop) // values.step))
    return len(values)


def _elements(array: Any) -> Sequence[Any] | None:
    """Return the rows of an array as Python's own numbers and lists; None if it is a scalar."""
    if is_table(array):
        return None
    if not getattr(array, "shape", None):
        return None
    if not hasattr(array, "tolist"):
        array = array.numpy()
    if getattr(array.dtype, "kind", "") in _TIMES and any(map(is_only_numpys, array.flat)):
        return tuple(array)
    return tuple(array.tolist())


def is_only_numpys(value: Any) -> bool:
    """Tell a scalar of NumPy's for which Python has no type of its own: nanoseconds, long doubles.

    What NumPy makes of it is a number without its unit, or the scalar itself.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind not in _RISKY:
        return False
    plain = value.item()
    return type(plain) is type(value) or (kind in _TIMES and isinstance(plain, int))


def is_once_only(value: Any) -> bool:
    """Tell an iterator, which a second configuration would find empty."""
    return isinstance(value, Iterator)


def whole_number(what: str, number: Any) -> int:
    """Return an integer from 1."""
    if isinstance(number, bool) or not hasattr(type(number), "__index__"):
        raise ValueTypeError(f"{what}, an integer from 1, not {number!r:.60}")
    count = operator.index(number)
    if count < 1:
        raise InvalidValueError(f"{what}, an integer from 1, not {count}")
    return count
