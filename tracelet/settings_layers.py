"""Settings as they are written in arguments, variables and files, checked; a typo ends here.

A layer holds what one of these places gives. Each value knows its origin, so that an error, and
``tracelet config``, can name it. ``None`` means: not given here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tracelet.errors import SettingsError

PREFIX = "TRACELET_"
NOT_SETTINGS = ("TRACELET_RUN_DIR", "TRACELET_INTERNAL_")
"""Variables of ours that are not settings: the first by its name, the second by its beginning."""

Key = tuple[str, ...]


class Given(msgspec.Struct, frozen=True):
    """A checked value and where it came from."""

    value: Any
    origin: str


Layer = dict[Key, Given]


class Kind(msgspec.Struct, frozen=True):
    """What a setting takes.

    Attributes:
        expects: what it takes, for the message of an error.
        check: returns the value as it is kept; raises ValueError or TypeError.
        parse: makes a variable's text such a value; raises ValueError.
    """

    expects: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] = str


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _parse_flag(text: str) -> bool:
    return {"1": True, "0": False, **_WORDS}[text.lower()]


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if math.isnan(value) or value < 0:
        raise ValueError
    return float(value)


def _interval(value: Any) -> float | None:
    """Return seconds, or None for never."""
    if isinstance(value, bool):
        return DEFAULT_INTERVAL if value else None
    return _seconds(value) or None


def _parse_interval(text: str) -> bool | float:
    return _WORDS[text.lower()] if text.lower() in _WORDS else float(text)


def _choice(*words: str) -> Kind:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Kind(" or ".join(repr(word) for word in words), check)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_text(item) for item in value)


def _split(text: str) -> list[str]:
    return [_text(item.strip()) for item in text.split(",")]


def _flag_or_texts(value: Any) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else _texts(value)


def _flag_or_names(value: Any) -> bool | tuple[str, ...]:
    return tuple(_split(value)) if isinstance(value, str) else _flag_or_texts(value)


def _parse_flag_or_texts(text: str) -> bool | list[str]:
    return _parse_flag(text) if text.lower() in {"1", "0", *_WORDS} else _split(text)


def _flag_or_flags(value: Any) -> bool | dict[str, bool]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, Mapping):
        raise TypeError
    return {_text(name): _flag(item) for name, item in value.items()}


def _parse_flag_or_flags(text: str) -> bool | dict[str, bool]:
    if "=" not in text:
        return _parse_flag(text)
    pairs = (item.split("=", 1) for item in _split(text))
    return {name.strip(): _parse_flag(flag.strip()) for name, flag in pairs}


def _path(value: Any) -> Path:
    if isinstance(value, str):
        _text(value)
    return Path(value).expanduser()


def _backends(value: Any) -> tuple[Any, ...]:
    items = _split(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        items = (items,)
    names = [item for item in items if isinstance(item, str)]
    if not items or len(names) != len(set(names)):
        raise ValueError
    for item in items:
        if isinstance(item, str):
            _text(item)
        elif isinstance(item, int | float | bytes | Mapping | list | tuple) or item is None:
            raise TypeError
    return tuple(items)


_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
DEFAULT_INTERVAL = 10.0

TEXT = Kind("a text that is not empty", _text)
FLAG = Kind("true or false", _flag, _parse_flag)
PATH = Kind("a path", _path)
KINDS: dict[str, Kind] = {
    "name": TEXT,
    "project": TEXT,
    "backend": Kind(
        "names of different backends, a class, an instance, or a list of these", _backends
    ),
    "backend_name": TEXT,
    "tags": Kind("a mapping of texts", dict),
    "tracking_uri": TEXT,
    "dir": PATH,
    "journal_dir": PATH,
    "group": TEXT,
    "courier": _choice("auto", "process", "thread"),
    "drain_timeout": Kind("a number of seconds, 0 or more", _seconds, float),
    "on_error": _choice("raise", "warn"),
    "on_param_conflict": _choice("overwrite", "keep", "error"),
    "strict": FLAG,
    "ranks": _choice("first", "all"),
    "redact": Kind("true, false, or a list of globs", _flag_or_texts, _parse_flag_or_texts),
    "capture": Kind("true, false, or names of sources", _flag_or_names, _parse_flag_or_texts),
    "capture_arguments": Kind(
        "true, false, or a mapping of names to true or false", _flag_or_flags, _parse_flag_or_flags
    ),
    "capture_console": FLAG,
    "log_environment": Kind("a list of globs", _texts, _split),
    "system_metrics": Kind("true, false, or a number of seconds", _interval, _parse_interval),
    "disabled": FLAG,
    "backends": Kind("a mapping of backends to mappings of their options", dict),
}


def checked(values: Mapping[Any, Any], origin: Callable[[str], str], base: Path) -> Layer:
    """Check the settings of one place.

    Args:
        values: setting to value, as it was written.
        origin: says where a key was given.
        base: what relative paths are relative to.

    Raises:
        SettingsError: if a key is unknown, or a value of the wrong type.
    """
    layer: Layer = {}
    for key, value in values.items():
        if key not in KINDS:
            raise SettingsError(f"unknown setting {key!r} ({origin(str(key))}){nearest(str(key))}")
        if value is None:
            continue
        place = origin(key)
        if key == "backends":
            layer.update(_options(value, origin))
        elif key == "tags":
            layer.update(_tags(value, origin))
        else:
            result = _checked(key, value, place)
            if KINDS[key] is PATH:
                result = base / result
            layer[(key,)] = Given(result, place)
    return _with_one_backend(layer)


def _checked(key: str, value: Any, place: str) -> Any:
    try:
        return KINDS[key].check(value)
    except (TypeError, ValueError, RuntimeError):  # the last: a path in the home of nobody
        raise _wrong(key, value, place) from None


def _wrong(key: str, value: Any, place: str) -> SettingsError:
    shown = f"{value!r:.80}"
    if isinstance(value, Mapping):  # is not shown: an option of a backend can be a secret
        shown = f"a {type(value).__name__}"
        if key == "capture_arguments":
            shown = next(
                f"one with {name!r:.80}: {item!r:.80}"
                for name, item in value.items()
                if not (isinstance(name, str) and name.strip() and isinstance(item, bool))
            )
    return SettingsError(f"setting {key!r} ({place}) must be {KINDS[key].expects}, not {shown}")


def _with_one_backend(layer: Layer) -> Layer:
    """Make ``backend_name`` the ``backend`` it is another word for."""
    named = layer.pop(("backend_name",), None)
    if named is None:
        return layer
    backend = layer.setdefault(("backend",), Given((named.value,), named.origin))
    if backend.value != (named.value,):
        raise SettingsError(
            f"'backend' ({backend.origin}) and 'backend_name' ({named.origin}) are the same "
            "setting with different values: give one"
        )
    return layer


def _tags(value: Any, origin: Callable[[str], str]) -> Layer:
    if not isinstance(value, Mapping):
        raise _wrong("tags", value, origin("tags"))
    layer: Layer = {}
    for name, item in value.items():
        if not isinstance(name, str) or not isinstance(item, str | int | float):
            raise _wrong("tags", value, origin(f"tags.{name}"))
        layer["tags", name] = Given(str(item), origin(f"tags.{name}"))
    return layer


def _options(value: Any, origin: Callable[[str], str]) -> Layer:
    if not isinstance(value, Mapping):
        raise _wrong("backends", value, origin("backends"))
    layer: Layer = {}
    for name, options in value.items():
        key = f"backends.{name}"
        if not isinstance(name, str) or not isinstance(options, Mapping):
            raise SettingsError(
                f"setting 'backends' ({origin(key)}) must be {KINDS['backends'].expects}, "
                f"not one with {name!r}: a {type(options).__name__}"
            )
        for option, item in options.items():
            if item is not None:
                layer["backends", name, str(option)] = Given(item, origin(f"{key}.{option}"))
    return layer


def nearest(key: str, known: Iterable[str] = KINDS, spell: Callable[[str], str] = repr) -> str:
    """Say which known key is meant, for the end of a message."""
    from difflib import get_close_matches

    found = get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    if found:
        return f"; did you mean {spell(found[0])}?"
    return f"; known are {', '.join(sorted(known))}"
