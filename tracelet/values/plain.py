"""Converts values of any library to plain Python values, which JSON can hold.

Neither NumPy, pandas, Torch nor OmegaConf is imported for this.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
import math
import numbers
import os
import re
import sys
import types
from collections.abc import Callable, Mapping, MutableSequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, TypeVar

from tracelet.errors import ValueTypeError
from tracelet.wire import clean_text

INT_BITS = 14_283
"""The bits of the longest integer that Python reads back from a ``str`` (4300 decimal digits)."""

MAX_ELEMENTS = 1000
"""A larger array is no parameter: its type, shape and dtype are kept instead."""

ATOMS = frozenset({str, int, float, bool, type(None)})
"""The exact types of a plain value that is not a container."""

UNKNOWN = object()
"""Returned by a conversion that does not handle the type of the value."""

_Result = TypeVar("_Result")
_STR = frozenset({str})
_CONFIGS = ("DictConfig", "ListConfig")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def flat_copy(value: Any) -> dict[str, Any] | None:
    """Return a copy of a dict if all of it is flat and plain, as in most calls; else None."""
    if type(value) is not dict:
        return None
    copy = value.copy()
    if not (_STR.issuperset(map(type, copy)) and ATOMS.issuperset(map(type, copy.values()))):
        return None
    names = "".join(copy)
    if "" in copy or "." in names or not names.isascii():
        return None
    for item in copy.values():
        if type(item) is str and not item.isascii():
            return None
        if type(item) is int and item.bit_length() > INT_BITS:
            return None
    return copy


def read(failure: str, call: Callable[[], _Result]) -> _Result:
    """Return the result of a call that runs the user's code, as how a value is written.

    Args:
        failure: what it means if that raises.
        call: the call.

    Raises:
        ValueTypeError: the call has raised.
    """
    try:
        return call()
    except Exception as error:  # of the user's code
        raise ValueTypeError(f"{failure}: {error!r:.200}") from error


def copy_mapping(what: str, given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a mapping of any class as a dict; ``what`` names it in the message of an error.

    Raises:
        ValueTypeError: the mapping raises when it is read.
    """
    return read(f"{what} cannot be read", lambda: dict(given))


def copy_plain(value: Any) -> Any:
    """Return a copy of a plain value, at any depth."""
    if isinstance(value, dict):
        return {key: copy_plain(item) for key, item in value.items()}
    return [copy_plain(item) for item in value] if isinstance(value, list) else value


def unwrap(value: Any) -> Any:
    """Return the value inside an enum member, a root model or an OmegaConf configuration."""
    while type(value) not in ATOMS:
        if isinstance(value, enum.Enum):
            value = value.value
        elif getattr(type(value), "__pydantic_root_model__", False):
            value = value.root
        elif type(value).__name__ in _CONFIGS and type(value).__module__.startswith("omegaconf."):
            return resolve_config(value)
        else:
            break
    return value


def resolve_config(config: Any) -> Any:
    """Return a configuration of OmegaConf as plain containers, with its ``${...}`` resolved.

    A reference that cannot be resolved stays as it is written, and so does a missing value.

    Args:
        config: a ``DictConfig`` or ``ListConfig``.
    """
    omegaconf = sys.modules["omegaconf"]  # the config's own module: it is imported
    conf, unresolvable = omegaconf.OmegaConf, omegaconf.errors.OmegaConfBaseException
    try:
        return conf.to_container(config, resolve=True)
    except unresolvable:
        raw = conf.to_container(config, resolve=False)
    if not isinstance(raw, dict | list):
        return raw
    made = {}
    for key in raw if isinstance(raw, dict) else range(len(raw)):
        try:
            value = config[key]
        except unresolvable:
            made[key] = raw[key]
        else:
            made[key] = resolve_config(value) if conf.is_config(value) else value
    return made if isinstance(raw, dict) else list(made.values())


def scalar(value: Any) -> Any:
    """Return the plain form of a single value, or :data:`UNKNOWN`.

    A path becomes a ``str``, a date or time its ISO 8601 form, a timedelta its seconds. A Decimal
    becomes a float if that is exact, else a ``str``. A Fraction becomes a ``str``, and bytes and
    complex numbers their ``repr``.
    """
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    return UNKNOWN


