"""Configurations with choices inside: how many there are, and which one the n-th is.

Choices are told apart like the digits of a number, the first one found being the slowest: so the
n-th is found without making those before it.
"""

from __future__ import annotations

import copy
import itertools
import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.values import DynamicValue, is_once_only, size_of
from tracelet.values.fields import named_fields
from tracelet.values.plain import ATOMS, elements

log = logging.getLogger(__name__)

_LARGE = 100_000


class Template:
    """A value in which choices may stand.

    Args:
        value: any value; a mapping, list or tuple is looked into.
        path: the names that lead to it, for messages.

    Attributes:
        size: how many values it stands for.
        is_fixed: whether nothing in them can be changed in place.

    Raises:
        InvalidValueError: a choice has no values.
        ValueTypeError: a generator stands where a value must be: it could be read only once; or a
            choice in an object of which no copy with another value could be made.
    """

    __slots__ = ("_ends", "_kind", "_parts", "_value", "is_fixed", "size")

    def __init__(self, value: Any, path: str) -> None:
        self._value = value
        self._kind: Any = None
        self._parts: list[Template] = []
        self._ends: list[int] = []
        self.size = 1
        self.is_fixed = is_fixed(value)
        if type(value) in ATOMS:
            return
        if is_once_only(value):
            raise ValueTypeError(
                f"{path!r} is a {type(value).__name__}, which can be read only once: make it a "
                f"list, or DynamicValue(…) if each of its values is to be tried"
            )
        if isinstance(value, DynamicValue):
            self._choice(value, path)
        elif isinstance(value, dict):
            named = ((f"{path}.{key}" if path else str(key), item) for key, item in value.items())
            self._product(dict, [Template(item, name) for name, item in named])
        elif type(value) in (list, tuple):
            parts = [Template(item, f"{path}[{index}]") for index, item in enumerate(value)]
            self._product(type(value), parts)
        elif has_choice(value):
            raise ValueTypeError(
                f"{path!r} is a {type(value).__name__} with a DynamicValue inside; one can stand "
                f"in dicts, lists and tuples: make it one of these, or a DynamicValue of several"
            )

    def _choice(self, choice: DynamicValue, path: str) -> None:
        self._kind, self._value = DynamicValue, choice.values
        self.size = size_of(choice.values)
        if not self.size:
            raise InvalidValueError(f"{path!r} has no values to choose from: DynamicValue([])")
        if isinstance(choice.values, range):
            self.is_fixed = True
            return
        self._parts = [Template(item, path) for item in choice.values]
        self._ends = list(itertools.accumulate(part.size for part in self._parts))
        self.size = self._ends[-1]
        self.is_fixed = all(part.is_fixed for part in self._parts)

    def _product(self, kind: type, parts: list[Template]) -> None:
        if any(part.has_choice for part in parts):
            self._kind, self._parts = kind, parts
        self.is_fixed = kind is tuple and all(part.is_fixed for part in parts)
        for part in parts:
            self.size *= part.size

    @property
    def has_choice(self) -> bool:
        """Whether it has a choice inside."""
        return self._kind is not None

    def pick(self, index: int) -> Any:
        """Return the value of one number, 0 to ``size - 1``; what is in it may be shared."""
        if self._kind is None:
            return self._value
        if self._kind is DynamicValue:
            if not self._parts:
                return self._value[index]
            which = bisect_right(self._ends, index)
            return self._parts[which].pick(index - (self._ends[which - 1] if which else 0))
        picked: list[Any] = []
        for part in reversed(self._parts):
            index, digit = divmod(index, part.size)
            picked.append(part.pick(digit))
        picked.reverse()
        return self._put_together(picked)

    def all(self) -> Iterator[Any]:
        """Yield every value, in order; what is in them may be shared."""
        if self._kind is None:
            return iter((self._value,))
        if self._kind is DynamicValue:
            if not self._parts:
                return iter(self._value)
            return itertools.chain.from_iterable(part.all() for part in self._parts)
        if any(part.size > _LARGE for part in self._parts):  # too many to hold in memory
            return map(self.pick, range(self.size))
        return map(self._put_together, itertools.product(*(part.all() for part in self._parts)))

    def _put_together(self, items: Iterable[Any]) -> Any:
        if self._kind is dict:
            return dict(zip(self._value, items, strict=True))
        return list(items) if self._kind is list else tuple(items)


def fresh(value: Any) -> Any:
    """Return a copy of a value of which nothing is shared; what cannot be copied is the value."""
    if type(value) in ATOMS:
        return value
    if type(value) is list:
        return [item if type(item) in ATOMS else fresh(item) for item in value]
    if type(value) is dict:
        return {key: item if type(item) in ATOMS else fresh(item) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(fresh(item) for item in value)
    try:
        return copy.deepcopy(value)
    except Exception:  # a copy is made by foreign code, and a lock or a module has none
        log.debug("a value of type %s cannot be copied", type(value), exc_info=True)
        return value


def is_fixed(value: Any) -> bool:
    """Tell a value that nobody can change in place, so that it need not be copied."""
    if type(value) in ATOMS:
        return True
    return type(value) is tuple and all(map(is_fixed, value))


def has_choice(value: Any) -> bool:
    """Tell whether a choice stands somewhere in a value, even where it cannot be expanded."""
    if type(value) in ATOMS:
        return False
    if isinstance(value, DynamicValue):
        return True
    try:
        if (fields := named_fields(value)) is not None:
            return any(map(has_choice, fields.values()))
    except Exception:  # a mapping may be foreign code, as one of OmegaConf's with a value missing
        log.debug("the fields of a %s cannot be read", type(value), exc_info=True)
        return False
    return any(map(has_choice, elements(value) or (value if isinstance(value, tuple) else ())))


def differing(rows: Sequence[Mapping[str, Any]]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names whose values differ between rows, and those that are the same in all."""
    varying: set[str] = set()
    first = rows[0]
    names = set(first)
    for row in rows:
        names |= set(row)
        for name in names - varying:
            if name not in row or name not in first or not _same(row[name], first[name]):
                varying.add(name)
    varying |= {name for name in first if has_choice(first[name])}
    return frozenset(varying), frozenset(names - varying)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # the comparison of arrays is no truth, and that of others is foreign code
        log.debug("values of type %s cannot be compared", type(one), exc_info=True)
        return False
