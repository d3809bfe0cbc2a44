"""The factors of a sweep, and their product: every length and every index costs O(factors).

A factor is a list of partial configurations, most of them never written out. Names are *varying*
in a factor if its entries differ in them, *fixed* otherwise.
"""

from __future__ import annotations

import functools
import itertools
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tracelet.sweep.template import Template, differing, fresh, has_choice, is_fixed
from tracelet.sweep.values import size_of

_BLOCK = 4096
"""Up to so many parts are written out to be iterated over."""
_SMALL = 1000
"""Up to so many values, it is worth looking whether all of them are immutable."""


Part: TypeAlias = tuple[dict[str, Any], int]
"""A partial configuration, and which repetition of it this is."""


class Factor(ABC):
    """A list of partial configurations.

    Attributes:
        size: how many.
        varying, fixed: the names they have.
        repeats: how many repetitions of one configuration are told apart.
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
        which = bisect_right(self._ends, index)
        before = self._ends[which - 1] if which else 0
        return self._templates[which].pick(index - before), 0

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
        which = bisect_right(self._ends, index)
        before = self._ends[which - 1] if which else 0
        return self.products[which].pick(index - before)

    def parts(self, start: int = 0) -> Iterator[Part]:
        which = bisect_right(self._ends, start)
        before = self._ends[which - 1] if which else 0
        for one in self.products[which:]:
            yield from one.parts(start - before)
            start = before = 0


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


class Product:
    """The Cartesian product of factors, the first the slowest; later parts win over earlier ones.

    Attributes:
        size: how many configurations; of no factors: one, the empty one.
        varying, fixed, repeats, shares: as in :class:`Factor`.
    """

    def __init__(self, factors: Sequence[Factor] = ()) -> None:
        self.factors = tuple(factors)
        self.size = math.prod(factor.size for factor in self.factors)
        self.repeats = math.prod(factor.repeats for factor in self.factors)
        self.varying = frozenset[str]().union(*(factor.varying for factor in self.factors))
        names = frozenset[str]().union(*(factor.fixed for factor in self.factors))
        self.fixed = names - self.varying
        self.shares = any(factor.shares for factor in self.factors)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Product) and self.factors == other.factors

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> frozenset[str]:
        """All names."""
        return self.varying | self.fixed

    def pick(self, index: int) -> Part:
        """Return the configuration of one number."""
        picked = []
        for factor in reversed(self.factors):
            index, digit = divmod(index, factor.size)
            picked.append(factor.pick(digit))
        values: dict[str, Any] = {}
        repeat = 0
        for factor, part in zip(self.factors, reversed(picked), strict=True):
            values.update(part[0])
            repeat = repeat * factor.repeats + part[1]
        return values, repeat

    def parts(self, start: int = 0) -> Iterator[Part]:
        """Yield the configurations in order, from the number ``start``."""
        return _merged({}, 0, _in_blocks(self.factors), start) if start < self.size else iter(())


class _Block(Factor):
    """A few factors written out, since each of them would cost every configuration a step."""

    def __init__(self, factors: Sequence[Factor]) -> None:
        self._factors = factors
        self.size = math.prod(factor.size for factor in factors)
        self.repeats = math.prod(factor.repeats for factor in factors)

    def pick(self, index: int) -> Part:
        return self._parts[index]

    def parts(self, start: int = 0) -> Iterator[Part]:
        return iter(self._parts[start:] if start else self._parts)

    @functools.cached_property
    def _parts(self) -> list[Part]:
        rows: list[Part] = [({}, 0)]
        for factor in self._factors:
            parts, repeats = list(factor.parts()), factor.repeats
            rows = [
                ({**before, **values}, repeated * repeats + repeat)
                for before, repeated in rows
                for values, repeat in parts
            ]
        return rows


def _in_blocks(factors: Sequence[Factor]) -> list[Factor]:
    """Return factors with the same product, few and with many parts each."""
    blocks: list[Factor] = []
    group: list[Factor] = []
    size = 1
    for factor in factors:
        if group and size * factor.size > _BLOCK:
            blocks.append(_Block(group) if len(group) > 1 else group[0])
            group, size = [], 1
        group.append(factor)
        size *= factor.size
    return [*blocks, *([_Block(group) if len(group) > 1 else group[0]] if group else [])]


def _merged(
    before: dict[str, Any], repeated: int, factors: Sequence[Factor], start: int
) -> Iterator[Part]:
    """Yield a part with every combination of the factors behind it."""
    if not factors:
        yield dict(before), repeated
        return
    first, rest = factors[0], factors[1:]
    first_start, start = divmod(start, math.prod(factor.size for factor in rest))
    repeated *= first.repeats
    if not rest:
        for values, repeat in first.parts(first_start):
            yield {**before, **values}, repeated + repeat
        return
    for values, repeat in first.parts(first_start):
        yield from _merged({**before, **values}, repeated + repeat, rest, start)
        start = 0


def axis_factor(columns: Mapping[str, Sequence[Any]]) -> Factor:
    """Return the factor of names whose values go together; choices among the values expand."""
    sequences = columns.values()
    if all(isinstance(values, range) or not any(map(has_choice, values)) for values in sequences):
        return Columns(columns)
    rows = zip(*sequences, strict=True)
    return Entries([dict(zip(columns, row, strict=True)) for row in rows], as_axis=True)


def _is_fixed_axis(values: Sequence[Any]) -> bool:
    return isinstance(values, range) or (len(values) <= _SMALL and all(map(is_fixed, values)))
