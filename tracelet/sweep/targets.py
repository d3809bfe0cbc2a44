"""What a sweep is for: the names it takes, and the types that its values must have.

A typing mistake is seen at once, and a wrong value before the first of a thousand runs begins.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_type_hints

import msgspec

from tracelet.errors import InvalidValueError, ValueTypeError, warn

# -- names --------------------------------------------------------------------------------------

_ANY_NAMES = frozenset({"dict", "Mapping", "MutableMapping", "Dict", "Namespace"})


class Target:
    """A function, dataclass, model, class, click command or argparse parser.

    Args:
        target: one of these, or None for a sweep that is for nothing in particular.

    Attributes:
        value: the target.
        names: the names it takes, or None if it takes any.
        is_class: whether it is a class whose attributes are the parameters.

    Raises:
        ValueTypeError: it is something else.
    """

    def __init__(self, target: Any) -> None:
        self.value = target
        self.is_class = isinstance(target, type) and fields_of(target) is None
        self.names: frozenset[str] | None = None if target is None else _names(target)

    @property
    def label(self) -> str:
        """What it is called, for messages."""
        name = getattr(self.value, "__qualname__", None) or getattr(self.value, "name", None)
        return str(name or type(self.value).__name__)

    def check(self, names: Collection[str], *, strict: bool) -> None:
        """Warn of names that the target does not know.

        Raises:
            InvalidValueError: with ``strict``, instead of warning.
        """
        if self.names is None:
            return
        unknown = [name for name in names if self._bare(name) not in self.names]
        if not unknown:
            return
        described = "; ".join(f"{name!r}{self._near(name)}" for name in unknown)
        message = f"{self.label} has no parameter {described}"
        if strict:
            raise InvalidValueError(message)
        warn(message)

    def _bare(self, name: str) -> str:
        """Return the name of an attribute that is written ``Training.lr`` or ``training.lr``."""
        return bare(name, self.value) if self.is_class else name

    def _near(self, name: str) -> str:
        assert self.names is not None
        found = difflib.get_close_matches(self._bare(name), sorted(self.names), n=3, cutoff=0.5)
        if found:
            return f" (did you mean {' or '.join(map(repr, found))}?)"
        return f" (it has {', '.join(map(repr, sorted(self.names))) or 'none'})"


def bare(name: str, cls: type) -> str:
    """Return ``lr`` for ``lr``, ``Training.lr`` and ``training.lr``; other names as they are."""
    prefix, dot, rest = name.partition(".")
    return rest if dot and prefix in (cls.__name__, cls.__name__.lower()) else name


def fields_of(cls: Any) -> list[str] | None:
    """Return the fields that a class declares, if it is of a kind that does."""
    if not isinstance(cls, type):
        return None
    if is_model(cls):
        fields: Mapping[str, Any] = cls.__pydantic_fields__  # type: ignore[attr-defined]
        return [*fields, *(one.alias for one in fields.values() if one.alias)]
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls) if field.init]
    for attribute in ("__struct_fields__", "_fields"):
        if isinstance(found := getattr(cls, attribute, None), tuple):
            return list(found)
    if attrs := getattr(cls, "__attrs_attrs__", None):
        return [field.alias or field.name for field in attrs if field.init]
    return None


def is_model(cls: Any) -> bool:
    """Tell a pydantic model; pydantic is not imported to find out."""
    return isinstance(cls, type) and hasattr(cls, "model_validate")


def is_click(target: Any) -> bool:
    """Tell a click command, and one of typer's."""
    return hasattr(target, "make_context") and hasattr(target, "params")


def is_parser(target: Any) -> bool:
    """Tell an argparse parser."""
    argparse = sys.modules.get("argparse")
    return argparse is not None and isinstance(target, argparse.ArgumentParser)


def _names(target: Any) -> frozenset[str] | None:
    if is_click(target):
        return frozenset(parameter.name for parameter in target.params)
    if is_parser(target):
        return frozenset(one.dest for one in target._actions if one.dest != "help")  # noqa: SLF001
    if (fields := fields_of(target)) is not None:
        extra = getattr(target, "model_config", {}).get("extra") if is_model(target) else None
        return None if extra == "allow" else frozenset(fields)
    if isinstance(target, type):
        return frozenset(_attributes(target))
    if callable(target):
        return _parameters(target)
    is_config = isinstance(target, list | tuple | Mapping)
    hint = "; configurations are given as Sweep(configs=[…])" if is_config else ""
    raise ValueTypeError(
        "a sweep is for a function, a dataclass, a pydantic model, a class, a click command or an "
        f"argparse parser, not for a {type(target).__name__}{hint}"
    )


def _attributes(cls: type) -> Iterator[str]:
    """Yield the names of a class's attributes that are values, or are declared to be."""
    for base in cls.__mro__[:-1]:
        yield from inspect.get_annotations(base)
        for name, value in vars(base).items():
            is_method = hasattr(type(value), "__get__") and not hasattr(value, "tracelet_value")
            if not name.startswith("_") and not is_method:
                yield name


