"""Calls a training with a configuration, in the way in which it takes one.

For a class, its attributes are set meanwhile, for the thread or task that sets them only: another
thread that trains with another configuration must not see them. So the attribute becomes a
descriptor that asks the context, until nobody has it bound any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, get_type_hints

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.factors import fresh
from tracelet.sweep.targets import (
    Target,
    Whole,
    bare,
    check_configuration,
    is_click,
    is_model,
    whole_argument,
)

# -- attributes of a class ----------------------------------------------------------------------

_Place = tuple[type, str]

_values: ContextVar[Mapping[_Place, Any]] = ContextVar(
    "tracelet_bound", default=MappingProxyType({})
)
_attributes: dict[_Place, _Attribute] = {}
_lock = threading.Lock()
_ABSENT: Any = object()


@contextlib.contextmanager
def bind(target: type, /, **config: Any) -> Iterator[None]:
    """Set attributes of a class inside a ``with`` block, in this thread or task only.

    On exit, by an exception too, each is what it was. Blocks can be nested, the inner one wins.

    Args:
        target: the class.
        config: attributes and values. ``lr``, ``Training.lr`` and ``training.lr`` are the same
            attribute of a class ``Training``; a key of another class (``Model.depth``) is left to
            a ``bind`` of that one.

    Raises:
        ValueTypeError: ``target`` is no class, or one whose attributes cannot be set.
        InvalidValueError: one attribute is given in two spellings.
    """
    if not isinstance(target, type):
        raise ValueTypeError(f"bind() sets attributes of a class, and {target!r:.60} is none")
    wanted: dict[str, Any] = {}
    for key, value in config.items():
        name = bare(key, target)
        if "." in name:
            continue
        if name in wanted:
            raise InvalidValueError(f"{target.__qualname__}.{name} is given twice, as {key!r} too")
        wanted[name] = value
    unknown = [name for name in wanted if not hasattr(target, name)]
    Target(target).check(unknown, strict=False)
    installed: list[_Place] = []
    try:
        for name in wanted:
            _install((target, name))
            installed.append((target, name))
        token = _values.set(
            {**_values.get(), **{(target, name): value for name, value in wanted.items()}}
        )
        try:
            yield
        finally:
            _values.reset(token)
    finally:
        for place in installed:
            _remove(place)


class _Attribute:
    """Stands in for an attribute while anybody has it bound."""

    tracelet_value = True
    """Tells who lists the attributes of a class that this is a value, and not a method."""

    def __init__(self, place: _Place) -> None:
        self.place = place
        self.users = 0
        self.before = vars(place[0]).get(place[1], _ABSENT)

    def __get__(self, instance: Any, owner: type) -> Any:
        values = _values.get()
        if self.place in values:
            return values[self.place]
        cls, name = self.place
        found = self.before
        if found is _ABSENT:
            bases = (vars(base) for base in cls.__mro__[1:])
            found = next((names[name] for names in bases if name in names), _ABSENT)
        if found is _ABSENT:
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return found.__get__(instance, owner) if hasattr(type(found), "__get__") else found


def _install(place: _Place) -> None:
    cls, name = place
    with _lock:
        attribute = _attributes.get(place)
        if attribute is None:
            attribute = _Attribute(place)
            try:
                setattr(cls, name, attribute)
            except (AttributeError, TypeError) as error:
                raise ValueTypeError(
                    f"the attributes of {cls.__qualname__} cannot be set: {error}"
                ) from error
            _attributes[place] = attribute
        attribute.users += 1


def _remove(place: _Place) -> None:
    cls, name = place
    with _lock:
        attribute = _attributes[place]
        attribute.users -= 1
        if attribute.users:
            return
        del _attributes[place]
        if attribute.before is not _ABSENT:
            setattr(cls, name, attribute.before)
        elif name in vars(cls):
            delattr(cls, name)


# -- calls --------------------------------------------------------------------------------------


def call(train: Callable[..., Any], config: dict[str, Any], bound: type | None) -> Any:
    """Call the training and return what it returns; a coroutine is run to its end.

    Args:
        train: a function, a click command, or another callable.
        config: the configuration.
        bound: a class whose attributes are the parameters, or None.
    """
    attributes = bind(bound, **config) if bound is not None else contextlib.nullcontext()
    with attributes:
        value = _call(train, config, is_bound=bound is not None)
        return asyncio.run(value) if inspect.iscoroutine(value) else value


def _call(train: Any, config: dict[str, Any], *, is_bound: bool) -> Any:
    if is_click(train):
        with train.context_class(train) as context:
            return context.invoke(train, **config)
    whole = _whole(train, config)
    if whole is not None:
        return train(_made(whole.kind, config))
    return train() if is_bound else train(**config)


def check_call(train: Callable[..., Any], target: Target, config: Mapping[str, Any]) -> None:
    """Check that a training can be called with a configuration.

    Raises:
        InvalidValueError: it cannot; the message says what it takes.
    """
    if is_click(train) or target.is_class or _whole(train, config) is not None:
        return
    try:
        signature = inspect.signature(train)
    except (TypeError, ValueError):  # a builtin does not say
        return
    try:
        signature.bind(**config)
    except TypeError as error:
        name = getattr(train, "__name__", type(train).__name__)
        raise InvalidValueError(
            f"{name}{signature} cannot be called with {dict(config)!r:.200}: {error}; a single "
            f"argument that is typed as dict, a dataclass or a pydantic model takes it whole"
        ) from None


def check_whole(train: Callable[..., Any], config: Mapping[str, Any], index: int) -> None:
    """Check that what a training takes whole can be made of a configuration.

    Raises:
        InvalidValueError: it cannot; the message names the configuration.
    """
    whole = None if is_click(train) else _whole(train, config)
    if whole is None:
        return
    if is_model(whole.kind):
        check_configuration(Target(whole.kind), config, index)
        return
    try:
        _made(whole.kind, fresh(dict(config)))
    except Exception as error:
        name = getattr(whole.kind, "__qualname__", whole.kind)
        raise InvalidValueError(
            f"configuration {index} {dict(config)!r:.200} cannot be a {name}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _whole(train: Any, config: Mapping[str, Any]) -> Whole | None:
    whole = whole_argument(train)
    return None if whole is None or set(config) == {whole.name} else whole


def _made(kind: Any, config: dict[str, Any]) -> Any:
    """Return a configuration as an object of the kind that is asked for."""
    if not isinstance(kind, type) or (issubclass(kind, Mapping) and inspect.isabstract(kind)):
        return dict(config)
    if issubclass(kind, dict):
        return kind(config)
    if not dataclasses.is_dataclass(kind) or is_model(kind):
        return kind(**config)
    hints = get_type_hints(kind)
    return kind(
        **{
            name: _made(hints[name], value)
            if isinstance(value, dict) and dataclasses.is_dataclass(hints.get(name))
            else value
            for name, value in config.items()
        }
    )
