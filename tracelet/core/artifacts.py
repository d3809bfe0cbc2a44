"""Artifacts: checks their destinations, stores their contents, makes their records."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from tracelet.destinations import check_path_length, safe_destination
from tracelet.errors import (
    ArtifactNotFoundError,
    ArtifactUnreadableError,
    DamageWarning,
    InvalidValueError,
    JournalError,
    ValueTypeError,
    warn,
)
from tracelet.inner_path import InnerPath
from tracelet.journal.blobs import BlobStore, digest_file, has_digest
from tracelet.journal.rundir import ABOUT
from tracelet.records import Artifact
from tracelet.values.plain import describe
from tracelet.wire import clean_text

PathLike = str | os.PathLike[str]
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
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
    own_files: Callable[[], Container[Path]] = tuple,
) -> list[Artifact]:
    """Store the content of a file, or of every file of a directory, and return the records.

    If a file cannot be stored, an error is raised and no record is returned. Links are followed. In
    a directory, anything that is neither file nor folder, and a link to a folder that contains it,
    is left out and named in a warning. So is what tracelet and the trackers keep of runs.

    Args:
        file: a file or a directory.
        destination: its path in the run, relative, POSIX; None: its own name; with ``/`` at the
            end: the folder for a file.
        blobs: stores the content; None: only check the arguments.
        now: the time of the call, in seconds since the epoch.
        copy: store the content; False: only note where the file is.
        known: the destinations of earlier artifacts; the new ones are added.
        own_files: returns what is never part of a directory's artifacts.

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
    files = {
        clean_text(str(PurePosixPath(place, name))): found
        for name, found in _files(path, own_files)
    }
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


def reference_record(
    uri: str,
    destination: PathLike | None,
    blobs: BlobStore | None,
    now: float,
    *,
    size: int | None,
    digest: str | None,
    known: Destinations,
) -> Artifact | None:
    """Store where a content is that is not on this machine, and return the record.

    The artifact is a small JSON file with ``uri``, ``size`` and ``digest``; it has ``.ref.json``
    behind the name, as loaders must not take it for the content.

    Args:
        uri: the address of the content; it is not opened.
        destination: as for :func:`artifact_records`; None: the last part of the address.
        blobs: stores the file; None: only check the arguments.
        now: the time of the call, in seconds since the epoch.
        size: the size of the content in bytes, if the caller knows it.
        digest: its digest or version, e.g. its ETag, if the caller knows it.
        known: the destinations of earlier artifacts; the new one is added.

    Raises:
        InvalidValueError: the address has no last part, and there is no destination; or the
            destination is too long, or is that of a folder, or below a file.
        UnsafePathError: the destination leaves the run.
        ValueTypeError: ``size`` is no positive integer, or ``digest`` no str.
    """
    if size is not None and (type(size) is not int or size < 0):
        raise ValueTypeError(f"log_artifact: size is a number of bytes, not {describe(size):.80}")
    if digest is not None and type(digest) is not str:
        raise ValueTypeError(f"log_artifact: digest is a str, not {describe(digest):.80}")
    _, _, below = uri.partition("://")[2].partition("/")
    name = PurePosixPath(re.split("[?#]", below)[0]).name
    given = path_str(destination or "", "the destination of an artifact")
    if not name and (not given or given.endswith("/")):
        raise InvalidValueError(
            f"log_artifact: {uri!r} has no name; give a destination, such as 'data/train.csv'"
        )
    place = safe_destination(given + name if not given or given.endswith("/") else given)
    place = clean_text(f"{place}.ref.json")
    check_path_length("the destination of an artifact", place)
    known.check(place)
    if blobs is None:
        return None
    content = json.dumps({"uri": uri, "size": size, "digest": digest}).encode()
    known.add(place)
    return Artifact(now, place, blobs.put_bytes(content), len(content))


def is_uri(file: object) -> TypeGuard[str]:
    """Tell an address such as ``s3://bucket/data.csv`` from a path."""
    return isinstance(file, str) and _URI.match(file) is not None


class ArtifactFiles(Mapping[str, Path]):
    """Destination to the file of each artifact of a run.

    A content that is looked up is verified first: each file is read once in this process, as long
    as its size and time stay. A warning names one that is not what was logged.

    Args:
        records: the records of the artifacts, by destination.
        placed: the folder of the local backend's artifacts.
        blobs: the stored contents.
        is_own: whether the run is this user's own.
    """

    def __init__(
        self,
        records: Mapping[str, Artifact],
        placed: InnerPath,
        blobs: BlobStore,
        *,
        is_own: bool,
    ) -> None:
        self._records = records
        self._placed = placed
        self._blobs = blobs
        self._is_own = is_own

    def __getitem__(self, destination: str) -> Path:
        path, record = self.path(destination), self._records[destination]
        with contextlib.suppress(OSError):  # it was deleted, or cannot be read: its reader sees
            if record.source is None and not has_digest(InnerPath.of(path), record.digest):
                warn(
                    f"the artifact {destination!r} is not what was logged: {path} was changed",
                    DamageWarning,
                )
        return path

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def path(self, destination: str) -> Path:
        """Return the path of an artifact's content without reading it; it may be deleted."""
        record = self._records[destination]
        return content_of(record, self._placed, self._blobs, is_own=self._is_own)


def content_of(artifact: Artifact, placed: InnerPath, blobs: BlobStore, *, is_own: bool) -> Path:
    """Return the path of an artifact's content; it may be deleted.

    What was not copied is where the user has logged it from: for nobody else does a path outside of
    the run count. Of what is in the run, nothing that is a link does.

    Args:
        artifact: the artifact's record.
        placed: the folder of the local backend's artifacts, where a file has its name and suffix.
        blobs: the stored contents.
        is_own: whether the run is this user's own.
    """
    if artifact.source and is_own:
        return Path(artifact.source)
    named, blob = placed / artifact.path, blobs.file(artifact.digest)
    with contextlib.suppress(OSError):  # the named file does not exist
        # The blob may have been deleted to save space.
        if blob.is_file():
            is_same = os.path.samestat(named.stat(), blob.stat())
        else:
            is_same = has_digest(named, artifact.digest)
        if is_same:
            return named.path
    return blob.path


def _files(path: Path, own_files: Callable[[], Container[Path]]) -> list[tuple[str, Path]]:
    """Return the file, or the files of a directory, each with its path below ``path``."""
    if not path.is_dir():
        return [("", path)]
    found = []
    left_out: dict[str, list[str]] = {}
    for file, problem in _walk(path, own_files(), frozenset([_inode(path)])):
        if problem:
            left_out.setdefault(problem, []).append(repr(str(file)))
        else:
            found.append((file.relative_to(path).as_posix(), file))
    if left_out:
        groups = (f"{_first_three(files)} ({why})" for why, files in left_out.items())
        warn(f"log_artifact: left out of {str(path)!r}: {'; '.join(groups)}")
    return found


def _first_three(files: list[str]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(files[:3]) + more


def _walk(
    folder: Path, own_files: Container[Path], above: frozenset[_Inode]
) -> Iterator[tuple[Path, str]]:
    """Yield all files below a folder, and why each is left out; an empty ``str`` if it is not."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from error
    for entry in entries:
        path = folder / entry.name
        if path in own_files:
            yield path, "runs are kept there"
        elif path.is_file():  # of an entry, a link that leads to itself is an error
            yield path, ""
        elif not path.is_dir():
            yield path, "no file, or a link that leads nowhere"
        elif (inode := _inode(path)) in above:
            yield path, "a link that leads back to where it is"
        else:
            yield from _walk(path, own_files, above | {inode})


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