def _parameters(function: Callable[..., Any]) -> frozenset[str] | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin does not say
        return None
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    whole = whole_argument(function)
    if whole is not None:
        fields = fields_of(whole.kind)
        return None if fields is None else frozenset(fields)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(one.name for one in parameters if one.kind in named)


class Whole(NamedTuple):
    """The one argument of a function that takes a configuration whole.

    Attributes:
        name: the argument's.
        kind: ``dict``, or the class to make of the configuration.
    """

    name: str
    kind: Any


def whole_argument(function: Callable[..., Any]) -> Whole | None:
    """Return the one argument that is typed as a mapping, a dataclass or a model, if so it is."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    needed = [
        one
        for one in signature.parameters.values()
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    if len(needed) != 1 or len(signature.parameters) != 1:
        return None
    kind = _annotation(function, needed[0])
    origin = getattr(kind, "__origin__", kind)
    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    takes_any = is_mapping or getattr(origin, "__name__", "") in _ANY_NAMES
    return Whole(needed[0].name, origin) if takes_any or fields_of(origin) is not None else None


def _annotation(function: Any, parameter: inspect.Parameter) -> Any:
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    while isinstance(function, functools.partial):
        function = function.func
    if not isinstance(function, types.FunctionType | types.MethodType):
        function = getattr(type(function), "__call__", function)  # noqa: B004
    try:
        return get_type_hints(inspect.unwrap(function)).get(parameter.name)
    except (NameError, TypeError):  # a type that is imported for type checkers only
        return None


# -- types of values ----------------------------------------------------------------------------

_USERS_OWN = ("value_error", "assertion_error", "missing", "extra_forbidden")
"""Kinds of pydantic's errors that depend on more than the value itself."""


def check_values(target: Target, parts: Iterable[Mapping[str, Any]]) -> None:
    """Check values by themselves, before the rest of their configurations is known.

    Raises:
        InvalidValueError: a value has the wrong type, or is beyond the limits of its field.
    """
    cls = target.value
    if is_model(cls):
        for values in parts:
            _report(target, values, [one for one in _errors_of_model(cls, values) if one.by_itself])
    elif isinstance(cls, type) and dataclasses.is_dataclass(cls):
        hints = _hints(cls)
        for values in parts:
            _report(target, values, _errors_of_fields(hints, values))


def check_configuration(target: Target, values: Mapping[str, Any], index: int) -> None:
    """Check a whole configuration.

    Raises:
        InvalidValueError: the target cannot be made of it; the message names field and
            configuration.
    """
    cls = target.value
    if is_model(cls):
        _report(target, values, _errors_of_model(cls, values), index)
    elif isinstance(cls, type) and dataclasses.is_dataclass(cls):
        _report(target, values, _errors_of_fields(_hints(cls), values), index)
        try:
            cls(**values)
        except Exception as error:  # noqa: BLE001 - __post_init__ is the user's code
            found = [_Wrong("", f"{type(error).__name__}: {error}")]
            _report(target, values, found, index, cause=error)


class _Wrong(NamedTuple):
    field: str
    reason: str
    by_itself: bool = True


def _report(
    target: Target,
    values: Mapping[str, Any],
    found: list[_Wrong],
    index: int | None = None,
    cause: BaseException | None = None,
) -> None:
    if not found:
        return
    reasons = "; ".join(f"{one.field}: {one.reason}" if one.field else one.reason for one in found)
    which = "the values" if index is None else f"configuration {index}"
    raise InvalidValueError(
        f"{which} {_shorten(values)} cannot be a {target.label}: {reasons}"
    ) from cause


def _shorten(values: Mapping[str, Any]) -> str:
    text = repr(dict(values))
    return text if len(text) <= 200 else f"{text[:197]}…"


def _errors_of_model(cls: Any, values: Mapping[str, Any]) -> list[_Wrong]:
    errors = sys.modules["pydantic"].ValidationError
    try:
        cls.model_validate(dict(values))
    except errors as error:
        return [
            _Wrong(
                ".".join(map(str, one["loc"])),
                one["msg"],
                by_itself=one["type"] not in _USERS_OWN and bool(one["loc"]),
            )
            for one in error.errors(include_url=False, include_context=False)
        ]
    except Exception as error:  # noqa: BLE001 - a validator is the user's code
        return [_Wrong("", f"{type(error).__name__}: {error}", by_itself=False)]
    return []


def _hints(cls: type) -> Mapping[str, Any]:
    try:
        return get_type_hints(cls)
    except (NameError, TypeError):  # a type that is imported for type checkers only
        return {}


def _errors_of_fields(hints: Mapping[str, Any], values: Mapping[str, Any]) -> list[_Wrong]:
    found = []
    for name, value in values.items():
        hint = hints.get(name)
        if hint is None or (isinstance(hint, type) and isinstance(value, hint)):
            continue
        try:
            msgspec.convert(value, hint, from_attributes=True)
        except msgspec.ValidationError as error:
            found.append(_Wrong(name, f"{error}, which {value!r:.60} is not"))
        except Exception:  # noqa: BLE001 - a type that can only be checked by who made it
            continue
    return found
