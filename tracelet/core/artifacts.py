"""Artifacts: what their destination may be, and what a file or a directory becomes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tracelet.errors import (
    ArtifactNotFoundError,
    InvalidValueError,
    UnsafePathError,
    ValueTypeError,
)
from tracelet.journal.blobs import BlobStore, digest_file
from tracelet.records import Artifact
from tracelet.wire import clean_text

PathLike = str | os.PathLike[str]


def artifact_records(
    file: PathLike,
    destination: PathLike | None,
    blobs: BlobStore | None,
    now: float,
    *,
    copy: bool,
) -> list[Artifact]:
    """Take the content of a file, or of every file of a directory, and return their records.

    Nothing is returned, and so nothing is journaled, unless all of it could be taken.

    Args:
        file: a file or a directory.
        destination: where it goes, relative, POSIX; None: under its own name.
        blobs: where the content is kept; None: only check the arguments.
        now: the time of the call.
        copy: keep the content; False trusts the file to stay as it is.

    Raises:
        ArtifactNotFoundError: there is no such file or directory.
        InvalidValueError: it is a pipe, a device or the like.
        UnsafePathError: the destination leaves the run.
        ValueTypeError: ``file`` or ``destination`` is no path.
    """
    path = Path(_text(file, "the file of an artifact"))
    place = safe_destination(path.absolute().name if destination is None else destination)
    if not path.exists():
        raise ArtifactNotFoundError(
            f"log_artifact: there is no file or directory {str(path)!r} (seen from {Path.cwd()})"
        )
    if not (path.is_file() or path.is_dir()):
        raise InvalidValueError(f"log_artifact: neither a file nor a directory: {str(path)!r}")
    records: list[Artifact] = []
    if blobs is None:
        return records
    for found, relative in _files(path):
        where = clean_text(str(PurePosixPath(place, relative)))
        if copy:
            digest, size = blobs.put_file(found)
            records.append(Artifact(now, where, digest, size))
        else:
            digest, size = digest_file(found)
            records.append(Artifact(now, where, digest, size, str(found.absolute())))
    return records


def safe_destination(destination: PathLike) -> str:
    """Return the destination as a normal relative POSIX path.

    Raises:
        UnsafePathError: it is absolute, empty, or contains ``..``.
        ValueTypeError: it is no path.
    """
    text = _text(destination, "the destination of an artifact")
    place = PurePosixPath(text.replace(os.sep, "/"))
    absolute = place.is_absolute() or Path(text).is_absolute()
    if absolute or ".." in place.parts or not place.name or "\0" in text:
        raise UnsafePathError(
            f"the destination of an artifact is a relative path below the run, such as "
            f"'models/last.pt', without '..': {text!r}"
        )
    return str(place)


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    if not path.is_dir():
        yield path, ""
        return
    for folder, folders, names in os.walk(path, followlinks=False):
        folders.sort()
        for name in sorted(names):
            found = Path(folder, name)
            if found.is_file():  # not a socket, a pipe, or a link to nothing
                yield found, found.relative_to(path).as_posix()


def _text(path: PathLike, what: str) -> str:
    try:
        text = os.fspath(path)
    except TypeError:
        raise ValueTypeError(f"{what} is a path, not {type(path).__name__}: {path!r}") from None
    if not isinstance(text, str):
        raise ValueTypeError(f"{what} is a str or a Path, not bytes: {path!r}")
    return text
