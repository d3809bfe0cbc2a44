"""The files that backends write, so that a worker which is killed leaves no half of anything.

A file that is replaced is put at its place at once. A file that grows is as long as the checkpoint
says: what stands behind that comes again, and is cut off before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from tracelet.errors import CheckpointLostError
from tracelet.inner_path import InnerPath

_CHUNK = 1 << 20


class GrowingFile:
    """A file to which records are appended, each once.

    A call that returns has given its bytes to the operating system: there is no buffer. Nothing
    stays open between calls.

    Args:
        path: the file; its folder must be there when something is appended. A link there is an
            error.
        size: how many bytes of it count. What is behind them was left by a worker that was killed,
            or by a call that failed; the next call overwrites it.
        alone: whether nobody else may write to the file: what stands behind the content of an
            earlier call that succeeded is an error then.

    Raises:
        CheckpointLostError: the file is shorter, or not there.
    """

    def __init__(self, path: Path | InnerPath, size: int = 0, *, alone: bool = False) -> None:
        self._file = InnerPath.of(path)
        self.path = self._file.path
        self.size = size
        self._alone = alone
        self._is_ours = False  # what is in the file by now, up to its end
        if size and self._file.size() < size:
            raise CheckpointLostError(f"{self.path} is shorter than what was written to it")

    def append(self, content: bytes) -> int:
        """Write behind what counts; return where it begins.

        Raises:
            CheckpointLostError: the file was deleted meanwhile, or somebody else writes to it, too.
        """
        at, rest = self.size, memoryview(content)
        try:
            file = self._file.open(os.O_RDWR | (0 if at else os.O_CREAT))
        except FileNotFoundError as error:
            if not at:
                raise
            raise CheckpointLostError(f"{self.path} was deleted") from error
        try:
            end = os.lseek(file, 0, os.SEEK_END)
            if end < at or (end > at and self._alone and self._is_ours):
                raise CheckpointLostError(f"{self.path} was changed by somebody else")
            self._is_ours = False  # as long as a part of the content may be left behind
            os.ftruncate(file, at)
            os.lseek(file, at, os.SEEK_SET)
            try:
                while rest:
                    rest = rest[os.write(file, rest) :]
            except OSError:
                os.ftruncate(file, at)  # the content comes again, and no reader is to see a part
                raise
        finally:
            os.close(file)
        self._is_ours = True
        self.size += len(content)
        return at

    def cut(self) -> None:
        """Cut off what is behind what counts."""
        self._file.truncate(self.size)


def place_file(source: Path, target: Path | InnerPath, *, link: bool) -> None:
    """Put a file at its place, all of it at once, also where another one is.

    Args:
        source: the file.
        target: its place; folders are made. In an ``InnerPath``, no link is followed.
        link: whether a hard link will do, because the content never changes, as a blob's; where the
            file system has none, and without this, it is copied.
    """
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
    place = InnerPath.of(target)
    place.parent.mkdir()
    if link:
        with contextlib.suppress(OSError):  # another file system, or one without links
            place.link_to(InnerPath.of(source))
            return
    with source.open("rb") as content, place.replacing() as copy:
        shutil.copyfileobj(content, copy, _CHUNK)
