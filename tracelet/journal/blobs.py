"""Stores contents under their SHA-256: each once, and never changed.

``blobs/ab/abcdef…`` is written to a temporary file, then renamed, so a blob is always complete.
Whoever reads one verifies that its content still has the digest of its name.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tracelet.errors import JournalError
from tracelet.inner_path import InnerPath

_CHUNK = 1 << 20
_DIGEST = re.compile("[0-9a-f]{64}")


class BlobStore:
    """The blobs of one run."""

    def __init__(self, directory: Path | InnerPath) -> None:
        self.directory = InnerPath.of(directory)

    def file(self, digest: str) -> InnerPath:
        """Return the file of the blob with this digest; it need not exist."""
        return self.directory / digest[:2] / digest

    def path(self, digest: str) -> Path:
        """Return the path of the blob with this digest; it need not exist."""
        return self.file(digest).path

    def read(self, digest: str) -> bytes:
        """Return the content of a small blob.

        Raises:
            OSError: there is no such blob.
            ValueError: its content was changed.
        """
        content = self.file(digest).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"{self.file(digest)} was changed")
        return content

    def is_intact(self, digest: str) -> bool:
        """Return whether a blob that is there has the content that it was stored with.

        It is read once in this process, as long as its size and time stay.

        Raises:
            OSError: it cannot be read.
        """
        return has_digest(self.file(digest), digest)

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of every blob, by its digest."""
        found = ((file.name, file) for file in self.directory.files())
        return {name: file.size() for name, file in found if _DIGEST.fullmatch(name)}

    def named(self, digest: str, suffix: str, *, make: bool = False) -> Path:
        """Return a path of a blob that ends in ``suffix``, for loaders that need the suffix.

        Args:
            digest: the digest of the blob.
            suffix: the suffix.
            make: make that path, a link to the same file; else it is looked for.

        Returns:
            The path; that of the blob itself, if it is not there and cannot be made.
        """
        blob = self.file(digest)
        named = blob.parent / (digest + suffix)
        try:
            if make and not named.exists():
                _link(blob, named)
        except OSError:  # the directory cannot be written, or the suffix is not valid
            return blob.path
        return named.path if named.is_file() else blob.path

    def put_bytes(self, content: bytes) -> str:
        """Store ``content`` and return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        if not self.file(digest).is_file():
            with self._incoming() as (incoming, file):
                file.write(content)
                file.flush()
                self._move_to_blob(incoming, digest)
        return digest

    def put_file(self, file: Path) -> tuple[str, int]:
        """Store the content that ``file`` has now; return its digest and its size in bytes.

        The content is copied first, with a reflink where the file system can, and the copy is
        hashed. So the digest is right even while another program writes to ``file``.

        Raises:
            OSError: ``file`` cannot be read.
            JournalError: the content cannot be stored, e.g. because the disk is full.
        """
        with file.open("rb") as content, self._incoming() as (incoming, copy):
            _copy(content, copy)
            copy.seek(0)
            digest = hashlib.file_digest(copy, "sha256").hexdigest()
            size = copy.tell()
            if not self.file(digest).is_file():
                self._move_to_blob(incoming, digest)
        return digest, size

    @contextlib.contextmanager
    def _incoming(self) -> Iterator[tuple[InnerPath, Any]]:
        """Give a new file, opened; remove it at the end, unless it was moved."""
        incoming = None
        try:
            self.directory.mkdir()
            incoming = self.directory / f".incoming-{os.getpid()}-{secrets.token_hex(4)}"
            fd = incoming.open(os.O_RDWR | os.O_CREAT | os.O_EXCL)
            with os.fdopen(fd, "w+b") as file:
                # Read-only, because the local backend's artifacts/ may be links to the same file.
                os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) & 0o444)
                yield incoming, file
        except OSError as error:
            raise JournalError(error.errno, error.strerror, str(self.directory)) from error
        finally:
            if incoming is not None:
                with contextlib.suppress(OSError):
                    incoming.unlink(missing_ok=True)

    def _move_to_blob(self, incoming: InnerPath, digest: str) -> None:
        blob = self.file(digest)
        blob.parent.mkdir()
        incoming.move_to(blob)


def digest_file(file: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size in bytes of a file's content."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return digest, content.tell()


def has_digest(file: InnerPath, digest: str) -> bool:
    """Return whether a file's content has this SHA-256.

    A file is read once in this process, as long as its size and time stay.

    Raises:
        OSError: it cannot be read.
    """
    status = file.stat()
    return _digest_of(file, status.st_size, status.st_mtime_ns, status.st_ino) == digest


@functools.lru_cache(maxsize=4096)
def _digest_of(file: InnerPath, *_: int) -> str:
    content: Any
    with file.reading() as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _link(blob: InnerPath, named: InnerPath) -> None:
    try:
        named.link_to(blob)
    except OSError:  # a file system without links
        with blob.reading() as content, named.replacing() as copy:
            shutil.copyfileobj(content, copy, _CHUNK)


def _copy(content: BinaryIO, copy: Any) -> None:
    status = os.fstat(content.fileno())
    with contextlib.suppress(OSError):  # what is left, the last lines copy
        if status.st_blocks * 512 < status.st_size:
            _copy_around_holes(content.fileno(), copy.fileno(), status.st_size)
        else:
            _copy_range(content.fileno(), copy.fileno(), 0, None)
    content.seek(os.fstat(copy.fileno()).st_size)
    copy.seek(0, os.SEEK_END)
    shutil.copyfileobj(content, copy, _CHUNK)
    copy.flush()


def _copy_around_holes(content: int, copy: int, size: int) -> None:
    """Copy a file with holes; they take no space in the copy either."""
    end = 0
    while end < size:
        try:
            start = os.lseek(content, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # there is only a hole from here on
        end = os.lseek(content, start, os.SEEK_HOLE)
        _copy_range(content, copy, start, end)
    os.ftruncate(copy, size)


def _copy_range(content: int, copy: int, start: int, end: int | None) -> None:
    """Copy bytes to the same place in another file, with shared blocks where that is possible."""
    most = 1 << 30
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):
            while done := os.copy_file_range(
                content, copy, most if end is None else min(most, end - start), start, start
            ):
                start += done
    while data := os.pread(content, _CHUNK if end is None else min(_CHUNK, end - start), start):
        start += os.pwrite(copy, data, start)
