"""Checks what is logged as a metric: names, values, iterations and times.

Each function raises, before anything is written, for a value that is not one number. A plain
``float`` or ``int`` takes a shorter way, in ``Experiment.log_metric``. NumPy and Torch are never
imported.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Mapping
from typing import Any

from tracelet.errors import InvalidValueError, KeyCollisionError, ValueTypeError
from tracelet.values.plain import INT_BITS, describe, read
from tracelet.wire import clean_text, float_token

_MAX_DEPTH = 100
_MIN_ITERATION, _MAX_ITERATION = -(2**63), 2**63 - 1


def metric_name(value: object, what: str = "a metric's name") -> str:
    """Check the name of a metric or of an axis.

    Args:
        value: the name.
        what: the start of the message of an error.

    Returns:
        The name as a plain ``str`` that UTF-8 can hold.

    Raises:
        ValueTypeError: the name is not a ``str``.
        InvalidValueError: the name is empty.
    """
    if not isinstance(value, str):
        raise ValueTypeError(f"{what} must be a str, not {type(value).__qualname__}")
    if not value:
        raise InvalidValueError(f"{what} must not be empty")
    return clean_text(str.__str__(value))


def flat_metrics(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Make nested metrics flat: ``{"train": {"loss": 1}}`` becomes ``{"train/loss": 1}``.

    Raises:
        ValueTypeError: if the name of a group is not a string.
        InvalidValueError: if it is empty, or if a mapping contains itself.
        KeyCollisionError: if two metrics get the same name.
    """
    flat: dict[Any, Any] = {}
    waiting = [("", values, 0)]
    while waiting:
        prefix, group, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise InvalidValueError(f"metrics are nested more than {_MAX_DEPTH} levels deep")
        for name, value in group.items():
            full = prefix + metric_name(name) if prefix or isinstance(value, Mapping) else name
            if isinstance(value, Mapping):
                waiting.append((f"{full}/", value, depth + 1))
            elif full in flat:
                raise KeyCollisionError(str(full), f"the metric {full!r} is given twice")
            else:
                flat[full] = value
    return flat


def metric_value(name: str, value: object) -> float | int | str:
    """Return a metric's value as a record has it.

    Args:
        name: the metric's name, for the message of an error.
        value: any object that holds one number: a bool, an integer, a float, a Decimal or Fraction,
            a NumPy or Torch scalar, an array or tensor of one element, on any device.

    Returns:
        A finite float64, an integer, or ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.

    Raises:
        ValueTypeError: the value does not hold exactly one real number.
        InvalidValueError: the number is too large.
    """
    number = _number(f"metric {name!r}", value)
    if isinstance(number, int):
        if number.bit_length() > INT_BITS:
            raise InvalidValueError(f"metric {name!r}: an integer of more than 4300 digits")
        return number
    try:
        result = float(number)
    except Exception as error:  # a huge Fraction, a signalling NaN, a number of the user's class
        raise InvalidValueError(
            f"metric {name!r}: no float64 can hold this {type(number).__name__}"
        ) from error
    if math.isfinite(result):
        return result
    if math.isinf(result) and number != result:  # a huge Decimal becomes inf
        raise InvalidValueError(f"metric {name!r}: this number is beyond the range of a float64")
    return float_token(result)


def iteration_value(name: str | None, value: object, call: str = "set_iteration") -> int:
    """Return an iteration as an integer.

    Args:
        name: the metric's name, for the message of an error; None: the message has ``call``.
        value: an integer of any type, or a number without a fraction, e.g. ``3.0``.
        call: the name of the call.

    Returns:
        The integer, which fits in 64 bits.

    Raises:
        ValueTypeError: the value does not hold exactly one real number.
        InvalidValueError: the number has a fraction, is not finite, or needs more than 64 bits.
    """
    what = f"{call}: the iteration" if name is None else f"the iteration of metric {name!r}"
    number = _number(what, value)
    try:
        result = int(number)
    except Exception:  # noqa: BLE001 - an infinity, NaN, a number of the user's class
        result = None
    if result is None or result != number:
        given = number if isinstance(number, float) else f"this {type(number).__name__}"
        raise InvalidValueError(f"{what} must be whole, not {given}")
    if not _MIN_ITERATION <= result <= _MAX_ITERATION:
        raise InvalidValueError(f"{what} must fit in 64 bits")
    return result


