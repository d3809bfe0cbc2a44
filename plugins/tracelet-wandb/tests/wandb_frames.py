"""Reads the frames of W&B's offline files; without it nobody could tell what is in one.

The file begins with ``:W&B``, a magic number and a version. Then it is framed as LevelDB's logs
are: blocks of 32 KiB hold pieces, each behind its CRC-32, length and kind; a record is one whole
piece, or a first, middle ones and a last.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

IDENT = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
HEADER = struct.Struct("<IHB")
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class BadFileError(Exception):
    """The file is not framed as it should be."""


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield the content of each whole record; a torn one at the end is left out."""
    if data[: len(IDENT)] != IDENT:
        raise BadFileError(f"it begins with {data[: len(IDENT)]!r}")
    position, parts, begun = len(IDENT), b"", False
    while position < len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER.size:  # too little for a header: zeros
            position += left
            continue
        if position + HEADER.size > len(data):
            return
        crc, length, kind = HEADER.unpack_from(data, position)
        content = data[position + HEADER.size : position + HEADER.size + length]
        if len(content) < length:
            return
        if zlib.crc32(bytes([kind]) + content) != crc:
            raise BadFileError(f"wrong checksum at {position}")
        position += HEADER.size + length
        if kind not in (FULL, FIRST, MIDDLE, LAST) or (kind in (FULL, FIRST)) == begun:
            raise BadFileError(f"piece of kind {kind} at {position}")
        parts += content  # a first piece may be empty, at the end of a block
        begun = kind in (FIRST, MIDDLE)
        if not begun:
            yield parts
            parts = b""
