"""One configuration of a sweep: a dict, and beside it what identifies it.

The identity of a configuration is that of its values. It does not depend on the order of the keys
or on the process: by it an interrupted sweep knows what is done.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from typing import Any

from tracelet.values.fields import named_fields
from tracelet.values.plain import (
    UNKNOWN,
    describe,
    elements,
    is_array,
    is_set,
    is_table,
    plain_array,
    scalar,
    sort_plain,
    unwrap,
)
from tracelet.wire import clean_text, to_wire

_ID_DIGITS = 16


class Configuration(dict[str, Any]):
    """The values of one configuration, to be called with: ``train(**configuration)``.

    Attributes:
        index: its place in the sweep, from 0.
        repeat: which repetition of the same values it is, from 0.
    """

    # No __init__: a sweep makes a hundred thousand of them in half a second.
    index: int = 0
    repeat: int = 0

    @property
    def id(self) -> str:
        """What identifies the values, in any process: 16 hexadecimal digits."""
        return configuration_id(self)


def configuration_id(values: Mapping[str, Any]) -> str:
    """Return the hash of a configuration's canonical JSON; 1, 1.0, True and "1" all differ."""
    encoded = json.dumps(to_wire(_canonical(values)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest()[:_ID_DIGITS]


def _canonical(value: Any) -> Any:
    """Make a value JSON-like, such that different values stay different."""
    value = unwrap(value)
    if isinstance(value, type) or callable(value):
        return {"$name": describe(value)}
    if is_array(value):
        content = plain_array(value)
        return {"$array": _digest(value)} if content is UNKNOWN else _canonical(content)
    if is_table(value):
        return {"$table": _digest(value)}
    single = scalar(value)
    if single is not UNKNOWN:
        if isinstance(value, str | int | float) or value is None:
            return single
        return {f"${type(value).__name__}": single}
    fields = named_fields(value)
    if fields is not None:
        plain = {_key(key): _canonical(item) for key, item in fields.items()}
        if not isinstance(value, Mapping):
            return {f"${type(value).__qualname__}": plain}
        return {"$dict": plain} if any(key.startswith("$") for key in plain) else plain
    if (items := elements(value)) is not None:
        return [_canonical(item) for item in items]
    if is_set(value):
        return {"$set": sort_plain([json.dumps(to_wire(_canonical(item))) for item in value])}
    return {"$object": describe(value)}


def _digest(value: Any) -> str:
    """Tell apart what is too large to be written out."""
    return hashlib.sha256(pickle.dumps(value, protocol=5)).hexdigest()


def _key(key: Any) -> str:
    return clean_text(key) if isinstance(key, str) else f"${type(key).__name__}:{key}"
