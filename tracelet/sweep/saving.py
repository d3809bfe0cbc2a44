"""The factors of a sweep as JSON-like values and back, so that it outlives its process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracelet.errors import InvalidValueError, TraceletError
from tracelet.sweep.encoding import decoded, encoded
from tracelet.sweep.factors import (
    Columns,
    Concat,
    Entries,
    Factor,
    Picked,
    Product,
    Repeats,
    axis_factor,
)
from tracelet.sweep.files import read_content
from tracelet.sweep.values import axis, size_of


def saved(product: Product) -> list[Any]:
    """Return the factors of a product, JSON-like.

    Raises:
        ValueTypeError: a value is of a type that no file can hold.
    """
    return [_saved(factor) for factor in product.factors]


def _saved(factor: Factor) -> dict[str, Any]:
    if isinstance(factor, Columns):
        word = "product" if len(factor.columns) == 1 else "zip"
        return {word: {name: _axis(name, values) for name, values in factor.columns.items()}}
    if isinstance(factor, Entries):
        entries = [_entry(entry) for entry in factor.entries]
        if factor.is_axis:
            return {"rows": entries}
        return {"set": entries[0]} if len(entries) == 1 else {"chain": entries}
    if isinstance(factor, Repeats):
        return {"repeat": factor.size}
    if isinstance(factor, Concat):
        return {"concat": [saved(one) for one in factor.products]}
    assert isinstance(factor, Picked)
    return {"pick": _axis("", factor.indices), "of": saved(factor.product)}


def _axis(name: str, values: Sequence[Any]) -> Any:
    return encoded(values if isinstance(values, range) else list(values), name)


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encoded(value, name) for name, value in entry.items()}


def restored(factors: Sequence[Any], place: str) -> Product:
    """Undo :func:`saved`.

    Args:
        factors: what it returned.
        place: where they come from, for messages.

    Raises:
        InvalidValueError: they are not the factors of a sweep.
    """
    return Product([_restored(factor, place) for factor in factors])


def _restored(factor: Any, place: str) -> Factor:
    try:
        return _factor(factor, place)
    except TraceletError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InvalidValueError(f"{place}: {factor!r:.80} is no factor of a sweep") from error


def _factor(factor: Mapping[str, Any], place: str) -> Factor:
    word, content = next(iter(factor.items()))
    if set(factor) != ({"pick", "of"} if word in ("pick", "of") else {word}):
        raise ValueError(factor)  # which of its words comes first would not be said
    if word in ("product", "zip"):
        columns = {name: axis(name, decoded(values)) for name, values in content.items()}
        sizes = {size_of(values) for values in columns.values()}
        if len(columns) != 1 and (word == "product" or len(sizes) != 1):
            raise ValueError(content)
        return axis_factor(columns)
    if word in ("set", "chain", "rows"):
        entries = [content] if word == "set" else content
        return Entries([decoded_entry(one) for one in entries], as_axis=word == "rows")
    if word == "repeat":
        if type(content) is not int or content < 1:
            raise ValueError(content)
        return Repeats(content)
    if word == "concat":
        return Concat([restored(one, place) for one in content])
    product = restored(factor["of"], place)
    indices = decoded(factor["pick"])
    ends = (indices[0], indices[-1]) if isinstance(indices, range) and indices else indices
    if not all(0 <= index < product.size for index in ends):
        raise ValueError(indices)
    return Picked(product, indices)


def decoded_entry(entry: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a configuration as it was before it was written to a file."""
    return {name: decoded(value) for name, value in entry.items()}


def read_product(path: Path) -> Product:
    """Read a saved sweep, or a list of configurations.

    Raises:
        ArtifactNotFoundError: there is no such file.
        InvalidValueError: it holds neither.
    """
    factors, entries = read_content(path)
    if factors is not None:
        return restored(factors, str(path))
    if not entries:
        raise InvalidValueError(f"{path} holds no configuration")
    return Product([Entries([checked_entry(decoded_entry(one), str(path)) for one in entries])])


def checked_entry(entry: Mapping[Any, Any], place: str) -> dict[str, Any]:
    """Return a configuration whose names are texts.

    Raises:
        InvalidValueError: one is not, or is empty.
    """
    for name in entry:
        if not isinstance(name, str) or not name:
            raise InvalidValueError(f"{place}: a name is a text that is not empty, not {name!r}")
    return dict(entry)
