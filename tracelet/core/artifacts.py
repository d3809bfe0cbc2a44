"""Artifacts: checks their destinations, stores their contents, makes their records."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from tracelet.errors import (
    ArtifactNotFoundError,
    ArtifactUnreadableError,
    DamageWarning,
    InvalidValueError,
    JournalError,
    UnsafePathError,
    ValueTypeError,
    warn,
)
from tracelet.journal.blobs import BlobStore, digest_file, has_digest
from tracelet.journal.rundir import ABOUT
from tracelet.records import Artifact
from tracelet.values.plain import describe
from tracelet.wire import clean_text

PathLike = str | os.PathLike[str]
_LONGEST_NAME, _LONGEST_PATH = 255, 3000
"""The largest number of bytes of a name, and of a path below the run, in file systems."""
_Inode = tuple[int, int]


class Destinations:
    """The destinations of a run's artifacts, as far as this process knows them."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def check(self, place: str) -> None:
        """Check the destination of a file.

        Raises:
            InvalidValueError: it is a folder of other artifacts, or below an artifact; no tracker
                can store both.
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
        """Add the destination of a file."""
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
    """Store the content of a file, or of every file of a directory, and return the records.

    If a file cannot be stored, an error is raised and no record is returned. Links are followed. In
    a directory, anything that is neither file nor folder, and a link to a folder that contains it,
    is left out and named in a warning.

    Args:
        file: a file or a directory.
        destination: its path in the run, relative, POSIX; None: its own name; with ``/`` at the
            end: the folder for a file.
        blobs: stores the content; None: only check the arguments.
        now: the time of the call, in seconds since the epoch.
        copy: store the content; False: only note where the file is.
        known: the destinations of earlier artifacts; the new ones are added.

    Raises:
        ArtifactNotFoundError: there is no such file or directory.
        ArtifactUnreadableError: it, or something in it, cannot be read.
        InvalidValueError: it is neither file nor directory; or its destination is too long, or is
            that of a folder, or below a file.
        UnsafePathError: the destination leaves the run.
        ValueTypeError: ``file`` or ``destination`` is no path, or ``copy`` is no bool.
    """
    if not isinstance(copy, bool):
        raise ValueTypeError(f"log_artifact: copy is True or False, not {describe(copy):.80}")
    wanted = path_str(file, "the file of an artifact")
    path = Path(wanted)
    name = path.absolute().name
    given = name if destination is None else path_str(destination, "the destination of an artifact")
    place = safe_destination(given + name if given.endswith("/") and path.is_file() else given)
    # False for an invalid name, too; an empty path would be the working directory.
    if not wanted or not os.path.exists(path):  # noqa: PTH110
        raise ArtifactNotFoundError(
            f"log_artifact: there is no file or directory {wanted!r} (seen from {Path.cwd()})"
        )
    if not (path.is_file() or path.is_dir()):
        raise InvalidValueError(f"log_artifact: neither a file nor a directory: {str(path)!r}")
    files = {clean_text(str(PurePosixPath(place, name))): found for name, found in _files(path)}
    for where in files:
        check_path_length("the destination of an artifact", where)
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
                continue  # another program has deleted the file meanwhile
            raise ArtifactNotFoundError(f"log_artifact: {str(path)!r} is gone") from error
        except OSError as error:
            raise _unreadable(found, error) from error
        source = None if copy else str(found.absolute())
        records.append(Artifact(now, where, digest, size, source))
    for where in files:
        known.add(where)
    return records


def bytes_record(path: str, content: bytes, blobs: BlobStore | None, now: float) -> Artifact | None:
    """Store captured content, and return its record.

    Args:
        path: its destination in the run.
        content: the content.
        blobs: stores the content; None: nothing is written.
        now: the time of the call, in seconds since the epoch.

    Returns:
        The record; None if nothing is written, or the file is about the run itself and so no
        artifact.

    Raises:
        UnsafePathError: the destination leaves the run.
    """
    place = safe_destination(path)
    if blobs is None or place.startswith(f"{ABOUT}/"):
        return None
    return Artifact(now, place, blobs.put_bytes(content), len(content))


def safe_destination(destination: PathLike) -> str:
    """Return a destination as a normal relative POSIX path.

    Raises:
        UnsafePathError: the destination is absolute, empty, or contains ``..``.
        ValueTypeError: the destination is no path.
    """
    given = path_str(destination, "the destination of an artifact")
    place = PurePosixPath(given.replace(os.sep, "/"))
    absolute = place.is_absolute() or Path(given).is_absolute()
    if absolute or ".." in place.parts or not place.name or "\0" in given:
        raise UnsafePathError(
            f"the destination of an artifact is a relative path below the run, such as "
            f"'models/last.pt', without '..': {given!r}"
        )
    return str(place)


def check_path_length(what: str, place: str) -> None:
    """Check that file systems can store a path.

    Raises:
        InvalidValueError: the path, or a name in it, is too long.
    """
    name = max(place.split("/"), key=lambda part: len(part.encode()))
    for part, longest in (name, _LONGEST_NAME), (place, _LONGEST_PATH):
        if (size := len(part.encode())) > longest:
            raise InvalidValueError(
                f"{what} is too long: {size:,} bytes, and file systems keep at most {longest:,}: "
                f"{part[:60]!r}…"
            )


class ArtifactFiles(Mapping[str, Path]):
    """Destination to the file of each artifact of a run.

    A content that is looked up is verified first: each file is read once in this process, as long
    as its size and time stay. A warning names one that is not what was logged.

    Args:
        records: the records of the artifacts, by destination.
        placed: the folder of the local backend's artifacts.
        blobs: the stored contents.
    """

    def __init__(self, records: Mapping[str, Artifact], placed: Path, blobs: BlobStore) -> None:
        self._records = records
        self._placed = placed
        self._blobs = blobs

    def __getitem__(self, destination: str) -> Path:
        path, digest = self.path(destination), self._records[destination].digest
        with contextlib.suppress(
            OSError
        ):  # it was deleted, or cannot be read: whoever opens it sees
            if not self._records[destination].source and not has_digest(path, digest):
                warn(f"the artifact {destination!r} is not what was logged: {path} was changed",
                     DamageWarning)  # fmt: skip
        return path

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def path(self, destination: str) -> Path:
        """Return the path of an artifact's content without reading it; it may be deleted."""
        return content_of(self._records[destination], self._placed, self._blobs)


