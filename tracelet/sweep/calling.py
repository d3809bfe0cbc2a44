"""Calls a training with a configuration, in the way in which it takes one."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from tracelet.errors import InvalidValueError
from tracelet.sweep.binding import bind
from tracelet.sweep.targets import Target, Whole, is_click, is_model, whole_argument
from tracelet.sweep.template import fresh
from tracelet.sweep.validation import check_configuration


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
