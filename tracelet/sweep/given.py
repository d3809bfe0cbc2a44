"""What is given to a sweep, checked: numbers, names, configurations and files of them."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.factors import Concat, Entries, Factor, Product
from tracelet.sweep.saving import checked_entry, read_product
from tracelet.values.fields import named_fields


def whole_number(what: str, number: Any) -> int:
    """Return an integer from 1."""
    if isinstance(number, bool) or not hasattr(type(number), "__index__"):
        raise ValueTypeError(f"{what}, an integer from 1, not {number!r:.60}")
    count = operator.index(number)
    if count < 1:
        raise InvalidValueError(f"{what}, an integer from 1, not {count}")
    return count


def entry_of(given: Any) -> dict[str, Any] | Product:
    """Return a configuration; the product of a sweep is that of many.

    Raises:
        ValueTypeError: it is neither, nor a mapping or a pydantic model.
        InvalidValueError: a name in it is no text.
    """
    if isinstance(given, Product):
        return given
    if isinstance(given, Mapping):
        return checked_entry(given, "a configuration")
    if hasattr(type(given), "__pydantic_fields__"):
        return {name: _without_models(one) for name, one in (named_fields(given) or {}).items()}
    raise ValueTypeError(
        f"a configuration is a mapping or a pydantic model, not a {type(given).__name__}"
    )


def read_entry(given: Any) -> dict[str, Any] | Product:
    """Return a configuration, or those of the file at a path."""
    if isinstance(given, str | os.PathLike):
        return read_product(Path(given))
    return entry_of(given)


def _without_models(value: Any) -> Any:
    if hasattr(type(value), "__pydantic_fields__"):
        return {name: _without_models(one) for name, one in (named_fields(value) or {}).items()}
    if type(value) is list:
        return [_without_models(one) for one in value]
    return value


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
