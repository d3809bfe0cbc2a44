"""The factors of a sweep, and their product: every length and every index costs O(factors).

A factor is a list of partial configurations, most of them never written out. Names are *varying*
in a factor if its entries differ in them, *fixed* otherwise. A configuration with choices inside is
a template: its choices count like the digits of a number, the first being the slowest.
So the n-th is found without making those before it.
"""

from __future__ import annotations

import copy
import itertools
import logging
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.values import DynamicValue, is_once_only, size_of
from tracelet.values.equality import same_value
from tracelet.values.fields import named_fields
from tracelet.values.plain import ATOMS, elements

log = logging.getLogger(__name__)

_LARGE = 100_000

# -- choices inside a configuration -------------------------------------------------------------


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
            which, index = _located(self._ends, index)
            return self._parts[which].pick(index)
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


def _located(ends: Sequence[int], index: int) -> tuple[int, int]:
    """Return which of several in a row has an index, and its index there."""
    which = bisect_right(ends, index)
    return which, index - (ends[which - 1] if which else 0)


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
            if name not in row or name not in first or not same_value(row[name], first[name]):
                varying.add(name)
    varying |= {name for name in first if has_choice(first[name])}
    return frozenset(varying), frozenset(names - varying)


# -- factors ------------------------------------------------------------------------------------

_SMALL = 1000
"""Up to so many values, it is worth looking whether all of them are immutable."""


Part: TypeAlias = tuple[dict[str, Any], int]
"""A partial configuration, and which repetition of it this is."""


class Factor(ABC):
    """A list of partial configurations.

    Attributes:
        size: how many.
        varying, fixed: the names they have.
        repeats: how many repetitions of one configuration it has.
        shares: whether parts may hold something that can be changed in place.
    """

    size: int
    varying: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    repeats: int = 1
    shares: bool = True

    @property
    def names(self) -> frozenset[str]:
        """All names."""
        return self.varying | self.fixed

    @abstractmethod
    def pick(self, index: int) -> Part:
        """Return the part of one number, 0 to ``size - 1``; what is in it may be shared."""

    def parts(self, start: int = 0) -> Iterator[Part]:
        """Yield them in order, from the number ``start``."""
        return map(self.pick, range(start, self.size))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class Columns(Factor):
    """Names whose values go together: the n-th of each."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns = {
            name: values if isinstance(values, range) else fresh(values)
            for name, values in columns.items()
        }
        self.size = size_of(next(iter(self.columns.values())))
        self.varying = frozenset(self.columns)
        self.shares = not all(map(_is_fixed_axis, self.columns.values()))

    def pick(self, index: int) -> Part:
        return {name: values[index] for name, values in self.columns.items()}, 0


class Entries(Factor):
    """Partial configurations as they were given, in which choices may stand.

    Args:
        entries: the configurations; at least one.
        as_axis: all their names count as varying.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]], *, as_axis: bool = False) -> None:
        self.entries = [fresh(dict(entry)) for entry in entries]
        self._templates = [Template(entry, "") for entry in self.entries]
        self._ends = list(itertools.accumulate(one.size for one in self._templates))
        self.size = self._ends[-1]
        self.shares = not all(one.is_fixed for one in self._templates)
        self.varying, self.fixed = differing(self.entries)
        self.is_axis = as_axis
        if as_axis:
            self.varying, self.fixed = self.varying | self.fixed, frozenset()

    def pick(self, index: int) -> Part:
        which, index = _located(self._ends, index)
        return self._templates[which].pick(index), 0

    def parts(self, start: int = 0) -> Iterator[Part]:
        if start:
            return super().parts(start)
        return ((values, 0) for one in self._templates for values in one.all())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Entries)
            and self.is_axis == other.is_axis
            and self.entries == other.entries
        )

    __hash__ = None


class Repeats(Factor):
    """Nothing, several times: each configuration before it is repeated in a row."""

    shares = False

    def __init__(self, times: int) -> None:
        self.size = self.repeats = times

    def pick(self, index: int) -> Part:
        return {}, index


