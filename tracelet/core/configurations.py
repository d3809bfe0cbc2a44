"""Configuration objects: kept whole, so that what a run was configured with can be used again."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import msgspec

from tracelet.core.artifacts import PathLike
from tracelet.core.flatten import Foreign, flatten
from tracelet.core.plain import text
from tracelet.core.redaction import Redactor
from tracelet.errors import ArtifactNotFoundError, InvalidValueError, ValueTypeError
from tracelet.journal.blobs import BlobStore
from tracelet.journal.rundir import RunDir
from tracelet.records import Config
from tracelet.wire import clean_text, float_token


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
        if not isinstance(name, str):
            raise ValueTypeError(f"the name of a configuration is a text, not {text(name):.80}")
        name = clean_text(name).strip("/")
        if not name:
            raise InvalidValueError("the name of a configuration must not be empty")
        if isinstance(given, str | os.PathLike):
            return self._take_file(name, given, blobs, now)
        value = self._redactor.value(name, plain_value(name, given, self._foreign))
        if not isinstance(value, dict | list):
            raise ValueTypeError(
                f"a configuration is a mapping, a list, or the path of a file, not "
                f"{type(given).__name__}: {text(given):.80}"
            )
        self._values[name] = value
        if blobs is None:
            return None
        content = msgspec.json.format(msgspec.json.encode(_shown(value))) + b"\n"
        return Config(now, name, ".json", blobs.put_bytes(content), value)

    def get(self, name: str, run_dir: RunDir | None) -> Any:
        """Return a configuration object: the value, or the path of a copy of the file.

        Raises:
            KeyError: there is none of that name.
        """
        if name not in self._values and run_dir is not None:
            self._read(run_dir)
        return _copy(self._values[name])

    def _take_file(
        self, name: str, given: PathLike, blobs: BlobStore | None, now: float
    ) -> Config | None:
        path = Path(given)
        if not path.is_file():
            raise ArtifactNotFoundError(
                f"connect_configuration: there is no file {str(path)!r} (seen from {Path.cwd()})"
            )
        if blobs is None:
            self._values[name] = path.absolute()
            return None
        content = path.read_bytes()
        digest = blobs.put_bytes(self._without_secrets(content))
        self._values[name] = blobs.path(digest)
        return Config(now, name, path.suffix, digest)

    def _without_secrets(self, content: bytes) -> bytes:
        """Return a file's content byte for byte, unless it is a text with secrets in it."""
        try:
            decoded = content.decode()
        except UnicodeDecodeError:
            return content
        return self._redactor.text(decoded).encode()

    def _read(self, run_dir: RunDir) -> None:
        """Learn what other processes, or an earlier one, have kept of this run."""
        reader = run_dir.reader()
        for record in reader.records():
            if type(record) is Config:
                path = run_dir.blobs.path(record.digest)
                value = path if record.value is None else record.value
                self._values.setdefault(record.name, value)
        reader.close()


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
