"""Finds the named fields of an object, e.g. of a dataclass, a pydantic model or a namespace.

No library is imported for this: each marks its classes with an attribute.
"""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_ABSENT = object()
_HEAP_TYPE = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE``, the flag of a class that Python code has made."""
_NO_DEFAULT = ("_MISSING_TYPE", "_Nothing", "PydanticUndefinedType", "NoDefaultType")


class Unreadable(msgspec.Struct, frozen=True):
    """Replaces the value of a field that raises when it is read; ``reason`` is the error."""

    reason: str


def named_fields(value: Any) -> Mapping[Any, Any] | None:
    """Return the fields of an object whose type declares them; None for any other object.

    Args:
        value: a mapping, a dataclass, attrs, pydantic or msgspec instance, a named tuple, an
            ``argparse.Namespace``, or an object that ``dict()`` takes for a mapping.
    """
    kind = type(value)
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if hasattr(kind, "__dataclass_fields__"):
        import dataclasses  # start-up time

        return _attributes(value, [field.name for field in dataclasses.fields(value)])
    if hasattr(kind, "__attrs_attrs__"):
        return _attributes(value, [field.name for field in kind.__attrs_attrs__])
    if hasattr(kind, "__pydantic_fields__"):
        extra = value.__pydantic_extra__ or {}
        return {**_attributes(value, list(kind.__pydantic_fields__)), **extra}
    if hasattr(kind, "__struct_fields__"):
        return _attributes(value, kind.__struct_fields__)
    if isinstance(value, tuple):
        return _attributes(value, kind._fields) if hasattr(kind, "_fields") else None
    if _has_fields_in_dict(value, kind):
        return dict(vars(value))
    if hasattr(kind, "keys") and hasattr(kind, "__getitem__") and not callable(value):
        return {key: value[key] for key in value.keys()}  # noqa: SIM118
    return None


def _has_fields_in_dict(value: Any, kind: type) -> bool:
    """Return whether ``value`` is a namespace, or a model of pydantic 1."""
    argparse = sys.modules.get("argparse")
    return (
        isinstance(value, types.SimpleNamespace)
        or (argparse is not None and isinstance(value, argparse.Namespace))
        or (hasattr(kind, "__fields__") and hasattr(kind, "__fields_set__"))
    )


def public_attributes(value: Any) -> dict[str, Any] | None:
    """Return the public attributes of a plain object, a class or a module.

    A subclass wins over its base and an instance over its class. Methods are left out. A class that
    declares its fields has the defaults of these as attributes.

    Returns:
        The attributes; None if ``value`` has a builtin type, as a number or a function has.
    """
    if isinstance(value, types.ModuleType):
        return {
            name: item
            for name, item in vars(value).items()
            if not name.startswith("_")
            and not isinstance(item, types.ModuleType | types.FunctionType | type)
        }
    of_class = isinstance(value, type)
    owner: type = value if of_class else type(value)
    if owner.__module__ == "builtins" and not owner.__flags__ & _HEAP_TYPE:
        return None  # a class that exec() has made can have this module, but is a heap type
    declared = _defaults(owner) if of_class else {}
    if hasattr(owner, "__pydantic_fields__"):
        return declared
    names: dict[str, None] = {}
    for base in reversed(owner.__mro__[:-1]):
        for name, attribute in vars(base).items():
            if _is_method(attribute, of_class=of_class):
                names.pop(name, None)
            else:
                names[name] = None
    if not of_class:
        names.update(dict.fromkeys(getattr(value, "__dict__", ())))
    return {**declared, **_attributes(value, [name for name in names if not name.startswith("_")])}


def _defaults(cls: Any) -> dict[str, Any]:
    """Return the defaults that a class declares for its fields; fields without one are left out."""
    given: Iterable[tuple[str, Any, Any]] = ()  # name, default, default factory
    if hasattr(cls, "__dataclass_fields__"):
        import dataclasses  # start-up time

        given = [(one.name, one.default, one.default_factory) for one in dataclasses.fields(cls)]
    elif hasattr(cls, "__attrs_attrs__"):
        given = [
            (one.name, one.default, getattr(one.default, "factory", None))
            for one in cls.__attrs_attrs__
            if not getattr(one.default, "takes_self", False)
        ]
    elif hasattr(cls, "__pydantic_fields__"):
        given = [
            (name, one.default, one.default_factory)
            for name, one in cls.__pydantic_fields__.items()
            if not getattr(one, "default_factory_takes_validated_data", False)
        ]
    elif hasattr(cls, "__struct_fields__"):
        given = [
            (name, one, getattr(one, "factory", None))
            for name, one in zip(
                reversed(cls.__struct_fields__), reversed(cls.__struct_defaults__), strict=False
            )
        ]
    return {
        name: factory() if callable(factory) else default
        for name, default, factory in given
        if callable(factory) or type(default).__name__ not in _NO_DEFAULT
    }


def _is_method(attribute: object, *, of_class: bool) -> bool:
    """Return whether an attribute of a class is no value: a descriptor that cannot be set."""
    kind = type(attribute)
    if getattr(kind, "tracelet_value", False):  # an attribute that a sweep has bound for a while
        return False
    return hasattr(kind, "__get__") and (of_class or not hasattr(kind, "__set__"))


def _attributes(value: Any, names: Any) -> dict[str, Any]:
    found = {}
    for name in names:
        try:
            item = getattr(value, name, _ABSENT)
        except Exception as error:  # a property is the user's code
            logging.getLogger(__name__).debug(
                "the attribute %r of a %s raises", name, type(value), exc_info=True
            )
            item = Unreadable(f"{type(error).__name__}: {error}"[:200])
        if item is not _ABSENT:
            found[name] = item
    return found
