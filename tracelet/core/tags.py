"""Tags: short strings by name. Checks them, and converts their values to ``str``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.errors import ValueTypeError
from tracelet.values.plain import copy_mapping, describe, read
from tracelet.wire import clean_text


def given_tags(tags: Any) -> Mapping[Any, Any]:
    """Return a copy of the tags that were given; ``{}`` for None.

    Raises:
        ValueTypeError: ``tags`` is no mapping.
    """
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise ValueTypeError(
            "tags must be a mapping of names to str, such as {'team': 'ml'}, not "
            f"{type(tags).__name__}: {describe(tags):.80}"
        )
    return copy_mapping("the tags", tags)


def tag_values(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Return tags as they are stored, with ``str`` values.

    Raises:
        ValueTypeError: the name of a tag is no ``str``, or empty; or ``str(value)`` raises.
    """
    for key in tags:
        if not isinstance(key, str) or not key:
            raise ValueTypeError(
                f"the name of a tag must be a str that is not empty: {describe(key):.80}"
            )
    return {clean_text(key): as_str(f"the tag {key!r}", value) for key, value in tags.items()}


def as_str(what: str, value: Any) -> str:
    """Return any value as a ``str`` that UTF-8 can hold; ``what`` names it in an error.

    Raises:
        ValueTypeError: ``str(value)`` raises.
    """
    return read(f"{what} cannot be converted to str", lambda: clean_text(str(value)))
