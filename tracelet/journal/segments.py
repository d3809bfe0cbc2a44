"""The segments of a journal: their names, their order, and their bytes.

A segment is a file ``<host>-<pid>-<n>.jsonl``. After the end of the run you may compress it with
gzip; ``….jsonl.gz`` is read like the others. Offsets count uncompressed bytes, so cursors stay
valid.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import logging
import os
import re
import stat
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from tracelet.inner_path import InnerPath, is_no_file

log = logging.getLogger(__name__)

_PLAIN, _PACKED = ".jsonl", ".jsonl.gz"
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes. What is longer was written by no call, and is not kept in memory."""
_NUMBERED = re.compile(r"-[0-9]{1,18}\Z")
_CONTROL = re.compile(rb'\n\["(?!(?:metrics?|text|params|artifact|config|properties)",)[^\n]*')


def chains(directory: Path | InnerPath) -> list[list[str]]:
    """Return the names of all segments, one list for each process, in the order of writing."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in segment_names(directory):
        process, _, number = name.rpartition("-")
        found.setdefault(process, []).append((int(number), name))
    return [[name for _, name in sorted(chain)] for _, chain in sorted(found.items())]


def segment_names(directory: Path | InnerPath) -> set[str]:
    """Return the names, without suffix, of all segments."""
    try:
        files = InnerPath.of(directory).names()
    except FileNotFoundError:
        return set()
    stems = {name.split(".")[0] for name in files if name.endswith((_PLAIN, _PACKED))}
    return {stem for stem in stems if _NUMBERED.search(stem)}


def segment_file(directory: Path | InnerPath, name: str) -> InnerPath | None:
    """Return the file of a segment; None if it does not exist."""
    folder = InnerPath.of(directory)
    found = (folder / (name + suffix) for suffix in (_PLAIN, _PACKED))
    return next((path for path in found if path.is_file()), None)


def hold(fd: int) -> None:
    """Mark an open segment as being written, until this process and its forks have closed it."""
    with contextlib.suppress(OSError):  # a file system without locks: it is never sealed
        fcntl.flock(fd, fcntl.LOCK_SH)


def is_held(file: InnerPath) -> bool:
    """Return whether a process can still write to a segment, as far as anybody can tell."""
    try:
        fd = file.open()
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def segment_size(directory: Path | InnerPath, name: str) -> int | None:
    """Return the size in bytes, uncompressed; None if the segment does not exist any more."""
    folder = InnerPath.of(directory)
    try:
        status = (folder / (name + _PLAIN)).stat()
        return status.st_size if stat.S_ISREG(status.st_mode) else None
    except FileNotFoundError:
        pass
    try:
        with (folder / (name + _PACKED)).reading() as packed:
            packed.seek(-4, os.SEEK_END)  # gzip ends with the uncompressed size
            return int.from_bytes(packed.read(4), "little")
    except OSError:
        return None


def segment_ends(directory: Path | InnerPath) -> dict[str, int]:
    """Return the size in bytes, uncompressed, of every segment."""
    return {name: segment_size(directory, name) or 0 for name in segment_names(directory)}


def control_lines(lines: bytes) -> list[bytes]:
    """Return the lines of control records, which change the state of the run."""
    return [line[1:] for line in _CONTROL.findall(b"\n" + lines)]


class Lines(NamedTuple):
    """Whole lines of a segment.

    Attributes:
        data: the lines; empty if there are none, or one was passed over.
        end: the offset behind them.
        more: whether there may be more now.
        torn: whether an incomplete line follows, at the end of the segment.
        too_long: whether a line was passed over because it is too long to be one of ours.
    """

    data: bytes
    end: int
    more: bool
    torn: bool
    too_long: bool = False


class SegmentFile:
    """The bytes of one segment, read forwards.

    Attributes:
        is_damaged: whether it could not be read to its end.
    """

    def __init__(self, directory: Path | InnerPath, name: str) -> None:
        self._plain = InnerPath.of(directory) / (name + _PLAIN)
        self._packed = InnerPath.of(directory) / (name + _PACKED)
        self._file: BinaryIO | gzip.GzipFile | None = None
        self._raw: BinaryIO | None = None  # of a compressed one
        self.is_damaged = False

    @classmethod
    def of(cls, file: InnerPath) -> Self:
        """Return the segment in a file."""
        return cls(file.parent, file.name.removesuffix(".gz").removesuffix(_PLAIN))

    @property
    def is_packed(self) -> bool:
        """Whether the segment exists, and is compressed."""
        return isinstance(self._open(), gzip.GzipFile)

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; ``b""`` at the end, or without a file."""
        try:
            file = self._open()
            if file is None:
                return b""
            if file.tell() != offset:
                file.seek(offset)
            return file.read(limit)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._note_damage(self._packed, error, offset)
            return b""

    def _note_damage(self, file: InnerPath, error: Exception, offset: int) -> None:
        if not self.is_damaged:
            self.is_damaged = True
            log.error("%s is damaged: %s. It is left out from byte %d on", file, error, offset)

    def lines(self, start: int, limit: int, size: int | None = None) -> Lines:
        """Return the whole lines from ``start`` on: about ``limit`` bytes, or one longer line.

        Args:
            start: where a line begins.
            limit: the bytes to read at a time.
            size: the bytes of the segment to look at, if it is not compressed; None: all.
        """
        while True:
            wanted = limit
            if size is not None and not self.is_packed:  # a packed one does not grow
                wanted = max(0, min(limit, size - start))
            data = self.read(start, wanted)
            end = data.rfind(b"\n") + 1
            more = len(data) >= limit
            if end or not more:
                torn = (end < len(data) and not more) or self.is_damaged
                return Lines(data if end == len(data) else data[:end], start + end, more, torn)
            if limit > LONGEST_LINE:
                return self._pass_over(start, start + len(data), size)
            limit *= 2  # one line is longer

    def _pass_over(self, start: int, offset: int, size: int | None) -> Lines:
        """Find the end of a line that is too long; without one the line may still grow."""
        while size is None or self.is_packed or offset < size:
            data = self.read(offset, LONGEST_LINE)
            if not data:
                break
            end = data.find(b"\n") + 1
            if end:
                return Lines(b"", offset + end, more=True, torn=False, too_long=True)
            offset += len(data)
        return Lines(b"", start, more=False, torn=True)

    def _open(self) -> BinaryIO | gzip.GzipFile | None:
        if self._file is None:
            self._file = self._reading(self._plain)
        if self._file is None and (packed := self._reading(self._packed)) is not None:
            self._raw = packed
            self._file = gzip.GzipFile(fileobj=packed)
        return self._file

    def _reading(self, file: InnerPath) -> BinaryIO | None:
        try:
            return file.reading()
        except FileNotFoundError:
            return None
        except OSError as error:
            if not is_no_file(error):
                raise
            self._note_damage(file, error, 0)  # a directory or a link is there
            return None

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._raw is not None:
            self._raw.close()
            self._raw = None
