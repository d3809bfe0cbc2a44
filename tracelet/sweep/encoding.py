"""Values of configurations as JSON-like ones and back, types included.

A sweep that is loaded must be the one that was saved: what JSON has no word for is a mapping with
one key that begins with ``$``, and a mapping of the user's that looks like one is wrapped itself.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.values import DynamicValue, is_only_numpys
from tracelet.values.plain import ATOMS, is_array
from tracelet.wire import float_token

_TO: dict[type, tuple[str, Callable[[Any], Any]]] = {
    range: ("$range", lambda value: [value.start, value.stop, value.step]),
    bytes: ("$bytes", lambda value: base64.b64encode(value).decode()),
    complex: ("$complex", lambda value: [encoded(value.real, ""), encoded(value.imag, "")]),
    dt.datetime: ("$datetime", lambda value: value.isoformat()),
    dt.date: ("$date", lambda value: value.isoformat()),
    dt.time: ("$time", lambda value: value.isoformat()),
    dt.timedelta: ("$seconds", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("$decimal", str),
}
_INT64 = 2**63
_FROM: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$int": int,
    "$range": lambda value: range(*value),
    "$bytes": lambda value: base64.b64decode(value, validate=True),
    "$complex": lambda value: complex(*map(decoded, value)),
    "$datetime": dt.datetime.fromisoformat,
    "$date": dt.date.fromisoformat,
    "$time": dt.time.fromisoformat,
    "$seconds": lambda value: dt.timedelta(*value),
    "$decimal": Decimal,
    "$path": Path,
    "$tuple": lambda value: tuple(map(decoded, value)),
    "$set": lambda value: set(map(decoded, value)),
    "$frozenset": lambda value: frozenset(map(decoded, value)),
    "$items": lambda value: {decoded(key): decoded(item) for key, item in value},
    "$dict": lambda value: {key: decoded(item) for key, item in value.items()},
    "$dynamic": lambda value: DynamicValue(
        value_range if isinstance(value_range := decoded(value), range) else list(value_range)
    ),
}


def encoded(value: Any, path: str) -> Any:
    """Make a value JSON-like.

    Args:
        value: any value.
        path: the names that lead to it, for the message.

    Raises:
        ValueTypeError: it is of a type that no file can hold, such as a function or a model.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": float_token(value)}
    if type(value) is int and not -_INT64 <= value < _INT64:
        return {"$int": str(value)}
    if type(value) in ATOMS:
        return value
    if is_array(value) and getattr(value, "shape", None) == () and not is_only_numpys(value):
        return encoded(value.item(), path)
    if type(value) is list:
        return [encoded(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if type(value) is dict:
        return _mapping(value, path)
    if isinstance(value, DynamicValue):
        values = value.values
        return {"$dynamic": encoded(values if isinstance(values, range) else list(values), path)}
    if type(value) in (tuple, set, frozenset):
        items = [encoded(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return {f"${type(value).__name__}": items}
    if type(value) in _TO:
        name, convert = _TO[type(value)]
        return {name: convert(value)}
    if isinstance(value, Path):
        return {"$path": str(value)}
    raise ValueTypeError(
        f"{path or 'a value'} is a {type(value).__module__}.{type(value).__qualname__}, which no "
        f"file of configurations can hold: use a name for it, and look it up in the training"
    )


def _mapping(value: dict[Any, Any], path: str) -> Any:
    if not all(type(key) is str for key in value):
        return {
            "$items": [
                [encoded(key, path), encoded(item, f"{path}.{key}")] for key, item in value.items()
            ]
        }
    inner = {key: encoded(item, f"{path}.{key}" if path else key) for key, item in value.items()}
    return {"$dict": inner} if len(inner) == 1 and next(iter(inner)) in _FROM else inner


def decoded(value: Any) -> Any:
    """Undo :func:`encoded`.

    Raises:
        InvalidValueError: a ``$`` mapping holds what it cannot.
    """
    if type(value) is list:
        return [decoded(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        name, content = next(iter(value.items()))
        if isinstance(name, str) and name in _FROM:
            try:
                return _FROM[name](content)
            except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
                raise InvalidValueError(
                    f"{{{name}: {content!r:.60}}} is no value: {error}"
                ) from error
    return {key: decoded(item) for key, item in value.items()}