class Concat(Factor):
    """The configurations of one product after those of another."""

    def __init__(self, products: Sequence[Product]) -> None:
        self.products = list(products)
        self._ends = list(itertools.accumulate(one.size for one in self.products))
        self.size = self._ends[-1]
        # What is fixed in one of them may be something else, or missing, in the next.
        self.varying = frozenset[str]().union(*(one.varying | one.fixed for one in self.products))
        self.repeats = max(one.repeats for one in self.products)
        self.shares = any(one.shares for one in self.products)

    def pick(self, index: int) -> Part:
        which, index = _located(self._ends, index)
        return self.products[which].pick(index)

    def parts(self, start: int = 0) -> Iterator[Part]:
        which, start = _located(self._ends, start)
        for one in self.products[which:]:
            yield from one.parts(start)
            start = 0


class Picked(Factor):
    """Some of the configurations of a product: a slice, or a sample."""

    def __init__(self, product: Product, indices: Sequence[int]) -> None:
        self.product = product
        self.indices = indices if isinstance(indices, range) else list(indices)
        self.size = size_of(self.indices)
        self.varying, self.fixed, self.repeats = product.varying, product.fixed, product.repeats
        self.shares = product.shares

    def pick(self, index: int) -> Part:
        return self.product.pick(self.indices[index])

    def parts(self, start: int = 0) -> Iterator[Part]:
        if not isinstance(self.indices, range) or self.indices.step != 1:
            return super().parts(start)
        return itertools.islice(self.product.parts(self.indices.start + start), self.size - start)


class Product(Factor):
    """The Cartesian product of factors, the first the slowest; later parts win over earlier ones.

    The product of no factors is one configuration, the empty one.
    """

    def __init__(self, factors: Sequence[Factor] = ()) -> None:
        self.factors = tuple(factors)
        self.size = math.prod(factor.size for factor in self.factors)
        self.repeats = math.prod(factor.repeats for factor in self.factors)
        self.varying = frozenset[str]().union(*(factor.varying for factor in self.factors))
        names = frozenset[str]().union(*(factor.fixed for factor in self.factors))
        self.fixed = names - self.varying
        self.shares = any(factor.shares for factor in self.factors)

    def pick(self, index: int) -> Part:
        picked = []
        for factor in reversed(self.factors):
            index, digit = divmod(index, factor.size)
            picked.append(factor.pick(digit))
        return self._merged(picked[::-1])

    def parts(self, start: int = 0) -> Iterator[Part]:
        if start > _LARGE or any(factor.size > _LARGE for factor in self.factors):
            yield from super().parts(start)  # too many to hold in memory, or to be passed by
            return
        combinations = itertools.product(*(list(factor.parts()) for factor in self.factors))
        yield from map(self._merged, itertools.islice(combinations, start, None))

    def _merged(self, parts: Sequence[Part]) -> Part:
        merged: dict[str, Any] = {}
        for values, _ in parts:
            merged |= values  # far quicker than update()
        repeat = 0
        if self.repeats > 1:
            for factor, (_, repeated) in zip(self.factors, parts, strict=True):
                repeat = repeat * factor.repeats + repeated
        return merged, repeat


def axis_factor(columns: Mapping[str, Sequence[Any]]) -> Factor:
    """Return the factor of names whose values go together; choices among the values expand."""
    sequences = columns.values()
    if all(isinstance(values, range) or not any(map(has_choice, values)) for values in sequences):
        return Columns(columns)
    rows = zip(*sequences, strict=True)
    return Entries([dict(zip(columns, row, strict=True)) for row in rows], as_axis=True)


def _is_fixed_axis(values: Sequence[Any]) -> bool:
    return isinstance(values, range) or (len(values) <= _SMALL and all(map(is_fixed, values)))


def concatenated(place: str, given: Sequence[dict[str, Any] | Product]) -> Factor:
    """Return the factor of configurations and sweeps, one after another."""
    if not given:
        raise InvalidValueError(f"{place} has no configurations; give it at least one")
    groups: list[list[dict[str, Any]] | Product] = []
    for one in given:
        if isinstance(one, Product):
            groups.append(one)
        elif groups and isinstance(groups[-1], list):
            groups[-1].append(one)
        else:
            groups.append([one])
    products = [one if isinstance(one, Product) else Product([Entries(one)]) for one in groups]
    if len(products) == 1 and len(products[0].factors) == 1:
        return products[0].factors[0]
    return Concat(products)
