"""The segments of a journal: their names, their order, and their bytes.

A segment is a file ``<host>-<pid>-<n>.jsonl``. After the end of the run you may compress it with
gzip; ``….jsonl.gz`` is read like the others. Offsets count uncompressed bytes, so cursors stay
valid.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

_PLAIN, _PACKED = ".jsonl", ".jsonl.gz"
_CONTROL = re.compile(rb'\n\["(?!(?:metrics?|text|params|artifact|config|properties)",)[^\n]*')


def chains(directory: Path) -> list[list[str]]:
    """Return the names of all segments, one list for each process, in the order of writing."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in segment_names(directory):
        process, _, number = name.rpartition("-")
        found.setdefault(process, []).append((int(number), name))
    return [[name for _, name in sorted(chain)] for _, chain in sorted(found.items())]


def segment_names(directory: Path) -> set[str]:
    """Return the names, without suffix, of all segments."""
    try:
        files = os.listdir(directory)
    except FileNotFoundError:
        return set()
    stems = {name.split(".")[0] for name in files if name.endswith((_PLAIN, _PACKED))}
    return {stem for stem in stems if stem.rpartition("-")[2].isdigit()}


def segment_size(directory: Path, name: str) -> int | None:
    """Return the size in bytes, uncompressed; None if the segment does not exist any more."""
    try:
        return os.stat(directory / (name + _PLAIN)).st_size
    except FileNotFoundError:
        pass
    try:
        with (directory / (name + _PACKED)).open("rb") as packed:
            packed.seek(-4, os.SEEK_END)  # gzip ends with the uncompressed size
            return int.from_bytes(packed.read(4), "little")
    except OSError:
        return None


def segment_ends(directory: Path) -> dict[str, int]:
    """Return the size in bytes, uncompressed, of every segment."""
    return {name: segment_size(directory, name) or 0 for name in segment_names(directory)}


def control_lines(lines: bytes) -> list[bytes]:
    """Return the lines of control records, which change the state of the run."""
    return [line[1:] for line in _CONTROL.findall(b"\n" + lines)]


class SegmentFile:
    """The bytes of one segment, read forwards.

    Attributes:
        is_damaged: whether it is compressed, and could not be read to its end.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._plain = directory / (name + _PLAIN)
        self._packed = directory / (name + _PACKED)
        self._file: BinaryIO | gzip.GzipFile | None = None
        self.is_damaged = False

    @property
    def is_packed(self) -> bool:
        """Whether the segment exists, and is compressed."""
        return isinstance(self._open(), gzip.GzipFile)

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; ``b""`` at the end, or without a file."""
        file = self._open()
        if file is None:
            return b""
        try:
            if file.tell() != offset:
                file.seek(offset)
            return file.read(limit)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            if not self.is_damaged:
                self.is_damaged = True
                log.error(  # noqa: TRY400 - the message is complete
                    "%s is damaged: %s. It is left out from byte %d on", self._packed, error, offset
                )
            return b""

    def _open(self) -> BinaryIO | gzip.GzipFile | None:
        if self._file is None:
            for path, opener in ((self._plain, open), (self._packed, gzip.open)):
                with contextlib.suppress(FileNotFoundError):
                    self._file = opener(path, "rb")
                    break
        return self._file

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
