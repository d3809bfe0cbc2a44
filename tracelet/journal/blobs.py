"""Content that is stored once, under its SHA-256, and never changed after it is written.

``blobs/ab/abcdef…`` is written to a temporary name, then renamed, so a name that exists is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tracelet.errors import JournalError

_CHUNK = 1 << 20


class BlobStore:
    """The blobs of one run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, digest: str) -> Path:
        """Return where the content with this digest is, or would be."""
        return self.directory / digest[:2] / digest

    def named(self, digest: str, suffix: str) -> Path:
        """Return a path of a stored content that ends in ``suffix``, for loaders that look at it.

        It is a link that is made when it is asked for first. Where none can be made, the path is
        that of the content itself.
        """
        path = self.path(digest)
        named = path.with_name(digest + suffix)
        try:
            if not named.exists():
                _link(path, named)
        except OSError:  # a directory that cannot be written, or a suffix that no name can have
            return path
        return named

    def put_bytes(self, content: bytes) -> str:
        """Store ``content`` and return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        if not self.path(digest).exists():
            with self._temporary() as temporary:
                temporary.write_bytes(content)
                self._keep(temporary, digest)
        return digest

    def put_file(self, file: Path) -> tuple[str, int]:
        """Store the content that ``file`` has now; return its digest and its size in bytes.

        The content is copied first, with a reflink where the file system can, and hashed from the
        copy: what is stored is what was hashed, even while somebody writes to ``file``.

        Raises:
            OSError: ``file`` cannot be read.
            JournalError: the content cannot be stored: the disk is full, for example.
        """
        with file.open("rb") as content, self._temporary() as temporary:
            _copy(content, temporary)
            digest, size = digest_file(temporary)
            if not self.path(digest).exists():
                self._keep(temporary, digest)
        return digest, size

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        name = None
        try:
            self.directory.mkdir(exist_ok=True)  # not the run's: it was moved, or deleted
            fd, name = tempfile.mkstemp(prefix=".incoming-", dir=self.directory)
            os.close(fd)
            yield Path(name)
        except OSError as error:
            raise JournalError(error.errno, error.strerror, str(self.directory)) from error
        finally:
            if name is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)

    def _keep(self, temporary: Path, digest: str) -> None:
        path = self.path(digest)
        path.parent.mkdir(exist_ok=True)
        # Read-only, because the local backend's artifacts/ may be links to the same content.
        temporary.chmod(0o444)
        os.replace(temporary, path)


def digest_file(file: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size in bytes of a file's content."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return digest, content.tell()


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
            # Shares the blocks where the file system can, instead of copying them.
            with contextlib.suppress(OSError):
                while os.copy_file_range(content.fileno(), copy.fileno(), 1 << 30):
                    pass
        content.seek(os.fstat(copy.fileno()).st_size)
        copy.seek(0, os.SEEK_END)
        shutil.copyfileobj(content, copy, _CHUNK)