def seconds_value(what: str, value: object) -> float:
    """Check a number of seconds to wait.

    Args:
        what: the argument, for the message of an error.
        value: a number, 0 or more; infinity is allowed.

    Raises:
        ValueTypeError: the value is no number.
        InvalidValueError: the value is negative, or NaN.
    """
    try:
        seconds = None if isinstance(value, bool) else float(_number(what, value))
    except ValueTypeError:
        seconds = None
    if seconds is None:
        raise ValueTypeError(f"{what} is a number of seconds, 0 or more, not {value!r:.80}")
    if not seconds >= 0:
        raise InvalidValueError(f"{what} is a number of seconds, 0 or more, not {value!r:.80}")
    return seconds


def timestamp_value(value: Any) -> float:
    """Check a time, in seconds since the epoch.

    Raises:
        ValueTypeError: the value is no number.
        InvalidValueError: the time is before 1970, or thousands of years away.
    """
    seconds = read(
        f"time is seconds since the epoch, not {describe(value):.80}", lambda: float(value)
    )
    if not 0 <= seconds < 1e11:
        raise InvalidValueError(f"time is seconds since the epoch, from 1970 on: {seconds}")
    return seconds


def _number(what: str, value: Any) -> Any:
    """Return the int, float, Decimal or Fraction that ``value`` holds; bools become integers.

    Raises:
        ValueTypeError: the value does not hold exactly one real number; ``what`` is in the message.
    """
    try:
        return _extract_number(what, value)
    except ValueTypeError:
        raise
    except Exception as error:  # conversion to a number can be the user's code
        raise _not_a_number(what, value, f" ({error!r:.200})") from error


def _extract_number(what: str, value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str | bytes | bytearray) or _is_complex(value) or _is_time(value):
        raise _not_a_number(what, value)
    if _is_masked(value):
        raise _not_a_number(what, value)
    if callable(getattr(value, "item", None)):  # arrays and tensors, on any device
        item = value.item()
        if type(item) is not type(value):  # NumPy's extended precision stays NumPy's
            return _number(what, item)
    if isinstance(value, numbers.Number):
        return value
    if hasattr(value, "__float__") or hasattr(value, "__index__"):
        return float(value)
    raise _not_a_number(what, value)


def _is_complex(value: object) -> bool:
    return isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real)


def _is_time(value: object) -> bool:
    """Return whether a value is a time of NumPy, whose ``item()`` counts nanoseconds."""
    return getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M")


def _is_masked(value: Any) -> bool:
    """Return whether NumPy masks a value; its ``item()`` would be the value behind the mask."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and getattr(value, "size", 0) == 1 and masked.is_masked(value)


def _not_a_number(what: str, value: object, why: str = "") -> ValueTypeError:
    try:
        described = _describe(value)
    except Exception:  # noqa: BLE001 - length and shape can be the user's code, too
        described = type(value).__qualname__
    return ValueTypeError(f"{what} must be one real number, not {described}{why}")


def _describe(value: object) -> str:
    """Return a description of the value, with what to log instead."""
    kind = type(value)
    if value is None or _is_masked(value):
        given = "None" if value is None else "a masked value"
        return f"{given}; leave the call out where there is no value"
    if isinstance(value, str | bytes | bytearray):
        return f"the {kind.__name__} {value[:40]!r}; a str can be logged with log() or log_params()"
    if _is_complex(value):
        return f"the complex {value}; log .real and .imag as two metrics"
    shape = getattr(value, "shape", None)
    if shape and not isinstance(value, type):
        return f"{kind.__name__} of shape {tuple(shape)}; log one element or its mean"
    if isinstance(value, list | tuple | dict | set):
        return f"a {kind.__name__} of {len(value)} elements; log each, or their mean"
    return f"{kind.__module__}.{kind.__qualname__}; pass an int or a float"
