"""Tags: short strings by name; without this each tracker would make them strings in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.errors import ValueTypeError
from tracelet.values.plain import copy_mapping, describe
from tracelet.wire import clean_text


def given_tags(tags: Any) -> Mapping[Any, Any]:
    """Return a copy of the tags that were given; None are no tags.

    Raises:
        ValueTypeError: they are no mapping.
    """
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise ValueTypeError(
            "tags are a mapping of names to texts, such as {'team': 'ml'}, not "
            f"{type(tags).__name__}: {describe(tags):.80}"
        )
    return copy_mapping("the tags", tags)


def tag_values(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Return tags as they are stored.

    Raises:
        ValueTypeError: a tag has no name.
    """
    for key in tags:
        if not isinstance(key, str) or not key:
            raise ValueTypeError(
                f"the name of a tag is a text that is not empty: {describe(key):.80}"
            )
    return {clean_text(key): as_str(f"the tag {key!r}", value) for key, value in tags.items()}


def as_str(what: str, value: Any) -> str:
    """Return any value as a str that UTF-8 can hold.

    Raises:
        ValueTypeError: its own code cannot write it.
    """
    try:
        return clean_text(str(value))
    except Exception as error:  # how it is written is the user's code
        raise ValueTypeError(f"{what} cannot be made a text: {error!r}") from error
