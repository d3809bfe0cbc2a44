"""The reader of the tests reads files as W&B frames them, and refuses others."""

from __future__ import annotations

import struct
import zlib

import pytest
from wandb_frames import (
    BLOCK,
    FIRST,
    FULL,
    HEADER,
    IDENT,
    LAST,
    MIDDLE,
    BadFileError,
    pieces,
)


def piece(kind: int, content: bytes) -> bytes:
    checksum = zlib.crc32(bytes([kind]) + content)
    return struct.pack("<IHB", checksum, len(content), kind) + content


def test_whole_records_are_read_in_order() -> None:
    assert list(pieces(IDENT + piece(FULL, b"one") + piece(FULL, b""))) == [b"one", b""]


def test_a_record_in_pieces_is_put_together() -> None:
    first = b"a" * (BLOCK - len(IDENT) - HEADER.size)
    middle = b"b" * (BLOCK - HEADER.size)
    data = IDENT + piece(FIRST, first) + piece(MIDDLE, middle) + piece(LAST, b"c")
    assert list(pieces(data)) == [first + middle + b"c"]


@pytest.mark.parametrize("left", range(HEADER.size))
def test_what_is_too_short_for_a_header_at_the_end_of_a_block_is_skipped(left: int) -> None:
    first = b"a" * (BLOCK - len(IDENT) - HEADER.size - left)
    data = IDENT + piece(FULL, first) + bytes(left) + piece(FULL, b"next block")
    assert list(pieces(data)) == [first, b"next block"]


def test_a_first_piece_can_be_empty() -> None:
    before = b"a" * (BLOCK - len(IDENT) - 2 * HEADER.size)
    data = IDENT + piece(FULL, before) + piece(FIRST, b"") + piece(LAST, b"rest")
    assert list(pieces(data)) == [before, b"rest"]


@pytest.mark.parametrize("missing", [1, 5, 9])
def test_a_torn_record_at_the_end_is_left_out(missing: int) -> None:
    data = IDENT + piece(FULL, b"whole") + piece(FULL, b"torn")
    assert list(pieces(data[:-missing])) == [b"whole"]


def test_a_flipped_bit_is_noticed() -> None:
    data = bytearray(IDENT + piece(FULL, b"content"))
    data[-1] ^= 1
    with pytest.raises(BadFileError, match="checksum"):
        list(pieces(bytes(data)))


@pytest.mark.parametrize("kinds", [[LAST], [FIRST, FULL], [MIDDLE, LAST]])
def test_pieces_out_of_order_are_noticed(kinds: list[int]) -> None:
    with pytest.raises(BadFileError, match="kind"):
        list(pieces(IDENT + b"".join(piece(kind, b"x") for kind in kinds)))


def test_another_file_is_refused() -> None:
    with pytest.raises(BadFileError, match="begins"):
        list(pieces(b"{}"))
