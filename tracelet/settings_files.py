"""Settings from the environment and from files; the nearest file wins over those further up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracelet.errors import SettingsError
from tracelet.settings_layers import KINDS, NOT_SETTINGS, PREFIX, Layer, checked, nearest

TABLE = "[tool.tracelet]"


def from_environment(environ: Mapping[str, str], base: Path) -> Layer:
    """Read the variables that begin with ``TRACELET_``; an empty one is as good as absent.

    Raises:
        SettingsError: if a variable is no setting, or its text cannot be its value.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or not text or _is_ours(variable):
            continue
        path = variable[len(PREFIX) :].lower().split("__")
        place = f"environment {variable}"
        if path[0] not in KINDS:
            near = nearest(path[0], spell=lambda key: PREFIX + key.upper())
            raise SettingsError(f"unknown setting ({place}){near}")
        if path[0] in _DEPTHS and len(path) == _DEPTHS[path[0]]:
            inner = values
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = _option(text) if path[0] == "backends" else text
        elif path[0] in _DEPTHS or len(path) > 1:
            raise SettingsError(f"unknown setting ({place}); write {_SPELLINGS[path[0]]}")
        else:
            values[path[0]] = _parsed(path[0], text, place)
        origins[".".join(path)] = place
    return checked(values, lambda key: origins.get(key, "environment"), base)


_DEPTHS = {"tags": 2, "backends": 3}
_SPELLINGS = {key: PREFIX + key.upper() for key in KINDS} | {
    "tags": "TRACELET_TAGS__<NAME>",
    "backends": "TRACELET_BACKENDS__<BACKEND>__<OPTION>",
}


def _is_ours(variable: str) -> bool:
    name, beginning = NOT_SETTINGS
    return variable == name or variable.startswith(beginning)


def _parsed(key: str, text: str, place: str) -> Any:
    try:
        return KINDS[key].parse(text.strip())
    except (TypeError, ValueError, KeyError):
        raise SettingsError(
            f"setting {key!r} ({place}) must be {KINDS[key].expects}, not {text!r}"
        ) from None


def _option(text: str) -> str | bool:
    """Take the text of a backend's option; what it has to be, only the backend knows."""
    return {"true": True, "false": False}.get(text.strip().lower(), text)


def from_nearest_file(directory: Path) -> Layer:
    """Read the nearest ``tracelet.toml`` or ``[tool.tracelet]``, upwards from a directory.

    In one directory ``tracelet.toml`` wins. A ``pyproject.toml`` without the table is passed by.
    Relative paths in the file are relative to the file.

    Raises:
        SettingsError: if the file cannot be read, or what it says is wrong.
    """
    for place in (directory, *directory.parents):
        if (file := place / "tracelet.toml").is_file():
            return from_mapping(_toml(file), str(file), place)
        if (file := place / "pyproject.toml").is_file() and b"tracelet" in _content(file):
            table = _table(file)
            if table is not None:
                return from_mapping(table, f"{file} {TABLE}", place)
    return {}


def from_file(path: Path, base: Path) -> Layer:
    """Read a TOML, YAML or JSON file that was named as ``config=``.

    Raises:
        SettingsError: if it cannot be read, or what it says is wrong.
    """
    file = base / path.expanduser()
    if not file.is_file():
        raise SettingsError(f"config={str(path)!r}: {file} cannot be read: No such file")
    if file.name == "pyproject.toml":
        return from_mapping(_table(file) or {}, f"{file} {TABLE}", base)
    reader = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml, ".json": _json}.get(file.suffix)
    if reader is None:
        raise SettingsError(f"config={str(path)!r}: settings are .toml, .yaml, .yml or .json files")
    return from_mapping(reader(file), str(file), base)


def from_mapping(values: Any, origin: str, base: Path) -> Layer:
    """Check a mapping of settings of which all have one origin."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{origin} must be a mapping of settings, not {type(values).__name__}")
    return checked(values, lambda _: origin, base)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error


def _toml(file: Path) -> Any:
    import tomllib

    content = _content(file)
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error


def _table(file: Path) -> Any:
    return _toml(file).get("tool", {}).get("tracelet")


def _yaml(file: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise SettingsError(f"{file} needs a package: pip install pyyaml") from error
    try:
        return yaml.safe_load(_content(file)) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{file} is not YAML: {error}") from error


def _json(file: Path) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(_content(file))
    except msgspec.DecodeError as error:
        raise SettingsError(f"{file} is not JSON: {error}") from error