def _decimal(value: Decimal) -> float | str:
    if value.is_nan():
        return math.nan
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (type(None), lambda value: value),
    (bool, lambda value: value),
    (int, int),
    (float, float),
    (str, lambda value: clean_text(str.__str__(value))),
    (os.PathLike, lambda value: clean_text(os.fsdecode(value))),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    (dt.timedelta, dt.timedelta.total_seconds),
    ((bytes, bytearray, memoryview), lambda value: repr(bytes(value))),
    (Decimal, _decimal),
    (numbers.Integral, int),
    (numbers.Rational, str),
    (complex, repr),
)


def elements(value: Any) -> list[Any] | None:
    """Return the elements of a list, a tuple or a mutable sequence, e.g. a deque; else None."""
    if isinstance(value, list | tuple | MutableSequence):
        return list(value)
    return None


def is_set(value: Any) -> bool:
    """Return whether a value is a set, whose elements have no order."""
    return isinstance(value, AbstractSet)


def sort_plain(plain: list[Any]) -> list[Any]:
    """Return the plain elements of a set, sorted; mixed types: by type, then by ``repr``."""
    try:
        return sorted(plain)
    except TypeError:
        return sorted(plain, key=lambda item: (type(item).__name__, repr(item)))


def is_array(value: Any) -> bool:
    """Return whether a value is an array, a tensor, a series or their scalar, of any library."""
    kind = type(value)
    return hasattr(kind, "dtype") and (hasattr(kind, "tolist") or hasattr(kind, "numpy"))


def is_table(value: Any) -> bool:
    """Return whether a value is a data frame, whose ``repr`` leaves rows out."""
    kind = type(value)
    return hasattr(kind, "columns") and hasattr(kind, "shape")


def refuse_content(what: str, value: Any, *, max_size: int = 1) -> None:
    """Refuse what has a call of its own: a mapping, an array, a figure.

    Args:
        what: what was wanted, for the message.
        value: what was given.
        max_size: the elements that an array may have.

    Raises:
        ValueTypeError: the message names the right call.
    """
    kind = type(value)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    if isinstance(value, Mapping):
        hint = "log_metrics({...}) logs its numbers, log_params({...}) its values as parameters"
    elif is_table(value) or (is_array(value) and math.prod(getattr(value, "shape", ())) > max_size):
        hint = "save it to a file, and log_artifact() keeps that; log_metric() logs one number"
    elif hasattr(kind, "savefig") or hasattr(kind, "write_html") or name.startswith("PIL."):
        hint = "save it to a file, and log_artifact() keeps that"
    else:
        return
    raise ValueTypeError(f"{what}, not a {name}; {hint}")


def plain_array(value: Any) -> Any:
    """Return an array as nested lists, its scalar as a number; :data:`UNKNOWN` if it is large."""
    try:
        if math.prod(getattr(value, "shape", ())) > MAX_ELEMENTS:
            return UNKNOWN
        if not hasattr(value, "tolist"):
            value = value.numpy()
        kind = value.dtype.kind if type(value).__module__ == "numpy" else ""
        if kind == "M":  # a time as a number would lose its unit
            value = value.astype(str)
        elif kind == "m":
            value = value / sys.modules["numpy"].timedelta64(1, "s")
        result = value.tolist()
    except (TypeError, ValueError, RuntimeError):  # e.g. a sparse tensor
        return UNKNOWN
    if isinstance(result, type(value)):  # NumPy's extended precision stays NumPy's
        return complex(result) if kind == "c" else float(result)
    return result


def summary(value: Any) -> str:
    """Return the type, shape and dtype of a large array or table."""
    kind = type(value)
    dtype = f", dtype={value.dtype}" if hasattr(value, "dtype") else ""
    return f"{kind.__module__}.{kind.__qualname__}(shape={tuple(value.shape)}{dtype})"


def describe(value: Any) -> str:
    """Return the dotted name of a function, class or module, else the ``repr`` without addresses.

    An address would make two runs of the same program differ.
    """
    if isinstance(value, types.ModuleType):
        return value.__name__
    try:
        name = getattr(value, "__qualname__", None)
        module = getattr(value, "__module__", None)
        if isinstance(name, str):
            return name if module in (None, "builtins") else f"{module}.{name}"
        written = repr(value)
    except Exception:  # a repr is the user's code
        logging.getLogger(__name__).debug("the repr of a %s raises", type(value), exc_info=True)
        written = f"<{type(value).__module__}.{type(value).__qualname__} object>"
    return clean_text(_ADDRESS.sub("", written))
