"""Holds the options of a backend against the annotations of its ``__init__``; no backend does."""

from __future__ import annotations

import inspect
import os
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from tracelet.errors import SettingsError, nearest

_FLAGS = dict.fromkeys(("1", "true", "yes", "on"), True)
_FLAGS |= dict.fromkeys(("0", "false", "no", "off"), False)


def fit_options(cls: type, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a backend as its ``__init__`` takes them.

    Args:
        cls: the backend's class.
        name: the backend's name.
        options: what ``[backends.<name>]`` says. A ``str`` from an environment variable becomes the
            number or the bool that the annotation asks for.

    Raises:
        SettingsError: ``__init__`` has no such option, or the value is of another type than its
            annotation says: str, int, float, bool, None, list, dict, Literal or a path. Any other
            says nothing.
    """
    parameters = _parameters(cls)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    fitted: dict[str, Any] = {}
    for option, value in options.items():
        if option in parameters:
            fitted[option] = _fit(f"backends.{name}.{option}", value, parameters[option].annotation)
        elif takes_any:
            fitted[option] = value
        else:
            raise SettingsError(
                f"backends.{name}.{option} is not an option of the backend {name!r}"
                f"{nearest(option, parameters) if parameters else '; it has none'}"
            )
    return fitted


def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(cls, eval_str=True).parameters
    except Exception:  # noqa: BLE001 - somebody's annotation, e.g. a name for type checkers only
        return inspect.signature(cls).parameters


def _fit(place: str, value: Any, annotation: Any) -> Any:
    kinds = _kinds(annotation)
    if any(_is(value, kind) for kind in kinds):
        return value
    if isinstance(value, str):
        if bool in kinds and value.strip().lower() in _FLAGS:
            return _FLAGS[value.strip().lower()]
        for kind in (int, float):
            if kind in kinds:
                try:
                    return kind(value)
                except ValueError:
                    continue
    if isinstance(value, bool) and str in kinds:  # a variable that has the word
        return str(value).lower()
    wanted = " or ".join(_describe(kind) for kind in kinds if kind is not types.NoneType)
    raise SettingsError(f"{place} is {wanted}, not {value!r}")


def _kinds(annotation: Any) -> list[Any]:
    """Return the alternatives of an annotation."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (types.UnionType, typing.Union):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [types.NoneType if annotation is None else annotation]


def _is(value: Any, kind: Any) -> bool:
    """Tell whether a value is of a kind; only those that settings can have are looked at."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if _is_path(kind):
        return isinstance(value, str | os.PathLike)
    kind = get_origin(kind) or kind  # what is in a list is the backend's business
    return isinstance(value, kind) if kind in (str, bool, list, dict, types.NoneType) else True


def _is_path(kind: Any) -> bool:
    kind = get_origin(kind) or kind
    return isinstance(kind, type) and issubclass(kind, os.PathLike)


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    words = {bool: "true or false", str: "a str", int: "an int", float: "a number"}
    words |= {list: "a list", dict: "a table"}
    return "a path" if _is_path(kind) else words[get_origin(kind) or kind]
