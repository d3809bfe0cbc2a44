"""Configuration objects: kept whole, so that what a run was configured with can be used again."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tracelet.backends.base import ConfigObject
from tracelet.core.artifacts import PathLike, path_text, refuse_long
from tracelet.errors import (
    ArtifactNotFoundError,
    ConfigurationNotFoundError,
    InvalidValueError,
    ValueTypeError,
    nearest,
)
from tracelet.journal.blobs import BlobStore
from tracelet.records import AnyRecord, Config
from tracelet.redaction import Redactor
from tracelet.values.flatten import Foreign, flatten
from tracelet.values.plain import describe
from tracelet.wire import clean_text, float_token

_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})


class Configurations:
    """The configuration objects of an experiment, by name.

    Args:
        redactor: hides secrets.
        foreign: asked for the fields of objects of a foreign type.
    """

    def __init__(self, redactor: Redactor, foreign: Foreign | None = None) -> None:
        self._redactor = redactor
        self._foreign = foreign
        self._values: dict[str, Any] = {}

    def take(self, name: Any, given: Any, blobs: BlobStore | None, now: float) -> Config | None:
        """Keep a configuration object, and return its record; None if nothing is to be written.

        Args:
            name: what it is called; a later one of the same name takes its place.
            given: a mapping, a list, an object with fields, or the path of a file.
            blobs: where its content goes; None: this process writes nothing.
            now: the time of the call.

        Raises:
            ArtifactNotFoundError: the file does not exist.
            ValueTypeError: it is nothing that can be a configuration.
        """
        name = _name(name)
        if isinstance(given, str | os.PathLike):
            return self._take_file(name, given, blobs, now)
        value = self._redactor.value(name, plain_value(name, given, self._foreign))
        if not isinstance(value, dict | list):
            raise ValueTypeError(
                f"a configuration is a mapping, a list, or the path of a file, not "
                f"{type(given).__name__}: {describe(given):.80}"
            )
        _refuse_no_file(name, ".json")
        self._values[name] = value
        if blobs is None:
            return None
        content = msgspec.json.format(msgspec.json.encode(_shown(value))) + b"\n"
        return Config(now, name, ".json", blobs.put_bytes(content), value)

    def get(
        self, name: Any, read: Callable[[], Iterable[AnyRecord]], blobs: BlobStore | None
    ) -> Any:
        """Return a configuration object: the value, or the path of a copy of the file.

        Args:
            name: what it is called.
            read: gives the records of the run: other processes may have kept what is not known.
            blobs: where contents are kept; None: nothing is.

        Raises:
            ConfigurationNotFoundError: there is none of that name.
        """
        if _name(name) not in self._values and blobs is not None:
            self._values = {**stored(read(), blobs), **self._values}
        return find(self._values, name)

    def _take_file(
        self, name: str, given: PathLike, blobs: BlobStore | None, now: float
    ) -> Config | None:
        path = Path(path_text(given, "the file of a configuration"))
        if not os.path.isfile(path):  # noqa: PTH113 - False for what no file can be called, too
            raise ArtifactNotFoundError(
                f"connect_configuration: there is no file {str(path)!r:.200} "
                f"(seen from {Path.cwd()})"
            )
        suffix = _suffix(path)
        _refuse_no_file(name, suffix)
        if blobs is None:
            self._values[name] = path.absolute()
            return None
        digest = blobs.put_bytes(self._redactor.content(path.read_bytes()))
        self._values[name] = blobs.named(digest, suffix)
        return Config(now, name, suffix, digest)


def _refuse_no_file(name: str, suffix: str) -> None:
    """Refuse a name with which no file can be called."""
    file = ConfigObject(name, suffix, None, Path(), "", 0).path
    if "\0" in file or file.endswith(("/.", "/..")):
        raise InvalidValueError(f"the name of a configuration becomes that of a file: not {name!r}")
    refuse_long("the name of a configuration", file)


def stored(records: Iterable[AnyRecord], blobs: BlobStore) -> dict[str, Any]:
    """Return the configuration objects in records, the latest of each name."""
    found: dict[str, Any] = {}
    for record in records:
        if type(record) is Config:
            value = record.value
            found[record.name] = (
                blobs.named(record.digest, record.suffix) if value is None else value
            )
    return found


def find(values: Mapping[str, Any], name: Any) -> Any:
    """Return a copy of the configuration object of a name.

    Raises:
        ConfigurationNotFoundError: there is none of that name.
        ValueTypeError, InvalidValueError: it is no name.
    """
    name = _name(name)
    if name not in values:
        near = nearest(name, values) if values else "; there is none"
        raise ConfigurationNotFoundError(f"no configuration object {name!r}{near}")
    return _copy(values[name])


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueTypeError(f"the name of a configuration is a text, not {describe(name):.80}")
    cleaned = clean_text(name).strip("/")
    if not cleaned:
        raise InvalidValueError("the name of a configuration must not be empty")
    return cleaned


def _suffix(path: Path) -> str:
    """Return what tells a loader how to read a file: ``.yaml``, ``.tar.gz``."""
    last = path.suffix
    return path.with_suffix("").suffix + last if last in _COMPRESSED else last


def plain_value(name: str, value: Any, foreign: Foreign | None = None) -> Any:
    """Return a value of any shape as JSON-like data, whole: mappings stay mappings."""
    return flatten({name: [value]}, foreign=foreign).values[name][0]


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _shown(value: Any) -> Any:
    """Return a value as its file has it, for people: JSON has no NaN and no infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return float_token(value)
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list) else value
