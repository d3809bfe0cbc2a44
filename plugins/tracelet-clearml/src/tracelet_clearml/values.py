"""Parameter values as ClearML keeps them: a text, and a type by the name the SDK has for it."""

from __future__ import annotations

import json
from typing import Any

from tracelet.records import ParamValue

_TYPES: dict[type, str] = {str: "str", bool: "bool", int: "int", float: "float"}


def text_and_type(value: ParamValue) -> tuple[str, str | None]:
    """Return the text of a value, and its type as the SDK names it; None for None."""
    if value is None:
        return "", None
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False), "list" if isinstance(value, list) else "dict"
    return str(value), _TYPES[type(value)]


def value_of(text: str, kind: str | None) -> ParamValue:
    """Undo :func:`text_and_type`; a type that is somebody's own leaves the text."""
    if kind is None:
        return None if text == "" else text
    if kind == "bool":
        return text == "True"
    casts: dict[str, Any] = {
        "int": int, "float": float, "list": json.loads, "dict": json.loads
    }  # fmt: skip
    return casts.get(kind, str)(text)
