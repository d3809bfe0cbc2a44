"""Settings as they are written in arguments, variables and files, checked; a typo ends here.

A layer holds what one of these places gives. Each value knows its origin, so that an error, and
``tracelet config``, can name it. ``None`` means: not given here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tracelet.errors import SettingsError, nearest
from tracelet.settings_fields import FLAG_OR_FLAGS, OPTIONS, PATH, TAGS, kinds

log = logging.getLogger(__name__)

_PREFIX = "TRACELET_"
_TRUST_VARIABLE = "TRACELET_TRUST_SETTINGS"
_NOT_SETTINGS = ("TRACELET_RUN_DIR", _TRUST_VARIABLE)
_BETWEEN_PROCESSES = "TRACELET_INTERNAL_"
"""Variables of ours that are not settings: by their names, and by the beginning of their names."""
_passed_by: set[Path] = set()
"""Files of other users, of which was warned."""
_REFUSED = (TypeError, ValueError, msgspec.ValidationError, RuntimeError)
"""What a check raises; the last: a path in the home of nobody."""
_TABLE = "[tool.tracelet]"


class Given(msgspec.Struct, frozen=True):
    """A checked value and where it came from."""

    value: Any
    origin: str


Layer = dict[tuple[str, ...], Given]
Origin = Callable[[str], str]
"""Says where a dotted key was given."""


def from_environment(environ: Mapping[str, str], base: Path) -> Layer:
    """Read the variables that begin with ``TRACELET_``; an empty one is as good as absent.

    Raises:
        SettingsError: if a variable is no setting, or its text cannot be its value.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX) or not text:
            continue
        if variable in _NOT_SETTINGS or variable.startswith(_BETWEEN_PROCESSES):
            continue
        key, *below = variable[len(_PREFIX) :].lower().split("__")
        place = f"environment {variable}"
        kind = kinds().get(key)
        if kind is None:
            near = nearest(key, kinds(), spell=lambda name: _PREFIX + name.upper())
            raise SettingsError(f"unknown setting ({place}){near}")
        if len(below) != len(kind.levels):
            instead = "__".join([key.upper(), *(f"<{level}>" for level in kind.levels)])
            raise SettingsError(f"unknown setting ({place}); write {_PREFIX}{instead}")
        put(values, (key, *below), _parsed(key, text, place))
        origins[".".join([key, *below])] = place
    return _checked(values, lambda key: origins.get(key, "environment"), base)


def put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value into mappings in mappings, at the path of its keys."""
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value


def _parsed(key: str, text: str, place: str) -> Any:
    kind = kinds()[key]
    try:
        return kind.parse(text if kind.levels else text.strip())
    except (TypeError, ValueError, KeyError):
        raise SettingsError(
            f"setting {key!r} ({place}) must be {kind.expects}, not {text!r}"
        ) from None


def from_nearest_file(directory: Path, environ: Mapping[str, str]) -> Layer:
    """Read the nearest ``tracelet.toml`` or ``[tool.tracelet]``, upwards from a directory.

    In one directory ``tracelet.toml`` wins. A ``pyproject.toml`` without the table is passed by.
    Relative paths in the file are relative to the file.

    The settings say where everything goes, and which module is imported. So a file that is not this
    user's, or is in a directory that is not, is passed by, with one warning. Git has the same rule
    for repositories: the files of root are no exception, and behind ``sudo`` those of the user who
    called it are. ``TRACELET_TRUST_SETTINGS=1`` lifts it.

    Raises:
        SettingsError: if the file cannot be read, or what it says is wrong.
    """
    for place in (directory, *directory.parents):
        if (file := place / "tracelet.toml").is_file() and _is_trusted(file, environ):
            return from_mapping(_toml(file), str(file), place)
        if (file := place / "pyproject.toml").is_file() and b"tracelet" in _content(file):
            if b"tool.tracelet" in _content(file) and not _is_trusted(file, environ):
                continue
            table = _table(file)
            if table is not None:
                return from_mapping(table, f"{file} {_TABLE}", place)
    return {}


def _is_trusted(file: Path, environ: Mapping[str, str]) -> bool:
    """Return whether a file that nobody has named may decide settings; say in one line if not."""
    if environ.get(_TRUST_VARIABLE, "").strip().lower() in ("1", "true", "yes", "on"):
        return True
    users = {os.geteuid()}
    if os.geteuid() == 0 and (caller := environ.get("SUDO_UID", "")).isdecimal():
        users.add(int(caller))
    try:
        owners = {file.lstat().st_uid, file.stat().st_uid, file.parent.stat().st_uid}
    except OSError:
        return False
    if owners <= users:
        return True
    if file not in _passed_by:
        _passed_by.add(file)
        log.warning(
            "the settings in %s are not used: it, or its directory, belongs to another user; "
            "%s=1 uses them",
            file,
            _TRUST_VARIABLE,
        )
    return False


def from_file(path: Path, base: Path) -> Layer:
    """Read a TOML, YAML or JSON file that was named as ``config=``.

    Raises:
        SettingsError: if it cannot be read, or what it says is wrong.
    """
    file = base / path.expanduser()
    if not file.is_file():
        raise SettingsError(f"config={str(path)!r}: {file} cannot be read: No such file")
    if file.name == "pyproject.toml":
        return from_mapping(_table(file) or {}, f"{file} {_TABLE}", base)
    reader = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml, ".json": _json}.get(file.suffix)
    if reader is None:
        raise SettingsError(f"config={str(path)!r}: settings are .toml, .yaml, .yml or .json files")
    return from_mapping(reader(file), str(file), base)


def from_mapping(values: Any, origin: str, base: Path) -> Layer:
    """Check a mapping of settings of which all have one origin.

    Raises:
        SettingsError: if a key is unknown, or a value of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{origin} must be a mapping of settings, not {type(values).__name__}")
    return _checked(values, lambda _: origin, base)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error


