"""The event file of a run, framed as TensorBoard's readers expect it.

A record is its length, a checksum of the length, the bytes, and a checksum of the bytes; a wrong
checksum ends the file for a reader. The ``tensorboard`` package computes that checksum (CRC-32C)
one byte after another in Python, which costs more than everything else about a point; here NumPy,
on which the package depends, computes the checksums of a whole batch side by side.

The package's own ``EventFileWriter`` has a buffer and a thread, and a killed worker would lose what
is in them. Here a call that returns has given its bytes to the operating system, and nothing that
was read before is moved: a server that watches the run reads on.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.summary.writer.record_writer import masked_crc32c

from tracelet.backends.files import GrowingFile
from tracelet.errors import CheckpointLostError

HEADER_BYTES = 12
FOOTER_BYTES = 4
_POLYNOMIAL = np.uint32(0x82F63B78)
_FEW = 16
"""With fewer records than this, one after another is faster."""
_LONG = 512
"""Longer records are not worth a column of all the others; in bytes."""
_AT_ONCE = 4096
"""Records whose bytes are laid side by side; more do not fit into the processor's cache."""


class EventFile(GrowingFile):
    """The event file at ``path``, of which ``size`` bytes are valid.

    Raises:
        CheckpointLostError: the file is shorter, or not there.
    """

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(path, size)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def append_records(self, records: Sequence[bytes]) -> int:
        """Write records behind the others; return the offset of the first.

        Raises:
            CheckpointLostError: the file was deleted or cut meanwhile.
        """
        return self.append(frame(records))

    def read(self, offset: int) -> bytes:
        """Return the record at ``offset``.

        Raises:
            CheckpointLostError: there is no whole record.
        """
        for _, record in unframe(self._content(offset)):
            return record
        raise CheckpointLostError(f"{self.path} has been damaged at byte {offset}")

    def keep_rest(self, revise: Callable[[bytes], bytes | None]) -> bytes | None:
        """Keep the first record behind the valid part if ``revise`` gives it another content.

        Args:
            revise: returns what the record is to be, as long as it was, or None to cut it off.

        Returns:
            The record that was kept, or None.
        """
        for _, record in unframe(self._content(self.size)):
            revised = revise(record)
            if revised is None:
                return None
            framed = frame([revised])
            if len(revised) != len(record):
                raise ValueError("a record that is revised must keep its length")
            with self.path.open("r+b", buffering=0) as file:
                file.seek(self.size)
                file.write(framed)
            self.size += len(framed)
            return revised
        return None

    def _content(self, offset: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            header = file.read(HEADER_BYTES)
            file.seek(offset)
            length = int.from_bytes(header[:8], "little")
            # The length of a torn record can be anything; what there is, is the most there can be.
            return file.read(min(length, self.path.stat().st_size) + 2 * HEADER_BYTES)


def frame(records: Sequence[bytes]) -> bytes:
    """Return the records as they stand in an event file."""
    parts: list[bytes] = []
    for record, checksum in zip(records, _checksums(records), strict=True):
        parts += (_header(len(record)), record, checksum)
    return b"".join(parts)


def unframe(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each whole record with its offset; end at the first that is torn or damaged."""
    at = 0
    while len(content) - at >= HEADER_BYTES + FOOTER_BYTES:
        (length,) = struct.unpack_from("<Q", content, at)
        end = at + HEADER_BYTES + length + FOOTER_BYTES
        if content[at : at + HEADER_BYTES] != _header(length) or end > len(content):
            return
        record = content[at + HEADER_BYTES : end - FOOTER_BYTES]
        if content[end - FOOTER_BYTES : end] != _one(record):
            return
        yield at, record
        at = end


@functools.lru_cache(maxsize=4096)
def _header(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + _one(packed)


def _one(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(data))


def _checksums(records: Sequence[bytes]) -> list[bytes]:
    if len(records) < _FEW:
        return [_one(record) for record in records]
    found: list[bytes] = []
    for start in range(0, len(records), _AT_ONCE):
        found += _side_by_side(records[start : start + _AT_ONCE])
    return found


def _side_by_side(records: Sequence[bytes]) -> list[bytes]:
    """Compute the checksums of many records of up to ``_LONG`` bytes; longer ones one by one.

    The records are aligned at their ends. Zeros before a record do not change a checksum that
    starts from 0; that it has to start from all ones is the same as inverting the first four bytes.
    """
    sizes = np.fromiter(map(len, records), np.intp, len(records))
    apart = (sizes > _LONG) | (sizes < 4)
    sizes[apart] = 4
    widest = int(sizes.max())
    padded = [b"".rjust(widest) if out else record.rjust(widest, b"\0")
              for record, out in zip(records, apart.tolist(), strict=True)]  # fmt: skip
    columns = np.frombuffer(b"".join(padded), np.uint8).reshape(-1, widest).T.copy()
    each = np.arange(len(records))
    for offset in range(4):
        columns[widest - sizes + offset, each] ^= 0xFF
    table = _table()
    checksum = np.zeros(len(records), np.uint32)
    for column in columns:
        checksum = table[checksum.astype(np.uint8) ^ column] ^ (checksum >> 8)
    checksum ^= np.uint32(0xFFFFFFFF)
    masked = ((checksum >> 15) | (checksum << 17)) + np.uint32(0xA282EAD8)
    packed = masked.astype("<u4").tobytes()
    found = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    for index in np.flatnonzero(apart).tolist():
        found[index] = _one(records[index])
    return found


@functools.cache
def _table() -> Any:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ _POLYNOMIAL, table >> 1)
    return table
