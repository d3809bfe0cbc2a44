"""Sections: the part of a parameter's key before ``/``, as in ClearML.

A key without a section is in the section ``General``. A stored key never begins with ``General/``,
so that ``lr`` and ``General/lr`` are one parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracelet.errors import InvalidValueError, KeyCollisionError, ValueTypeError
from tracelet.values.flatten import Flat, Foreign, KeyPaths, flatten, is_split, path_of, unflatten
from tracelet.values.plain import describe
from tracelet.wire import clean_text

GENERAL = "General"

_PREFIX = f"{GENERAL}/"


def plain_key(key: Any) -> Any:
    """Return a flat key without ``General/`` at its start."""
    while isinstance(key, str) and key.startswith(_PREFIX) and key != _PREFIX:
        key = key[len(_PREFIX) :]
    return key


def split_section(key: str) -> tuple[str, str]:
    """Return the section of a flat key, and the name in that section.

    A key that begins or ends with its first ``/``, e.g. a path, is in the section ``General``.
    """
    section, _, name = key.partition("/")
    return (section, name) if section and name else (GENERAL, key)


def full_key(key: str) -> str:
    """Return a flat key with its section, also with ``General``."""
    return "/".join(split_section(key))


def section_prefix(section: Any) -> str:
    """Return the prefix of the keys of a section; ``""`` for ``General`` and None.

    Raises:
        ValueTypeError: the section is not a ``str``.
        InvalidValueError: the section is empty.
    """
    if section is None:
        return ""
    if not isinstance(section, str):
        raise ValueTypeError(
            f"the name of a section must be a str, not {describe(section):.80}; a parameter called "
            '"section" is set with set({"section": ...})'
        )
    name = clean_text(str.__str__(section)).strip("/")
    if not name:
        raise InvalidValueError("the name of a section must not be empty")
    return "" if name == GENERAL else f"{name}/"


def flatten_call(
    given: Any,
    values: Mapping[str, Any],
    section: str | None = None,
    *,
    foreign: Foreign | None = None,
) -> Flat:
    """Flatten the arguments of one call; see ``Parameters.set``.

    Args:
        given: a mapping or an object with named fields, or None.
        values: parameters by keyword.
        section: the section of the keys.
        foreign: returns the fields of an object of a foreign type.
    """
    prefix = section_prefix(section)
    flat = flatten(values if given is None else given, foreign=foreign)
    if given is not None and values:
        flat = _merge(flat, flatten(values, foreign=foreign))
    return in_section(flat, prefix)


def _merge(given: Flat, values: Flat) -> Flat:
    """Merge the two parts of one call; what is given by keyword wins, as in ``dict.update``.

    Args:
        given: the parameters of the mapping or object.
        values: those given by keyword.
    """
    ours = KeyPaths()
    for key in given.values:
        ours.put(key, path_of(key, given.paths))
    replaced = {*values.values}
    for key in values.values:
        replaced.update(ours.conflicting_keys(key, path_of(key, values.paths)))
    kept = {key: value for key, value in given.values.items() if key not in replaced}
    paths = {key: path for key, path in given.paths.items() if key in kept}
    return Flat({**kept, **values.values}, {**paths, **values.paths})


def in_section(flat: Flat, prefix: str) -> Flat:
    """Put keys under the prefix of a section, and remove ``General/``.

    Raises:
        KeyCollisionError: two keys become the same.
    """
    if not prefix and not any(key.startswith(_PREFIX) for key in flat.values):
        return flat
    return _move(flat, lambda path: (plain_key(prefix + path[0]), *path[1:]))


def sections_first(flat: Flat) -> Flat:
    """Use the first level of nested parameters as sections, unless the name there has one.

    Raises:
        KeyCollisionError: two keys become the same.
    """

    def with_section(path: tuple[str, ...]) -> tuple[str, ...]:
        section, *rest = path
        if rest and split_section(section)[0] == GENERAL:
            section = f"{section}/{rest.pop(0)}"
        return (plain_key(section), *rest)

    # An empty mapping is a section without parameters.
    values = {
        key: value
        for key, value in flat.values.items()
        if value != {} or len(path_of(key, flat.paths)) > 1
    }
    return _move(Flat(values, flat.paths), with_section)


def by_section(flat: Flat) -> dict[str, dict[str, Any]]:
    """Return nested parameters by the name of their section."""
    parts: dict[str, Flat] = {}
    for key, value in flat.values.items():
        section, name = split_section(key)
        path = path_of(key, flat.paths)
        if section == GENERAL:
            inner = path
        elif path[0].startswith(f"{section}/") and path[0] != f"{section}/":
            inner = (path[0][len(section) + 1 :], *path[1:])
        else:  # the slash is in a key of a deeper mapping, or ends the first key
            inner = (name,)
        part = parts.setdefault(section, Flat({}, {}))
        part.values[name] = value
        part.paths[name] = list(inner)
    return {section: _nested(part) for section, part in parts.items()}


def _nested(part: Flat) -> dict[str, Any]:
    try:
        return unflatten(*part)
    except KeyCollisionError:  # keys that differ only in where their slash is
        return dict(part.values)


def _move(flat: Flat, move: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Flat:
    moved = Flat({}, {})
    for key, value in flat.values.items():
        path = move(path_of(key, flat.paths))
        name = ".".join(path)
        if name in moved.values:
            raise KeyCollisionError(name, f"{key!r} and {name!r} are the same parameter")
        moved.values[name] = value
        if not is_split(name, path):
            moved.paths[name] = list(path)
    unflatten(*moved)
    return moved
