"""Calls a backend with a batch of records, and checks what it returns.

Records of the journal are grouped into batches; each batch is one call. The order of the journal is
kept across all kinds of records.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tracelet.backends.base import ArtifactFile, Backend, ConfigObject, Property, TextLine
from tracelet.courier.progress import rollback_on_error
from tracelet.courier.replaced import is_replaced
from tracelet.inner_path import InnerPath
from tracelet.journal.blobs import digest_file
from tracelet.journal.rundir import ABOUT, RunDir
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
    RunLink,
    Tags,
    Text,
)
from tracelet.redaction import Redactor

Batch: TypeAlias = Sequence[Deliverable]
"""Records of one kind that go to the backend in one call."""

_CHUNK = 1 << 20
ASIDE = "artifacts/"
"""The folder of an artifact whose own path is that of a file which the backend writes."""


class SourceMissingError(FileNotFoundError):
    """The file of an artifact is not there, or is not to be used; the backend was not called."""


class DamagedContentError(Exception):
    """The content of an artifact is not what was logged; the backend was not called."""


class InvalidReturnError(Exception):
    """A backend's method returned an invalid value; another call would not help."""


def batches(records: Sequence[AnyRecord], limit: int) -> Iterator[tuple[int, Batch]]:
    """Group records into the largest batches that keep their order.

    Args:
        records: the records.
        limit: the largest number of metric points, or of lines of text, in a batch.

    Yields:
        The index behind the last record of a batch, and the batch. A control record, which no
        backend receives, is an empty batch.
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
                # A key that is set twice needs two calls, for trackers that show its history.
                if type(other) is not Params or other.removed or not keys.isdisjoint(other.values):
                    break
                keys.update(other.values)
                stop += 1
        yield stop, records[start:stop]  # type: ignore[misc]
        start = stop


def call_backend(backend: Backend, run_dir: RunDir, batch: Batch) -> None:
    """Call a backend with a batch; its errors pass through.

    After an error, the lines that the call has added to the side files are removed: the call is
    made again, with the whole batch or a part of it.

    Raises:
        SourceMissingError: an artifact was logged with ``copy=False``, and its file is gone.
        DamagedContentError: the content of an artifact or a configuration object was changed.
    """
    with rollback_on_error(backend):
        _CALLS[type(batch[0])](backend, run_dir, batch)


def _log_metrics(backend: Backend, _: RunDir, batch: Sequence[Metric]) -> None:
    backend.log_metrics(
        [
            MetricPoint(
                record.name,
                float(record.value) if record.value.__class__ is str else record.value,  # type: ignore[arg-type]
                record.iteration,
                record.axis,
                record.time,
            )
            for record in batch
        ]
    )


def _log_params(backend: Backend, _: RunDir, batch: Sequence[Params]) -> None:
    if batch[0].removed:
        backend.remove_params(batch[0].removed)
    merged: dict[str, Any] = {}
    for record in batch:
        merged.update(record.values)
    if merged:
        backend.log_params(merged)
    descriptions = {key: text for record in batch for key, text in record.descriptions.items()}
    if descriptions:
        backend.describe_params(descriptions)


def _log_artifact(backend: Backend, run_dir: RunDir, batch: Sequence[Artifact]) -> None:
    (record,) = batch
    try:
        source = Path(record.source or _content(backend, run_dir, record.digest))
    except SourceMissingError:
        if is_replaced(run_dir, record):
            return  # the later content of this destination is what counts
        raise
    if record.source is not None and not run_dir.is_own:
        raise SourceMissingError(
            f"logged with copy=False: only the user who has logged it uploads {source}"
        )
    if record.source is not None and not source.is_file():
        raise SourceMissingError(f"logged with copy=False, and no longer there: {source}")
    path = free_path(record.path, {*backend.own_files, ABOUT})
    backend.log_artifact(ArtifactFile(source, path, record.digest, record.size))
    if path != record.path:
        what = {"artifact": record.path, "digest": record.digest, "size": record.size}
        backend.adjusted(
            {**what, "stored_as": path}, "the backend keeps files of its own under this name"
        )


def free_path(path: str, own: Collection[str]) -> str:
    """Return the path where an artifact is stored, which is no path of the backend's own files.

    Args:
        path: the artifact's own path.
        own: files of the backend, and folders of such files.

    Returns:
        ``path``, or ``path`` below ``artifacts/``. An artifact that was logged below ``artifacts/``
        gets one more ``artifacts/``.
    """
    inner = path
    while inner.startswith(ASIDE):
        inner = inner.removeprefix(ASIDE)
    # A file and a folder cannot have the same name, either.
    taken = any(f"{one}/".startswith(f"{inner}/") or inner.startswith(f"{one}/") for one in own)
    return ASIDE + path if taken else path


def _content(backend: Backend, run_dir: RunDir, digest: str) -> Path:
    """Return the path of a blob, for a backend that opens it itself.

    Raises:
        SourceMissingError: it is missing, or a link, which is not followed.
        DamagedContentError: it was changed.
    """
    file = run_dir.blobs.file(digest)
    try:
        if not run_dir.is_own:
            path, found, _ = _staged(run_dir, file)
            is_intact = found == digest
        else:
            path = file.checked_path()
            # A light backend reads nothing: it links the file. Whoever reads that verifies it.
            is_intact = backend.capabilities.lightweight or run_dir.blobs.is_intact(digest)
    except OSError as error:
        raise SourceMissingError(f"its content cannot be used: {error}") from error
    if not is_intact:
        raise DamagedContentError(f"not what was logged: {file} was changed")
    if not path.is_file():
        raise SourceMissingError(f"its content is not in the run any more: {path}")
    return path


STAGED = "contents"
"""The folder of the scratch directory with copies of what somebody else's run has."""


