"""The backend that writes for people and for ``jq``, into the run's own directory.

``metrics.jsonl`` has every point once, also after a crash: its size is part of the checkpoint, and
what was written beyond it is cut off before the rest is delivered again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tracelet.backends.base import (
    ArtifactFile,
    Backend,
    Capabilities,
    ConfigObject,
    Property,
    Support,
    TextLine,
)
from tracelet.backends.files import GrowingFile, place_file
from tracelet.errors import CheckpointLostError, TransientError
from tracelet.hookspecs import hookimpl
from tracelet.inner_path import InnerPath
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status
from tracelet.wire import json_safe

_encoder = msgspec.json.Encoder()
_APPENDED = ("metrics.jsonl", "log.txt")
_NO_SUCH_NUMBER = "JSON has no NaN and no infinities"
_REPLACED = ("parameters.json", "properties.json")
_KEPT = (*_APPENDED, *_REPLACED)


@contextlib.contextmanager
def _trouble_of_the_disk() -> Iterator[None]:
    """Tell an error of the file system from the fault of a record: a later try may cure it."""
    try:
        yield
    except OSError as error:
        raise TransientError(str(error)) from error


class LocalBackend(Backend):
    """Files beside the journal: ``parameters.json``, ``metrics.jsonl``, ``artifacts/`` and more.

    JSON has no NaN and no infinities; they are written as the strings ``"NaN"``, ``"Infinity"`` and
    ``"-Infinity"``. In parameters and properties, where a string may be meant as one, that counts
    as adjusted. Tags and status are in ``run.json``, which the courier writes.
    """

    name: ClassVar[str] = "local"
    own_files: ClassVar[frozenset[str]] = frozenset({"tracelet/adjusted.jsonl"})
    capabilities: ClassVar[Capabilities] = Capabilities.everything(
        lightweight=True,
        batch_limit=100_000,
        param_types=Support.EMULATED,
        properties=Support.EMULATED,
    )

    def __init__(self) -> None:
        super().__init__()
        self._dir = InnerPath(Path())
        self._files: dict[str, GrowingFile] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self._changed_tables: set[str] = set()
        self._configs: dict[str, str] = {}  # the file of each by its name

    @_trouble_of_the_disk()
    def open(self, run: RunInfo) -> RunLink:
        self._dir = InnerPath(Path(run.dir))
        try:
            kept: dict[str, Any] = msgspec.convert(run.checkpoint or {}, dict[str, Any])
            self._configs = msgspec.convert(kept.get("configs", {}), dict[str, str])
            kept = msgspec.convert({name: kept.get(name, 0) for name in _KEPT}, dict[str, int])
        except msgspec.ValidationError as error:
            raise CheckpointLostError(f"this is no checkpoint of a run: {error}") from error
        for name in _REPLACED:
            self._tables[name] = self._load_table(name, kept.get(name, 0))
        for name in _APPENDED:
            self._files[name] = GrowingFile(self._dir / name, kept.get(name, 0), alone=True)
            self._files[name].cut()
        return RunLink(run.run_id, self._dir.path.as_uri())

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        safe = {key: json_safe(value) for key, value in params.items()}
        for key, value in params.items():
            if safe[key] != value:
                self.adjusted_param(key, value, _NO_SUCH_NUMBER)
        self._update("parameters.json", safe)

    def remove_params(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._tables["parameters.json"].pop(key, None)
        self._changed_tables.add("parameters.json")

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        lines = _encoder.encode_lines(batch)
        if b'"value":null' in lines:  # JSON has no NaN, and msgspec writes null
            lines = _encoder.encode_lines([_json_safe_point(point) for point in batch])
        self._append("metrics.jsonl", lines)

    def log_text(self, lines: Sequence[TextLine]) -> None:
        self._append("log.txt", "".join(f"{line.format()}\n" for line in lines).encode())

    def log_artifact(self, artifact: ArtifactFile) -> None:
        self._place(artifact.source, self._dir / "artifacts" / artifact.path)

    def log_config(self, config: ConfigObject) -> None:
        self._place(config.source, self._dir / config.path)
        before = self._configs.pop(config.name, config.path)
        self._configs[config.name] = config.path
        if before not in self._configs.values():  # it had another suffix
            (self._dir / before).unlink(missing_ok=True)

    def log_run_file(self, file: ArtifactFile) -> None:
        """Leave it: it is in the run's directory already."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Leave them to ``run.json``."""

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        built = msgspec.to_builtins(dict(properties))
        safe = {name: json_safe(fields) for name, fields in built.items()}
        for name, given in properties.items():
            if safe[name] != built[name]:
                self.adjusted_property(name, given, _NO_SUCH_NUMBER)
        self._update("properties.json", safe)

    def flush(self) -> dict[str, Any]:
        for name in self._changed_tables:
            content = msgspec.json.format(_encoder.encode(self._tables[name]))
            (self._dir / name).replace(content + b"\n")
        self._changed_tables.clear()
        tables = {name: len(table) for name, table in self._tables.items()}
        sizes = {name: file.size for name, file in self._files.items()}
        return {**sizes, **tables, "configs": dict(self._configs)}

    def close(self, status: Status) -> None:
        self.flush()

    @_trouble_of_the_disk()
    def _append(self, name: str, lines: bytes) -> None:
        self._files[name].append(lines)

    def _load_table(self, name: str, entries: int) -> dict[str, Any]:
        path = self._dir / name
        if not entries:
            path.unlink(missing_ok=True)
            return {}
        try:
            table: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise CheckpointLostError(f"{path} cannot be read any more: {error}") from error
        return table

    def _update(self, name: str, values: Mapping[str, Any]) -> None:
        self._tables[name].update(values)
        self._changed_tables.add(name)

    def _place(self, content: Path, place: InnerPath) -> None:
        """Link a blob, which never changes, under a name; refer to a file that was not copied."""
        if not self._dir.is_dir():  # it was moved, or deleted
            raise TransientError(f"{self._dir} is gone")
        if content.is_relative_to(self._dir.path):
            place_file(content, place, link=True)
            return
        place.parent.mkdir()
        place.refer_to(content)


def _json_safe_point(point: MetricPoint) -> Any:
    return {**msgspec.structs.asdict(point), "value": json_safe(point.value)}


@hookimpl
def tracelet_register_backend() -> type[Backend]:
    return LocalBackend
