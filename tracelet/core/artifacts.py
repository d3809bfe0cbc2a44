"""Artifacts: what their destination may be, and what a file or a directory becomes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tracelet.errors import (
    ArtifactNotFoundError,
    ArtifactUnreadableError,
    InvalidValueError,
    JournalError,
    UnsafePathError,
    ValueTypeError,
    warn,
)
from tracelet.journal.blobs import BlobStore, digest_file
from tracelet.records import Artifact
from tracelet.values.plain import describe
from tracelet.wire import clean_text

PathLike = str | os.PathLike[str]
_LONGEST_NAME, _LONGEST_PATH = 255, 3000
"""Bytes of a name, and of a path below the run: file systems take no longer ones."""
_Inode = tuple[int, int]


class Destinations:
    """Where a run has artifacts, so far as this process knows: no file has a folder's name."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def check(self, place: str) -> None:
        """Refuse a file whose name is a folder's, or one of whose folders is a file.

        Raises:
            InvalidValueError: no tracker could keep both.
        """
        if place in self._folders:
            raise InvalidValueError(
                f"the destination {place!r} of an artifact is a folder already, with other "
                "artifacts in it; a file needs another name"
            )
        for folder in _folders_of(place):
            if folder in self._files:
                raise InvalidValueError(
                    f"the destination {place!r} of an artifact is in the folder {folder!r}, and "
                    "that is an artifact already; choose another folder"
                )

    def add(self, place: str) -> None:
        """Note a file."""
        self._files.add(place)
        self._folders.update(_folders_of(place))


def _folders_of(place: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(place).parents[:-1]]


def artifact_records(
    file: PathLike,
    destination: PathLike | None,
    blobs: BlobStore | None,
    now: float,
    *,
    copy: bool,
    known: Destinations,
) -> list[Artifact]:
    """Take the content of a file, or of every file of a directory, and return their records.

    Nothing is returned, and so nothing is journaled, unless all of it could be taken. Links are
    followed. What is neither file nor folder in a directory, and a link that leads back to a folder
    that it is in, is left out and named in a warning.

    Args:
        file: a file or a directory.
        destination: where it goes, relative, POSIX; None: under its own name; with a ``/`` at its
            end it is the folder that a file goes into.
        blobs: where the content is kept; None: only check the arguments.
        now: the time of the call.
        copy: keep the content; False trusts the file to stay as it is.
        known: the destinations of earlier artifacts; these are added.

    Raises:
        ArtifactNotFoundError: there is no such file or directory.
        ArtifactUnreadableError: it, or something in it, cannot be read.
        InvalidValueError: it is a pipe, a device or the like, or its destination is a file's and a
            folder's at once, or too long.
        UnsafePathError: the destination leaves the run.
        ValueTypeError: ``file`` or ``destination`` is no path, or ``copy`` is no bool.
    """
    if not isinstance(copy, bool):
        raise ValueTypeError(f"log_artifact: copy is True or False, not {describe(copy):.80}")
    wanted = path_text(file, "the file of an artifact")
    path = Path(wanted)
    name = path.absolute().name
    given = (
        name if destination is None else path_text(destination, "the destination of an artifact")
    )
    place = safe_destination(given + name if given.endswith("/") and path.is_file() else given)
    # False for what no file can be called, too; an empty path would be the working directory.
    if not wanted or not os.path.exists(path):  # noqa: PTH110
        raise ArtifactNotFoundError(
            f"log_artifact: there is no file or directory {wanted!r} (seen from {Path.cwd()})"
        )
    if not (path.is_file() or path.is_dir()):
        raise InvalidValueError(f"log_artifact: neither a file nor a directory: {str(path)!r}")
    files = {clean_text(str(PurePosixPath(place, name))): found for name, found in _files(path)}
    for where in files:
        refuse_long("the destination of an artifact", where)
        known.check(where)
    records: list[Artifact] = []
    for where, found in files.items():
        if blobs is None:
            break
        try:
            digest, size = blobs.put_file(found) if copy else digest_file(found)
        except JournalError:
            raise
        except FileNotFoundError as error:
            if found is not path:
                continue  # a file that came and went, as those of a program at work do
            raise ArtifactNotFoundError(f"log_artifact: {str(path)!r} is gone") from error
        except OSError as error:
            raise _unreadable(found, error) from error
        source = None if copy else str(found.absolute())
        records.append(Artifact(now, where, digest, size, source))
    for where in files:
        known.add(where)
    return records