def _toml(file: Path) -> Any:
    import tomllib  # start-up time: most programs have no such file

    content = _content(file)
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error


def _table(file: Path) -> Any:
    return _toml(file).get("tool", {}).get("tracelet")


def _yaml(file: Path) -> Any:
    try:
        import yaml  # an optional library
    except ImportError as error:
        raise SettingsError(f"{file} needs a package: pip install pyyaml") from error
    try:
        return yaml.safe_load(_content(file)) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{file} is not YAML: {error}") from error


def _json(file: Path) -> Any:
    try:
        return msgspec.json.decode(_content(file))
    except msgspec.DecodeError as error:
        raise SettingsError(f"{file} is not JSON: {error}") from error


def _checked(values: Mapping[Any, Any], origin: Origin, base: Path) -> Layer:
    """Check the settings of one place; relative paths are relative to ``base``."""
    layer: Layer = {}
    for key, value in values.items():
        kind = kinds().get(key)
        if kind is None:
            hint = nearest(str(key), kinds())
            raise SettingsError(f"unknown setting {key!r} ({origin(str(key))}){hint}")
        if value is None:
            continue
        place = origin(key)
        if kind.levels and not isinstance(value, Mapping):
            raise _wrong(key, value, place)
        if kind is OPTIONS:
            layer.update(_options(key, value, origin))
        elif kind is TAGS:
            layer.update(_tags(key, value, origin))
        else:
            try:
                result = kind.check(value)
            except _REFUSED:
                raise _wrong(key, value, place) from None
            layer[(key,)] = Given(base / result if kind is PATH else result, place)
    return _with_one_backend(layer)


def _wrong(key: str, value: Any, place: str) -> SettingsError:
    found = f"{value!r:.80}"
    if isinstance(value, Mapping):  # is not shown: an option of a backend can be a secret
        found = f"a {type(value).__name__}"
        if kinds()[key] is FLAG_OR_FLAGS:
            found = next(
                f"one with {name!r:.80}: {item!r:.80}"
                for name, item in value.items()
                if not (isinstance(name, str) and name.strip() and isinstance(item, bool))
            )
    return SettingsError(f"setting {key!r} ({place}) must be {kinds()[key].expects}, not {found}")


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


def _tags(key: str, value: Mapping[Any, Any], origin: Origin) -> Layer:
    layer: Layer = {}
    for name, item in value.items():
        place = origin(f"{key}.{name}")
        if not isinstance(name, str) or not isinstance(item, str | int | float):
            raise _wrong(key, value, place)
        layer[key, name] = Given(str(item), place)
    return layer


def _options(key: str, value: Mapping[Any, Any], origin: Origin) -> Layer:
    layer: Layer = {}
    for name, options in value.items():
        if not isinstance(name, str) or not isinstance(options, Mapping):
            raise SettingsError(
                f"setting {key!r} ({origin(f'{key}.{name}')}) must be {OPTIONS.expects}, "
                f"not one with {name!r}: a {type(options).__name__}"
            )
        for option, item in options.items():
            if item is not None:
                place = origin(f"{key}.{name}.{option}")
                layer[key, name, str(option)] = Given(item, place)
    return layer
