"""Encodes in JSON what JSON cannot hold, e.g. NaN, and decodes it again.

A non-finite float becomes ``{"$float": "NaN"}``. A user's mapping that looks like such a wrapper is
wrapped itself, as ``{"$dict": {...}}``. So every value is decoded as it was encoded.
"""

from __future__ import annotations

import math
from typing import Any

_FLOAT, _DICT = "$float", "$dict"
_LISTS = (list, tuple)
REDACTED = "[redacted]"
"""Replaces a secret in the journal."""


def float_token(value: float) -> str:
    """Return ``NaN``, ``Infinity`` or ``-Infinity`` for a float that is not finite."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def json_safe(value: Any) -> Any:
    """Replace, at any depth, the non-finite floats by their names: for people, not to come back."""
    if isinstance(value, float) and not math.isfinite(value):
        return float_token(value)
    if isinstance(value, list):
        return [json_safe(item) for item in value]
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    return value


def clean_text(text: str) -> str:
    """Return a ``str`` that UTF-8 can encode: lone surrogates become escapes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def to_wire(value: Any) -> Any:
    """Wrap, at any depth, the values that JSON cannot hold."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: float_token(value)}
    if not value:
        return value
    if isinstance(value, dict):
        wired = {clean_text(key): to_wire(item) for key, item in value.items()}
        if len(wired) == 1 and (_FLOAT in wired or _DICT in wired):
            return {_DICT: wired}
        return wired
    if isinstance(value, _LISTS):
        return [to_wire(item) for item in value]
    return value


def from_wire(value: Any) -> Any:
    """Undo :func:`to_wire`.

    Raises:
        ValueError: a wrapper holds no number.
    """
    if isinstance(value, dict):
        if len(value) == 1:
            if _FLOAT in value:
                return float(str(value[_FLOAT]))
            if _DICT in value:
                value = value[_DICT]
        return {key: from_wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    return value
