"""Groups records into the calls of a backend; the order of the log is kept across all kinds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tracelet.backends.base import ArtifactFile, Backend, ConfigObject, Property, TextLine
from tracelet.courier.kept import all_or_nothing
from tracelet.journal.blobs import BlobStore
from tracelet.journal.rundir import ABOUT
from tracelet.records import (
    DELIVERABLE,
    AnyRecord,
    Artifact,
    Config,
    Deliverable,
    Metric,
    MetricPoint,
    Params,
    Properties,
    Tags,
    Text,
)

Group: TypeAlias = Sequence[Deliverable]
"""Records of one kind that can go to the backend in one call."""

ASIDE = "artifacts/"
"""Where an artifact goes whose own place is one that the backend writes to."""


def groups(records: Sequence[AnyRecord], limit: int) -> Iterator[tuple[int, Group]]:
    """Yield the longest groups of deliverable records, with the index behind each group.

    A record that is not deliverable (``Started``, ``Finished``) is an empty group.
    """
    start = 0
    while start < len(records):
        first = records[start]
        kind = type(first)
        if not isinstance(first, DELIVERABLE):
            start += 1
            yield start, ()
            continue
        stop = start + 1
        if kind is Metric or kind is Text:
            last = min(len(records), start + limit)
            while stop < last and type(records[stop]) is kind:
                stop += 1
        elif kind is Params and not first.removed:  # type: ignore[union-attr]
            keys = set(first.values)  # type: ignore[union-attr]
            while stop < len(records):
                other = records[stop]
                # A key that is set twice stays two calls: trackers that show the history do.
                if type(other) is not Params or other.removed or not keys.isdisjoint(other.values):
                    break
                keys.update(other.values)
                stop += 1
        yield stop, records[start:stop]  # type: ignore[misc]
        start = stop


class Caller:
    """Turns a group into the backend's call."""

    def __init__(self, backend: Backend, blobs: BlobStore) -> None:
        self._backend = backend
        self._blobs = blobs

    def __call__(self, group: Group) -> None:
        """Give ``group`` to the backend; what the backend raises passes through."""
        calls: dict[type, Callable[[Any], None]] = {
            Metric: self._metrics,
            Params: self._params,
            Artifact: self._artifact,
            Config: self._config,
            Tags: self._tags,
            Properties: self._properties,
            Text: self._texts,
        }
        with all_or_nothing(self._backend):
            calls[type(group[0])](group)

    def _metrics(self, group: Sequence[Metric]) -> None:
        self._backend.log_metrics(
            [
                MetricPoint(
                    record.name,
                    float(record.value) if record.value.__class__ is str else record.value,  # type: ignore[arg-type]
                    record.iteration,
                    record.axis,
                    record.time,
                )
                for record in group
            ]
        )

    def _params(self, group: Sequence[Params]) -> None:
        if group[0].removed:
            self._backend.remove_params(group[0].removed)
        merged: dict[str, Any] = {}
        for record in group:
            merged.update(record.values)
        if merged:
            self._backend.log_params(merged)
        descriptions = {key: text for record in group for key, text in record.descriptions.items()}
        if descriptions:
            self._backend.describe_params(descriptions)

    def _artifact(self, group: Sequence[Artifact]) -> None:
        (record,) = group
        file = artifact_file(record, self._blobs)
        path = apart(record.path, {*self._backend.own_files, ABOUT})
        if path == record.path:
            self._backend.log_artifact(file)
            return
        self._backend.log_artifact(msgspec.structs.replace(file, path=path))
        self._backend.adjusted(
            {
                "artifact": record.path,
                "digest": record.digest,
                "size": record.size,
                "stored_as": path,
            },
            "the backend keeps files of its own under this name",
        )

    def _config(self, group: Sequence[Config]) -> None:
        (record,) = group
        file = self._blobs.path(record.digest)
        self._backend.log_config(
            ConfigObject(
                record.name, record.suffix, record.value, file, record.digest, file.stat().st_size
            )
        )

    def _tags(self, group: Sequence[Tags]) -> None:
        (record,) = group
        self._backend.set_tags(record.values)

    def _properties(self, group: Sequence[Properties]) -> None:
        (record,) = group
        self._backend.set_properties(msgspec.convert(record.values, dict[str, Property]))

    def _texts(self, group: Sequence[Text]) -> None:
        lines = [TextLine(record.text, record.level, record.time) for record in group]
        self._backend.log_text(lines)


def apart(path: str, own: Collection[str]) -> str:
    """Return where an artifact is stored, given what the backend writes there itself.

    What is moved to ``artifacts/`` must not meet what was logged there, so that moves on, too.
    """
    inner = path
    while inner.startswith(ASIDE):
        inner = inner.removeprefix(ASIDE)
    # A file of one name and a folder of that name cannot be in one store, either.
    taken = any(f"{one}/".startswith(f"{inner}/") or inner.startswith(f"{one}/") for one in own)
    return ASIDE + path if taken else path


def artifact_file(record: Artifact, blobs: BlobStore) -> ArtifactFile:
    """Return where the content of an artifact is.

    Raises:
        FileNotFoundError: it was logged with ``copy=False`` and is not there any more.
    """
    file = blobs.path(record.digest) if record.source is None else _existing(record.source)
    return ArtifactFile(file, record.path, record.digest, record.size)


def _existing(source: str) -> Path:
    file = Path(source)
    if not file.is_file():
        raise FileNotFoundError(f"logged with copy=False, and no longer there: {source}")
    return file


def parts(record: Deliverable) -> list[Deliverable]:
    """Split a refused record of many parameters into records of one parameter."""
    if type(record) is Params and len(record.values) > 1:
        texts = record.descriptions
        return [
            Params(
                record.time, {key: value}, descriptions={key: texts[key]} if key in texts else {}
            )
            for key, value in record.values.items()
        ]
    return [record]
