"""Configuration objects: stores them whole, so that they can be used again."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tracelet.core.artifacts import PathLike, path_str
from tracelet.destinations import check_config
from tracelet.errors import (
    ArtifactNotFoundError,
    ConfigurationNotFoundError,
    DamageWarning,
    InvalidValueError,
    ValueTypeError,
    nearest,
    warn,
)
from tracelet.journal.blobs import BlobStore
from tracelet.records import AnyRecord, Config
from tracelet.redaction import Redactor
from tracelet.values.flatten import Foreign, flatten
from tracelet.values.plain import copy_plain, describe
from tracelet.wire import clean_text, float_token

_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})


class Configurations:
    """The configuration objects of an experiment, by name.

    Args:
        redactor: hides secrets.
        foreign: returns the fields of an object of a foreign type.
    """

    def __init__(self, redactor: Redactor, foreign: Foreign | None = None) -> None:
        self._redactor = redactor
        self._foreign = foreign
        self._values: dict[str, Any] = {}

    def take(self, name: Any, given: Any, blobs: BlobStore | None, now: float) -> Config | None:
        """Store a configuration object, and return its record.

        Args:
            name: its name; a later object of the same name replaces it.
            given: a mapping, a list, an object with fields, or the path of a file.
            blobs: stores the content; None: this process writes nothing.
            now: the time of the call, in seconds since the epoch.

        Returns:
            The record; None if this process writes nothing.

        Raises:
            ArtifactNotFoundError: the file does not exist.
            ValueTypeError: ``given`` cannot be a configuration object.
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
        check_config(name, ".json")
        self._values[name] = value
        if blobs is None:
            return None
        content = msgspec.json.format(msgspec.json.encode(_json_safe(value))) + b"\n"
        return Config(now, name, ".json", blobs.put_bytes(content), value)

    def get(
        self, name: Any, read: Callable[[], Iterable[AnyRecord]], blobs: BlobStore | None
    ) -> Any:
        """Return a configuration object: the value, or the path of a copy of the file.

        Args:
            name: its name.
            read: returns the records of the run: another process may have stored the object.
            blobs: the stored contents; None: this process writes nothing.

        Raises:
            ConfigurationNotFoundError: no object has that name.
        """
        if _name(name) not in self._values and blobs is not None:
            self._values = {**configurations_in(read(), blobs), **self._values}
        return find_configuration(self._values, name)

    def _take_file(
        self, name: str, given: PathLike, blobs: BlobStore | None, now: float
    ) -> Config | None:
        path = Path(path_str(given, "the file of a configuration"))
        if not os.path.isfile(path):  # noqa: PTH113 - False for an invalid name, too
            raise ArtifactNotFoundError(
                f"connect_configuration: there is no file {str(path)!r:.200} "
                f"(seen from {Path.cwd()})"
            )
        suffix = _suffix(path)
        check_config(name, suffix)
        if blobs is None:
            self._values[name] = path.absolute()
            return None
        digest = blobs.put_bytes(self._redactor.content(path.read_bytes()))
        self._values[name] = blobs.named(digest, suffix, make=True)
        return Config(now, name, suffix, digest)


def configurations_in(records: Iterable[AnyRecord], blobs: BlobStore) -> dict[str, Any]:
    """Return the configuration objects in the records, the latest of each name."""
    found: dict[str, Any] = {}
    for record in records:
        if type(record) is Config:
            value = record.value
            if value is None:
                value = blobs.named(record.digest, record.suffix)
                with contextlib.suppress(OSError):  # deleted to save space
                    if not blobs.is_intact(record.digest):
                        warn(f"the configuration object {record.name!r} is not what was logged: "
                             f"{value} was changed", DamageWarning)  # fmt: skip
            found[record.name] = value
    return found


def find_configuration(values: Mapping[str, Any], name: Any) -> Any:
    """Return a copy of the configuration object ``name`` in ``values``.

    Raises:
        ConfigurationNotFoundError: no object has that name.
        ValueTypeError: ``name`` is not a ``str``.
        InvalidValueError: ``name`` is empty.
    """
    name = _name(name)
    if name not in values:
        near = nearest(name, values) if values else "; there is none"
        raise ConfigurationNotFoundError(f"no configuration object {name!r}{near}")
    return copy_plain(values[name])


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueTypeError(f"the name of a configuration must be a str, not {describe(name):.80}")
    cleaned = clean_text(name).strip("/")
    if not cleaned:
        raise InvalidValueError("the name of a configuration must not be empty")
    return cleaned


def _suffix(path: Path) -> str:
    """Return the suffix that a loader needs: ``.yaml``, ``.tar.gz``."""
    last = path.suffix
    return path.with_suffix("").suffix + last if last in _COMPRESSED else last


def plain_value(name: str, value: Any, foreign: Foreign | None = None) -> Any:
    """Return a value of any shape as JSON-like data; mappings stay mappings."""
    return flatten({name: [value]}, foreign=foreign).values[name][0]


def _json_safe(value: Any) -> Any:
    """Return a value for its JSON file: NaN and the infinities become strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return float_token(value)
    if isinstance(value, dict):
        return {key: _json_safe(item) for key, item in value.items()}
    return [_json_safe(item) for item in value] if isinstance(value, list) else value
