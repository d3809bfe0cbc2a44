"""Class attributes that are set for a while, for the thread or task that sets them only.

Another thread that trains with another configuration must not see them: so the attribute becomes a
descriptor that asks the context, until nobody has it bound any more.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.targets import Target, bare

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
