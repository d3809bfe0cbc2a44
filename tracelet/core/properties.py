"""User properties: notes about a run. Converts the arguments of a call to a record.

A property has a typed value, and may have a description and a type. It can be given as
``name=value``, as ``name={"value": …, "description": …, "type": …}``, as a dict with ``name`` and
``value``, as a mapping of properties by name, or as a list of dicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracelet.core.configurations import plain_value
from tracelet.errors import InvalidValueError, KeyCollisionError, ValueTypeError
from tracelet.records import Properties
from tracelet.redaction import Redactor
from tracelet.values.flatten import MAX_DEPTH
from tracelet.values.plain import copy_mapping, describe
from tracelet.wire import clean_text

_FIELDS = frozenset({"value", "description", "type"})


def properties_record(
    given: tuple[Any, ...],
    named: Mapping[str, Any],
    now: float,
    redactor: Redactor,
    *,
    known: Callable[[str], Mapping[str, Any] | None] = lambda _: None,
) -> Properties | None:
    """Return the record of a call that sets user properties; None if it sets none.

    A property whose value alone is given keeps its description and its type.

    Args:
        given: the positional arguments.
        named: the keyword arguments.
        now: the time of the call, in seconds since the epoch.
        redactor: hides secrets.
        known: returns the fields of a property that is set already, or None.

    Raises:
        ValueTypeError: an argument is no property.
        InvalidValueError: a property has no name, no value, or an unknown field.
        KeyCollisionError: a property is given twice.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, content in [*_name_content_pairs(given), *named.items()]:
        key = _name(name)
        if key in found:
            raise KeyCollisionError(key, f"the property {key!r} is given twice")
        found[key] = _property(key, content, redactor, known)
    return Properties(now, found) if found else None


def _name_content_pairs(given: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Return the names and contents of properties, also of those in nested lists."""
    if depth > MAX_DEPTH:
        raise InvalidValueError(f"user properties in lists more than {MAX_DEPTH} levels deep")
    pairs: list[tuple[Any, Any]] = []
    for one in given:
        if isinstance(one, list | tuple):
            pairs += _name_content_pairs(one, depth + 1)
        elif not isinstance(one, Mapping):
            raise ValueTypeError(
                "a user property is name=value, or a dict with 'name' and 'value', not "
                f"{type(one).__name__}: {describe(one):.80}"
            )
        elif _describes_one(fields := copy_mapping("the user properties", one)):
            pairs.append((fields.pop("name"), fields))
        else:
            pairs += fields.items()
    return pairs


def _describes_one(given: Mapping[Any, Any]) -> bool:
    """Return whether a mapping is one property, and not several by name.

    ``{"name": "x", "value": 1}`` is one. A mapping that lacks its value, or has a misspelt field,
    counts as one, too, so that it raises.
    """
    fields = given.keys() - {"name"}
    return isinstance(given.get("name"), str) and (not fields or bool(fields & _FIELDS))


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueTypeError(f"the name of a user property must be a str, not {describe(name):.80}")
    if not name:
        raise InvalidValueError("the name of a user property must not be empty")
    return clean_text(name)


def _property(
    name: str,
    content: Any,
    redactor: Redactor,
    known: Callable[[str], Mapping[str, Any] | None],
) -> dict[str, Any]:
    fields = {"value": content}
    if isinstance(content, Mapping):
        fields = copy_mapping(f"the user property {name!r}", content)
    if fields.get("name") == name:
        del fields["name"]
    if "value" not in fields or fields.keys() - _FIELDS:
        raise InvalidValueError(
            f"the user property {name!r} is a value, or a dict with 'value' and maybe "
            "'description' and 'type', not one with "
            f"{', '.join(map(describe, fields)) or 'no value'}"
        )
    value = redactor.value(name, plain_value(name, fields["value"]))
    before = (known(name) or {}) if fields.keys() == {"value"} else {}
    described = {
        key: redactor.text(clean_text(str(fields[key]))) if fields.get(key) is not None else None
        for key in ("description", "type")
    }
    return {"value": value, **described, **{key: before[key] for key in described if key in before}}