def _staged(run_dir: RunDir, file: InnerPath) -> tuple[Path, str, int]:
    """Copy a file of a run that is not the reader's own: its owner may replace it at any time.

    Returns:
        The path of the copy, its digest and its size.
    """
    folder = (run_dir.scratch / STAGED).mkdir()
    digest, size = hashlib.sha256(), 0
    incoming = folder / f"incoming-{os.getpid()}-{threading.get_ident()}"
    with file.reading() as content, incoming.replacing() as copy:
        while part := content.read(_CHUNK):
            copy.write(part)
            digest.update(part)
            size += len(part)
    target = folder / digest.hexdigest()
    incoming.move_to(target)
    return target.path, digest.hexdigest(), size


def _log_config(backend: Backend, run_dir: RunDir, batch: Sequence[Config]) -> None:
    (record,) = batch
    file = _content(backend, run_dir, record.digest)
    size = file.stat().st_size
    backend.log_config(
        ConfigObject(record.name, record.suffix, record.value, file, record.digest, size)
    )


def _set_tags(backend: Backend, _: RunDir, batch: Sequence[Tags]) -> None:
    (record,) = batch
    backend.set_tags(record.values)


def _set_properties(backend: Backend, _: RunDir, batch: Sequence[Properties]) -> None:
    (record,) = batch
    backend.set_properties(msgspec.convert(record.values, dict[str, Property]))


def _log_texts(backend: Backend, _: RunDir, batch: Sequence[Text]) -> None:
    backend.log_text([TextLine(record.text, record.level, record.time) for record in batch])


_CALLS: dict[type, Callable[[Backend, RunDir, Any], None]] = {
    Metric: _log_metrics,
    Params: _log_params,
    Artifact: _log_artifact,
    Config: _log_config,
    Tags: _set_tags,
    Properties: _set_properties,
    Text: _log_texts,
}


def split_record(record: Deliverable) -> list[Deliverable]:
    """Split a record of many parameters into records of one parameter; others stay as they are."""
    if type(record) is not Params or len(record.values) <= 1:
        return [record]
    known = record.descriptions
    return [
        Params(record.time, {key: value}, descriptions={key: known[key]} if key in known else {})
        for key, value in record.values.items()
    ]


def log_run_files(run_dir: RunDir, backend: Backend, known: dict[str, str]) -> None:
    """Store the files about the run itself, e.g. ``tracelet/packages.txt``, in a backend.

    They are no records: a report counts only what the program logs.

    Args:
        run_dir: the run.
        backend: the backend; it is open.
        known: the digest of each file that the backend has already; new ones are added.
    """
    for file in run_dir.about.files():
        name = file.path.relative_to(run_dir.path).as_posix()
        if run_dir.is_own:
            path = file.checked_path()
            digest, size = digest_file(path)
        else:
            path, digest, size = _staged(run_dir, file)
        if known.get(name) != digest:
            backend.log_run_file(ArtifactFile(path, name, digest, size))
            known[name] = digest


def checked_link(name: str, link: object) -> RunLink | None:
    """Return the link that ``open`` of the backend ``name`` has returned, with a redacted URL.

    Raises:
        InvalidReturnError: ``link`` is neither a RunLink of two ``str`` nor None.
    """
    if link is None:
        return None
    try:
        if isinstance(link, RunLink):
            content = msgspec.json.encode(link)
            link = msgspec.json.decode(content, type=RunLink)
            return msgspec.structs.replace(link, url=link.url and Redactor().text(link.url))
    except (TypeError, ValueError):  # not a str, or UTF-8 cannot hold it
        pass
    given = type(link).__name__
    if isinstance(link, RunLink):
        given += f"({type(link.id).__name__}, {type(link.url).__name__})"
    raise InvalidReturnError(
        f"open() of the backend {name!r} must return a tracelet.RunLink, whose id and url are "
        f"str, or None, not {given}"
    )


def checked_checkpoint(name: str, checkpoint: Any) -> Any:
    """Return the checkpoint that ``flush`` of the backend ``name`` has returned.

    Raises:
        InvalidReturnError: JSON cannot hold the checkpoint, so the cursor cannot.
    """
    try:
        msgspec.json.encode(checkpoint)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidReturnError(
            f"flush() of the backend {name!r} must return None or a checkpoint that JSON can "
            f"hold, not this {type(checkpoint).__name__}: {error}"
        ) from error
    return checkpoint
