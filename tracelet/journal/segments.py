"""Segments of a journal: their names, their order, and their bytes, compressed or not.

A segment is ``<host>-<pid>-<n>.jsonl`` while it is written, and ``….jsonl.gz`` once the run is
compacted. Offsets always count the uncompressed bytes, so a cursor outlives the compaction.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import re
import shutil
import zlib
from pathlib import Path

from tracelet.journal.files import opened_exclusively, replace_file
from tracelet.records import decode_lines

log = logging.getLogger(__name__)

_PLAIN, _PACKED, _LIFE = ".jsonl", ".jsonl.gz", ".life"
_OF_LIFE = re.compile(rb'\n\["(?!(?:metrics?|text|params|artifact|config|properties)",)[^\n]*')
_CHUNK = 1 << 20
_told: set[Path] = set()
"""Damaged segments that this process has logged."""


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
    """Return the size in bytes, uncompressed; None if there is no such segment any more.

    That of a damaged one is what its last bytes say, or None.
    """
    try:
        return os.stat(directory / (name + _PLAIN)).st_size
    except FileNotFoundError:
        try:
            with (directory / (name + _PACKED)).open("rb") as packed:
                packed.seek(-4, os.SEEK_END)  # gzip ends with the size of what it holds
                return int.from_bytes(packed.read(4), "little")
        except OSError:
            return None


def segment_ends(directory: Path) -> dict[str, int]:
    """Return the size in bytes, uncompressed, of every segment."""
    return {name: segment_size(directory, name) or 0 for name in segment_names(directory)}


def lines_of_life(lines: bytes) -> list[bytes]:
    """Find the few lines that tell of the life of the run, among the many that are points."""
    return [line[1:] for line in _OF_LIFE.findall(b"\n" + lines)]


def packed_life(directory: Path, name: str) -> list[bytes] | None:
    """Return the lines of life of a compressed segment, without reading it; None if unknown."""
    if (directory / (name + _PLAIN)).exists():
        return None
    try:
        content = (directory / (name + _LIFE)).read_bytes()
        decode_lines(content)
    except (FileNotFoundError, ValueError):  # the segment may be whole
        return None
    return content.splitlines()


class SegmentFile:
    """The bytes of one segment, read forwards.

    Attributes:
        is_damaged: whether it is compressed, and only a part of it could be read, or its checksum
            is wrong; that is logged.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._plain = directory / (name + _PLAIN)
        self._packed = directory / (name + _PACKED)
        self._file: io.BufferedReader | gzip.GzipFile | io.BytesIO | None = None
        self.is_damaged = False

    @property
    def is_packed(self) -> bool:
        """Whether the segment is there, and compressed."""
        return isinstance(self._open(), gzip.GzipFile | io.BytesIO)

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; nothing at the end, or if it is gone."""
        file = self._open()
        if file is None:
            return b""
        try:
            if file.tell() != offset:
                file.seek(offset)
            data = file.read(limit)
            if isinstance(file, gzip.GzipFile) and not file.peek(1) and not offset + len(data):
                self._damaged("it is empty")  # at its end peek() compares its checksum
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._damaged(error)
            return self.read(offset, limit)
        return data

    def _damaged(self, reason: object) -> None:
        """Read from now on what there is before the damage."""
        self.close()
        self.is_damaged = True
        if self._packed not in _told:
            _told.add(self._packed)
            log.error("%s is damaged: %s. It is read as far as it can be", self._packed, reason)
        found = bytearray()
        unpacking = zlib.decompressobj(31)  # 31: a file as gzip writes it
        with contextlib.suppress(zlib.error):
            for byte in self._packed.read_bytes():  # so that no more is lost than must be
                found += unpacking.decompress(bytes((byte,)))
        self._file = io.BytesIO(found)

    def close(self) -> None:
        """Close the file; reading opens it again."""
        # What was found in a damaged one stays: that takes seconds, and who polls reads often.
        if self._file is not None and not isinstance(self._file, io.BytesIO):
            self._file.close()
            self._file = None

    def _open(self) -> io.BufferedReader | gzip.GzipFile | io.BytesIO | None:
        if self._file is None:
            try:
                self._file = self._plain.open("rb")
            except FileNotFoundError:
                try:
                    self._file = gzip.open(self._packed, "rb")
                except FileNotFoundError:
                    return None
        return self._file


def compact(directory: Path) -> bool:
    """Compress every segment that nobody can write to any more.

    The lines of life are written beside it once more, as they are: listing a thousand runs must
    not decompress them. A segment that a process, or a forked child of it, still has open stays
    as it is: what it appends later would otherwise be lost.

    Returns:
        Whether all segments are compressed now.
    """
    complete = True
    for name in sorted(segment_names(directory)):
        plain, packed = directory / (name + _PLAIN), directory / (name + _PACKED)
        if not plain.exists():
            continue
        with opened_exclusively(plain) as ours:
            if not ours:
                complete = False
                continue
            temporary = packed.with_name(f".{packed.name}.tmp")
            with plain.open("rb") as content, temporary.open("wb") as raw:
                with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=3, mtime=0) as packing:
                    shutil.copyfileobj(content, packing, _CHUNK)
                raw.flush()
                os.fsync(raw.fileno())
            replace_file(directory / (name + _LIFE), _life_of(plain), durable=True)
            os.replace(temporary, packed)
            plain.unlink()
    return complete


def _life_of(plain: Path) -> bytes:
    found: list[bytes] = []
    rest = b""
    with plain.open("rb") as content:
        while data := content.read(_CHUNK):
            whole, newline, rest = (rest + data).rpartition(b"\n")
            found += lines_of_life(whole + newline)
    return b"".join(line + b"\n" for line in found)
