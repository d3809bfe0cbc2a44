"""Sections: the part of a parameter's key before ``/``, as ClearML has them.

``General`` is the section of a key without one; were it not left out, ``lr`` and ``General/lr``
would be two parameters.
"""

from __future__ import annotations

from typing import Any

from tracelet.core.flatten import Flat, is_split, path_of, unflatten
from tracelet.errors import InvalidValueError, KeyCollisionError, ValueTypeError
from tracelet.wire import clean_text

GENERAL = "General"

_PREFIX = f"{GENERAL}/"


def plain_key(key: Any) -> Any:
    """Return the flat key of one that may begin with ``General/``."""
    return key.removeprefix(_PREFIX) if isinstance(key, str) else key


def section_prefix(section: Any) -> str:
    """Return what stands before the keys of a section; of ``General`` nothing.

    Raises:
        ValueTypeError: if the section is not a string.
        InvalidValueError: if it is empty.
    """
    if section is None:
        return ""
    if not isinstance(section, str):
        raise ValueTypeError(
            f"section= is the name of a section, not {section!r}; a parameter of that name can be "
            'given as set({"section": ...})'
        )
    name = clean_text(str.__str__(section)).strip("/")
    if not name:
        raise InvalidValueError("the name of a section must not be empty")
    return "" if name == GENERAL else f"{name}/"


def joined(given: Flat, values: Flat) -> Flat:
    """Join the two parts of one call.

    Raises:
        KeyCollisionError: if they have a key in common, or one is a branch of the other.
    """
    for key in given.values.keys() & values.values.keys():
        raise KeyCollisionError(
            key, f"parameter {key!r} is given twice: in the mapping and by name"
        )
    flat = Flat({**given.values, **values.values}, {**given.paths, **values.paths})
    unflatten(*flat)
    return flat


def in_section(flat: Flat, prefix: str) -> Flat:
    """Put keys under a section; ``General/`` is left out.

    Raises:
        KeyCollisionError: if two become the same without it.
    """
    if not prefix and not any(key.startswith(_PREFIX) for key in flat.values):
        return flat
    moved = Flat({}, {})
    for key, value in flat.values.items():
        first, *rest = path_of(key, flat.paths)
        path = (prefix + first if prefix else first.removeprefix(_PREFIX) or first, *rest)
        name = ".".join(path)
        if name in moved.values:
            raise KeyCollisionError(name, f"{key!r} and {name!r} are the same parameter")
        moved.values[name] = value
        if not is_split(name, path):
            moved.paths[name] = list(path)
    unflatten(*moved)
    return moved
