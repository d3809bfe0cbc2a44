"""Configurations checked against the types of a dataclass or model, before anything runs.

A wrong value must be found before the first of a thousand runs begins, and not by the last.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import msgspec

from tracelet.errors import InvalidValueError
from tracelet.sweep.targets import Target, is_model

_USERS_OWN = ("value_error", "assertion_error", "missing", "extra_forbidden")
"""Complaints that depend on more than the value itself."""


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


class _Wrong:
    def __init__(self, field: str, reason: str, *, by_itself: bool = True) -> None:
        self.field = field
        self.reason = reason
        self.by_itself = by_itself


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
        f"{which} {_shown(values)} cannot be a {target.label}: {reasons}"
    ) from cause


def _shown(values: Mapping[str, Any]) -> str:
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
