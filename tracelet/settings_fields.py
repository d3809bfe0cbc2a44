"""The settings, each declared once: its name, type, default, meaning, and what it takes.

A setting is added here, as one attribute with its docstring, and in ``docs/settings.md``. The type
decides what is accepted and how a variable is read; one that needs more has a :class:`Kind`.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    Never,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

DEFAULT_INTERVAL = 10.0
START_TIMEOUT = 300.0
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NO_BACKENDS = (int, float, bytes, Mapping, list, tuple, type(None))


class Kind(msgspec.Struct, frozen=True):
    """What a setting takes.

    Attributes:
        expects: what it takes, for the message of an error.
        check: returns the value as it is kept; raises ValueError, TypeError or ValidationError.
        parse: makes a value of the ``str`` of a variable; raises ValueError or KeyError.
        levels: what the keys of a mapping are; such a setting is merged key by key.
    """

    expects: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] = str
    levels: tuple[str, ...] = ()


_Text = Annotated[str, msgspec.Meta(pattern=r"\S")]
_Texts = tuple[_Text, ...]


def _typed(hint: Any) -> Callable[[Any], Any]:
    """Return a check for a type: it raises ``msgspec.ValidationError``."""
    return functools.partial(msgspec.convert, type=hint)


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


def _names(value: Any) -> bool | tuple[str, ...]:
    given = _split(value) if isinstance(value, str) else value
    return _texts(given)


def _texts(value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, set | frozenset):  # they have no order
        raise TypeError
    return msgspec.convert(value, bool | _Texts)


def _list_of_texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        raise TypeError
    return _texts(value)  # type: ignore[return-value] # it is none


def _split(text: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise ValueError
    return items


def _parse_flag(text: str) -> bool:
    return {"1": True, "0": False, **_WORDS}[text.lower()]


def _parse_interval(text: str) -> bool | float:
    return _WORDS[text.lower()] if text.lower() in _WORDS else float(text)


def _parse_flag_or_texts(text: str) -> bool | list[str]:
    return _parse_flag(text) if text.lower() in {"1", "0", *_WORDS} else _split(text)


def _parse_flag_or_flags(text: str) -> bool | dict[str, bool]:
    if "=" not in text:
        return _parse_flag(text)
    pairs = (item.split("=", 1) for item in _split(text))
    return {name.strip(): _parse_flag(flag.strip()) for name, flag in pairs}


def _parse_option(text: str) -> str | bool:
    """Take the ``str`` of a backend's option; what it has to be, only the backend knows."""
    return {"true": True, "false": False}.get(text.strip().lower(), text)


def _path(value: Any) -> Path:
    return Path(msgspec.convert(value, _Text) if isinstance(value, str) else value).expanduser()