def bytes_record(
    path: str, content: bytes, blobs: BlobStore | None, now: float, *, aside: str
) -> Artifact | None:
    """Keep content that was captured, and return its record.

    Args:
        path: its destination in the run.
        content: the content.
        blobs: where it is kept; None: nothing is written.
        now: the time of the call.
        aside: the folder of what is about the run itself, and is no artifact.

    Returns:
        The record; None if there is none, as nothing is written or the file is no artifact.

    Raises:
        UnsafePathError: the destination leaves the run.
    """
    place = safe_destination(path)
    if blobs is None or place.startswith(f"{aside}/"):
        return None
    return Artifact(now, place, blobs.put_bytes(content), len(content))


def safe_destination(destination: PathLike) -> str:
    """Return the destination as a normal relative POSIX path.

    Raises:
        UnsafePathError: it is absolute, empty, or contains ``..``.
        ValueTypeError: it is no path.
    """
    given = path_text(destination, "the destination of an artifact")
    place = PurePosixPath(given.replace(os.sep, "/"))
    absolute = place.is_absolute() or Path(given).is_absolute()
    if absolute or ".." in place.parts or not place.name or "\0" in given:
        raise UnsafePathError(
            f"the destination of an artifact is a relative path below the run, such as "
            f"'models/last.pt', without '..': {given!r}"
        )
    return str(place)


def refuse_long(what: str, place: str) -> None:
    """Refuse a path that file systems cannot keep.

    Raises:
        InvalidValueError: a name in it, or the whole, is too long.
    """
    name = max(place.split("/"), key=lambda part: len(part.encode()))
    for part, longest in (name, _LONGEST_NAME), (place, _LONGEST_PATH):
        if (size := len(part.encode())) > longest:
            raise InvalidValueError(
                f"{what} is too long: {size:,} bytes, and file systems keep at most {longest:,}: "
                f"{part[:60]!r}…"
            )


def content_of(artifact: Artifact, placed: Path, blobs: BlobStore) -> Path:
    """Return where the content of an artifact is, or was.

    Args:
        artifact: its record.
        placed: the folder in which the local backend puts artifacts: a file has its name and
            suffix there.
        blobs: where the content is kept.
    """
    if artifact.source:
        return Path(artifact.source)
    named, kept = placed / artifact.path, blobs.path(artifact.digest)
    with contextlib.suppress(OSError):  # it is not there
        # Somebody who has made room has removed the blob.
        if named.samefile(kept) if kept.exists() else digest_file(named)[0] == artifact.digest:
            return named
    return kept


def _files(path: Path) -> list[tuple[str, Path]]:
    """Return the file, or the files of a directory, each with its place below it."""
    if not path.is_dir():
        return [("", path)]
    found, left_out = [], []
    for file, is_file in _walk(path, frozenset([_inode(path)])):
        if is_file:
            found.append((file.relative_to(path).as_posix(), file))
        else:
            left_out.append(str(file))
    if left_out:
        more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        warn(
            f"log_artifact: left out of {str(path)!r}, because it is no file, leads nowhere or "
            f"leads back to where it is: {', '.join(map(repr, left_out[:3]))}{more}"
        )
    return found


def _walk(folder: Path, above: frozenset[_Inode]) -> Iterator[tuple[Path, bool]]:
    """Yield what is below a folder but folders, and whether it is a file that can be taken."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from error
    for entry in entries:
        path = folder / entry.name
        if not entry.is_dir():
            yield path, entry.is_file()
        elif (inode := _inode(path)) in above:
            yield path, False
        else:
            yield from _walk(path, above | {inode})


def _inode(folder: Path) -> _Inode:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _unreadable(path: Path, error: OSError) -> ArtifactUnreadableError:
    return ArtifactUnreadableError(f"log_artifact: {str(path)!r} cannot be read: {error.strerror}")


def path_text(path: PathLike, what: str) -> str:
    """Return a path as text.

    Raises:
        ValueTypeError: it is none, or only one of bytes.
    """
    try:
        found = os.fspath(path)
    except Exception as error:  # also what a foreign class raises
        raise ValueTypeError(f"{what} is a path, not {describe(path):.80}: {error!r}") from error
    if not isinstance(found, str):
        raise ValueTypeError(f"{what} is a str or a Path, not bytes: {path!r}")
    return found
