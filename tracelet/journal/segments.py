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

from tracelet.inner_path import InnerPath

log = logging.getLogger(__name__)

_PLAIN, _PACKED = ".jsonl", ".jsonl.gz"
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
    return {stem for stem in stems if stem.rpartition("-")[2].isdigit()}


def segment_size(directory: Path | InnerPath, name: str) -> int | None:
    """Return the size in bytes, uncompressed; None if the segment does not exist any more."""
    folder = InnerPath.of(directory)
    try:
        return (folder / (name + _PLAIN)).stat().st_size
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


class SegmentFile:
    """The bytes of one segment, read forwards.

    Attributes:
        is_damaged: whether it is compressed, and could not be read to its end.
    """

    def __init__(self, directory: Path | InnerPath, name: str) -> None:
        self._plain = InnerPath.of(directory) / (name + _PLAIN)
        self._packed = InnerPath.of(directory) / (name + _PACKED)
        self._file: BinaryIO | gzip.GzipFile | None = None
        self._raw: BinaryIO | None = None  # of a compressed one
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
            with contextlib.suppress(FileNotFoundError):
                self._file = self._plain.reading()
                return self._file
            with contextlib.suppress(FileNotFoundError):
                self._raw = self._packed.reading()
                self._file = gzip.GzipFile(fileobj=self._raw)
        return self._file

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._raw is not None:
            self._raw.close()
            self._raw = None