def content_of(artifact: Artifact, placed: Path, blobs: BlobStore) -> Path:
    """Return the path of an artifact's content; it may be deleted.

    Args:
        artifact: the artifact's record.
        placed: the folder of the local backend's artifacts, where a file has its name and suffix.
        blobs: the stored contents.
    """
    if artifact.source:
        return Path(artifact.source)
    named, blob = placed / artifact.path, blobs.path(artifact.digest)
    with contextlib.suppress(OSError):  # the named file does not exist
        # The blob may have been deleted to save space.
        if named.samefile(blob) if blob.exists() else has_digest(named, artifact.digest):
            return named
    return blob


def _files(path: Path) -> list[tuple[str, Path]]:
    """Return the file, or the files of a directory, each with its path below ``path``."""
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
    """Yield all entries below a folder but folders, and whether each is a file to store."""
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


def path_str(path: PathLike, what: str) -> str:
    """Return a path as a ``str``; ``what`` names it in the message of an error.

    Raises:
        ValueTypeError: ``path`` is no path, or one of bytes.
    """
    try:
        found = os.fspath(path)
    except Exception as error:  # __fspath__ is foreign code
        raise ValueTypeError(f"{what} is a path, not {describe(path):.80}: {error!r}") from error
    if not isinstance(found, str):
        raise ValueTypeError(f"{what} is a str or a Path, not bytes: {path!r}")
    return found