def _backends(value: Any) -> tuple[Any, ...]:
    items = _split(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        items = (items,)
    names = [item for item in items if isinstance(item, str)]
    if not items or len(names) != len(set(names)) or not all(map(str.strip, names)):
        raise ValueError
    if any(isinstance(item, _NO_BACKENDS) for item in items):
        raise TypeError
    return tuple(items)


TEXT = Kind("a text that is not empty", _typed(_Text))
FLAG = Kind("true or false", _typed(bool), _parse_flag)
SECONDS = Kind("a number of seconds, 0 or more", _seconds, float)
INTERVAL = Kind("true, false, or a number of seconds", _interval, _parse_interval)
PATH = Kind("a path", _path)
GLOBS = Kind("a list of globs", _list_of_texts, _split)
FLAG_OR_GLOBS = Kind("true, false, or a list of globs", _texts, _parse_flag_or_texts)
FLAG_OR_NAMES = Kind("true, false, or names of sources", _names, _parse_flag_or_texts)
FLAG_OR_FLAGS = Kind(
    "true, false, or a mapping of names to true or false",
    _typed(bool | dict[_Text, bool]),
    _parse_flag_or_flags,
)
BACKENDS = Kind("names of different backends, a class, an instance, or a list of these", _backends)
TAGS = Kind("a mapping of texts", dict, levels=("NAME",))
OPTIONS = Kind(
    "a mapping of backends to mappings of their options",
    dict,
    _parse_option,
    levels=("BACKEND", "OPTION"),
)

Absent = TypeVar("Absent")
"""What a setting can be besides its value: None where it was not given, nothing once decided."""
Place = TypeVar("Place")
Chosen = TypeVar("Chosen")
_BACKEND: Any = ("local",)
_DIR: Any = Path(".tracelet")


class _Fields(msgspec.Struct, Generic[Absent, Place, Chosen], kw_only=True):
    name: str | Absent | None = None
    """The name of the run."""
    project: str | Absent = "default"
    """The project it belongs to."""
    backend: Annotated[Chosen, BACKENDS] | Absent = _BACKEND
    """Names separated by commas, or a list of names, classes and instances."""
    backends: Annotated[Mapping[str, Mapping[str, Any]], OPTIONS] | Absent = {}
    """The options of each backend: ``{"mlflow": {"tracking_uri": …}}``."""
    tags: Annotated[Mapping[str, str], TAGS] | Absent = {}
    """The tags of the run."""
    dir: Annotated[Place, PATH] | Absent = _DIR
    """Where runs are kept."""
    journal_dir: Annotated[Place, PATH] | Absent | None = None
    """Where journals are written; None: in the run's directory."""
    group: str | Absent | None = None
    """The group of runs it belongs to."""
    courier: Literal["auto", "process", "thread"] | Absent = "auto"
    """Where delivery happens."""
    drain_timeout: Annotated[float, SECONDS] | Absent = 60.0
    """The seconds that ``stop()`` waits for delivery."""
    start_timeout: Annotated[float, SECONDS] | Absent = START_TIMEOUT
    """The seconds that a backend may take to import its SDK, and to open the run; doubled each time
    that they are not enough."""
    on_error: Literal["raise", "warn"] | Absent = "raise"
    """What a mistake in a call does."""
    on_param_conflict: Literal["overwrite", "keep", "error"] | Absent = "overwrite"
    """What a changed parameter does."""
    strict: bool | Absent = False
    """Whether ``stop()`` raises if something was not delivered as given."""
    ranks: Literal["first", "all"] | Absent = "first"
    """Which processes of a distributed job log."""
    redact: Annotated[bool | Sequence[str], FLAG_OR_GLOBS] | Absent = True
    """Whether secrets are hidden, or more globs of keys to hide, ``!`` for not."""
    capture: Annotated[bool | Sequence[str], FLAG_OR_NAMES] | Absent = True
    """Whether the program's arguments are captured, or the names of what is."""
    capture_arguments: Annotated[bool | Mapping[str, bool], FLAG_OR_FLAGS] | Absent = True
    """Single arguments in and out: ``{"password": False, "*": True}``."""
    capture_console: bool | Absent = False
    """Whether what the program prints is logged."""
    log_environment: Annotated[Sequence[str], GLOBS] | Absent = ()
    """Globs of the variables to log, ``!`` for not."""
    system_metrics: Annotated[float, INTERVAL] | Absent | None = DEFAULT_INTERVAL
    """Every how many seconds system metrics are logged; True: as by default; None: never."""
    disabled: bool | Absent = False
    """Whether logging is switched off."""


class Settings(_Fields[Never, Path, tuple[Any, ...]], kw_only=True, frozen=True):  # type: ignore[misc] # only what is decided is frozen
    """The settings that hold for a run: those of :class:`ExperimentConfig`, all decided.

    ``dir`` and ``journal_dir`` are absolute.
    """

    origins: dict[str, str] = {}
    """Dotted key to where its value came from: ``argument``, ``config=``, ``environment
    TRACELET_PROJECT``, the path of a file, ``default``."""


def _none_given(cls: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return the class with None as the default of every field, and types that help() can show."""
    hints = {**_Fields.__annotations__, **cls.__annotations__}
    fields = [(name, _readable(hints[name]), None) for name in cls.__struct_fields__]
    namespace = {"__doc__": cls.__doc__, "__module__": cls.__module__}
    return msgspec.defstruct(cls.__name__, fields, kw_only=True, namespace=namespace)


def _readable(hint: str) -> str:
    """Return the type of a field of :class:`ExperimentConfig`, as it would be written there."""
    hint = re.sub(r"Annotated\[(.+), [A-Z_]+\]", r"\1", hint)
    hint = hint.replace(" | Absent | None", " | None").replace("Absent", "None")
    return hint.replace("Place", "str | os.PathLike[str]").replace("Chosen", "Any")


@_none_given
class ExperimentConfig(_Fields[None, str | os.PathLike[str], Any], kw_only=True):
    """The settings of an experiment, to be given as ``config=``; None means: not set here.

    The page on settings of the documentation has a line for each, and ``tracelet config`` shows
    those that hold here.
    """

    backend_name: str | None = None
    """Another word for ``backend``."""
    tracking_uri: str | None = None
    """The address of the one remote backend."""


def _kind(hint: Any) -> Kind:
    """Return what a field takes, by its type."""
    basic = {str: TEXT, bool: FLAG}
    for part in get_args(hint):
        if part in basic:
            return basic[part]
        if get_origin(part) is Literal:
            return Kind(" or ".join(map(repr, get_args(part))), _typed(part))
        if get_origin(part) is Annotated:
            return next(one for one in part.__metadata__ if isinstance(one, Kind))
    raise TypeError(f"no kind of setting has the type {hint}")


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """Return every setting by its name; made when it is first asked for: start-up time."""
    hints = get_type_hints(_Fields, include_extras=True)
    found = {name: _kind(hint) for name, hint in hints.items()}
    return {**found, **dict.fromkeys(("backend_name", "tracking_uri"), TEXT)}
