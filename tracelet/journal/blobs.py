"""Stores contents under their SHA-256: each once, and never changed.

``blobs/ab/abcdef…`` is written to a temporary file, then renamed, so a blob is always complete.
Whoever reads one verifies that its content still has the digest of its name.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tracelet.errors import JournalError

_CHUNK = 1 << 20
_DIGEST = re.compile("[0-9a-f]{64}")


class BlobStore:
    """The blobs of one run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, digest: str) -> Path:
        """Return the path of the blob with this digest; it need not exist."""
        return self.directory / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        """Return the content of a small blob.

        Raises:
            OSError: there is no such blob.
            ValueError: its content was changed.
        """
        content = self.path(digest).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"{self.path(digest)} was changed")
        return content

    def is_intact(self, digest: str) -> bool:
        """Return whether a blob that is there has the content that it was stored with.

        It is read once in this process, as long as its size and time stay.

        Raises:
            OSError: it cannot be read.
        """
        return has_digest(self.path(digest), digest)

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of every blob, by its digest."""
        found: dict[str, int] = {}
        if not self.directory.is_dir():
            return found
        for folder in os.scandir(self.directory):
            if folder.is_dir(follow_symlinks=False):
                for entry in os.scandir(folder):
                    if _DIGEST.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        found[entry.name] = entry.stat().st_size
        return found

    def named(self, digest: str, suffix: str) -> Path:
        """Return a path of a blob that ends in ``suffix``, for loaders that need the suffix.

        The path is a link, made at the first call. Where no link can be made, it is the path of the
        blob itself.
        """
        path = self.path(digest)
        named = path.with_name(digest + suffix)
        try:
            if not named.exists():
                _link(path, named)
        except OSError:  # the directory cannot be written, or the suffix is not valid
            return path
        return named

    def put_bytes(self, content: bytes) -> str:
        """Store ``content`` and return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        if not self.path(digest).exists():
            with self._temporary() as temporary:
                temporary.write_bytes(content)
                self._move_to_blob(temporary, digest)
        return digest

    def put_file(self, file: Path) -> tuple[str, int]:
        """Store the content that ``file`` has now; return its digest and its size in bytes.

        The content is copied first, with a reflink where the file system can, and the copy is
        hashed. So the digest is right even while another program writes to ``file``.

        Raises:
            OSError: ``file`` cannot be read.
            JournalError: the content cannot be stored, e.g. because the disk is full.
        """
        with file.open("rb") as content, self._temporary() as temporary:
            _copy(content, temporary)
            digest, size = digest_file(temporary)
            if not self.path(digest).exists():
                self._move_to_blob(temporary, digest)
        return digest, size

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        name = None
        try:
            self.directory.mkdir(exist_ok=True)  # no parents: the run was moved, or deleted
            fd, name = tempfile.mkstemp(prefix=".incoming-", dir=self.directory)
            os.close(fd)
            yield Path(name)
        except OSError as error:
            raise JournalError(error.errno, error.strerror, str(self.directory)) from error
        finally:
            if name is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)

    def _move_to_blob(self, temporary: Path, digest: str) -> None:
        path = self.path(digest)
        path.parent.mkdir(exist_ok=True)
        # Read-only, because the local backend's artifacts/ may be links to the same file.
        temporary.chmod(0o444)
        os.replace(temporary, path)


def digest_file(file: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size in bytes of a file's content."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return digest, content.tell()


def has_digest(file: Path, digest: str) -> bool:
    """Return whether a file's content has this SHA-256.

    A file is read once in this process, as long as its size and time stay.

    Raises:
        OSError: it cannot be read.
    """
    status = file.stat()
    return _digest_of(str(file), status.st_size, status.st_mtime_ns, status.st_ino) == digest


@functools.lru_cache(maxsize=4096)
def _digest_of(file: str, *_: int) -> str:
    return digest_file(Path(file))[0]


def _link(path: Path, named: Path) -> None:
    try:
        os.link(path, named)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        shutil.copyfile(path, named)


def _copy(content: BinaryIO, to: Path) -> None:
    with to.open("wb") as copy:
        if hasattr(os, "copy_file_range"):
            # Shares blocks where the file system can.
            with contextlib.suppress(OSError):
                while os.copy_file_range(content.fileno(), copy.fileno(), 1 << 30):
                    pass
        content.seek(os.fstat(copy.fileno()).st_size)
        copy.seek(0, os.SEEK_END)
        shutil.copyfileobj(content, copy, _CHUNK)
