"""Records are framed as TensorBoard frames them, byte for byte; a wrong one ends a file."""

from __future__ import annotations

import io
import random

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from tracelet_tensorboard.event_file import frame, unframe

SIZES = (0, 1, 3, 4, 5, 8, 49, 127, 128, 511, 512, 513, 3000)


def as_tensorboard_does(records: list[bytes]) -> bytes:
    file = io.BytesIO()
    writer = RecordWriter(file)
    for record in records:
        writer.write(record)
    return file.getvalue()


@pytest.mark.parametrize("number", [0, 1, 15, 16, 17, 500, 4096, 9001])
def test_records_are_framed_byte_for_byte_as_the_package_does(number: int) -> None:
    chance = random.Random(number)
    records = [chance.randbytes(chance.choice(SIZES)) for _ in range(number)]

    assert frame(records) == as_tensorboard_does(records)


@pytest.mark.parametrize("size", SIZES)
def test_records_of_one_size_are_framed_as_the_package_does(size: int) -> None:
    records = [bytes([number % 256]) * size for number in range(40)]

    assert frame(records) == as_tensorboard_does(records)


def test_reading_ends_at_a_torn_record() -> None:
    records = [b"first", b"second", b"third"]
    whole = frame(records)

    for cut in range(1, len(frame(records[2:])) + 1):
        assert [record for _, record in unframe(whole[:-cut])] == records[:2]


def test_reading_ends_at_a_damaged_record() -> None:
    whole = bytearray(frame([b"first", b"second", b"third"]))
    whole[len(frame([b"first"])) + 14] ^= 1

    assert [record for _, record in unframe(bytes(whole))] == [b"first"]
