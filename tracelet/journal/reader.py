"""Reads a journal from a position on.

Promises:

- Records of one thread come in the order of their calls. Records of several processes are merged
  by time.
- A line without its newline is not read yet: it is being written, or its writer was killed. A
  complete line that is no record is skipped and counted, in :attr:`JournalReader.skipped`.
- A :class:`Position` is exact to the record. It stays valid while segments grow and are added. A
  place beyond the end of its segment is damage; such segments are in :attr:`JournalReader.beyond`.
- Whatever the files hold, a call ends: it reads no more than what is there, and keeps no line in
  memory that is longer than any of ours.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec

from tracelet.errors import InvalidValueError
from tracelet.inner_path import InnerPath
from tracelet.journal.blobs import BlobStore
from tracelet.journal.segments import SegmentFile, chains, segment_size
from tracelet.records import AnyRecord, BlobRef, decode_lines

log = logging.getLogger(__name__)

Position: TypeAlias = dict[str, tuple[int, int]]
"""Segment to an offset in bytes, and the number of records behind the offset that are done."""

CHUNK_BYTES = 4 * 1024 * 1024


class Chunk(msgspec.Struct):
    """Records in order, and the segment of each.

    Attributes:
        records: the records.
        segments: the parts of segments that the records are from.
        origins: for each record, an index in ``segments``; None if there is only one segment.
    """

    records: list[AnyRecord]
    segments: list[_SegmentPart]
    origins: list[int] | None = None

    @property
    def more(self) -> bool:
        """Whether the journal had more records when this chunk was read."""
        return any(part.more for part in self.segments)

    def advance(self, position: Position, done: int) -> Position:
        """Return ``position`` moved behind the first ``done`` records of this chunk."""
        moved = dict(position)
        if self.origins is None:
            counts = [done]
        else:
            counts = [0] * len(self.segments)
            for origin in self.origins[:done]:
                counts[origin] += 1
        for piece, count in zip(self.segments, counts, strict=True):
            skip = piece.skipped_records + count
            moved[piece.name] = (piece.end, 0) if skip == piece.total else (piece.start, skip)
        return moved


class _SegmentPart(msgspec.Struct):
    """A part of one segment: the bytes ``start`` to ``end``, which hold ``total`` records."""

    name: str
    start: int
    end: int
    total: int
    skipped_records: int
    records: list[AnyRecord]
    more: bool


class JournalReader:
    """Reads the records of a run.

    Args:
        directory: where the segments are.
        blobs: where long records are kept.
        chunk_bytes: how many bytes of a segment are read at a time.

    Attributes:
        position_time: all records before the position are from before this time. It is needed only
            if a segment was cut before the position.
        damaged_blobs: why a record could not be read whose line is in a blob, by its digest.
    """

    def __init__(
        self, directory: Path | InnerPath, blobs: BlobStore, *, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._directory = InnerPath.of(directory)
        self._blobs = blobs
        self._chunk_bytes = chunk_bytes
        self._files: dict[str, SegmentFile] = {}
        self._bad_lines: dict[str, set[int]] = {}
        self._torn: set[str] = set()
        self.position_time = 0.0
        self.damaged_blobs: dict[str, str] = {}
        self._corrected: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}

    @property
    def beyond(self) -> list[str]:
        """The segments that end before the position from which they were to be read."""
        return sorted(self._corrected)

    @property
    def skipped(self) -> int:
        """How many lines were no records, including a torn line at the end of a segment.

        The unreadable rest of a damaged segment counts as one line.
        """
        return sum(map(len, self._bad_lines.values())) + len(self._torn)

    def skipped_before(self, position: Position) -> int:
        """Return how many complete lines before ``position`` were no records."""
        # A reader that begins at the position counts the lines behind it again.
        return sum(
            name == "blobs" or offset < position.get(name, (0, 0))[0]
            for name, offsets in self._bad_lines.items()
            for offset in offsets
        )

    def read(self, position: Position) -> Chunk | None:
        """Return the next records after ``position``; None if there are none now."""
        pieces: list[_SegmentPart] = []
        for chain in self._sizes():
            for index, (name, size) in enumerate(chain):
                piece = self._read_segment(name, size, position.get(name, (0, 0)))
                if piece is not None:
                    # The next segments of this process may come before what others wrote.
                    piece.more = piece.more or index + 1 < len(chain)
                    pieces.append(piece)
                    break
        if not pieces:
            return None
        if len(pieces) == 1:
            return Chunk(pieces[0].records, pieces)
        return _merge(pieces)

    def batches(self) -> Iterator[list[AnyRecord]]:
        """Yield all records that there are now, many at a time; close the files at the end."""
        position: Position = {}
        try:
            while (chunk := self.read(position)) is not None:
                yield chunk.records
                position = chunk.advance(position, len(chunk.records))
        finally:
            self.close()

    def records(self) -> Iterator[AnyRecord]:
        """Yield all records that there are now."""
        for batch in self.batches():
            yield from batch

    def close(self) -> None:
        """Close the files; reading opens them again."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _sizes(self) -> list[list[tuple[str, int | None]]]:
        """Return the names of all segments, one list for each process, with their sizes."""
        # Later segments are measured first: a record of a later segment is then never read without
        # the records that the same thread has written to an earlier one before.
        measured = []
        for chain in chains(self._directory):
            sizes = [(name, segment_size(self._directory, name)) for name in reversed(chain)]
            measured.append(sizes[::-1])
        return measured

    def _read_segment(
        self, name: str, size: int | None, at: tuple[int, int]
    ) -> _SegmentPart | None:
        start, skip = self._within(name, size, at)
        if start == size:
            return None
        file = self._files.setdefault(name, SegmentFile(self._directory, name))
        while True:
            lines = file.lines(start, self._chunk_bytes, size)
            if not lines.more:  # a run can have more segments than a process can open files
                file.close()
            if lines.torn:
                self._torn.add(name)
            else:
                self._torn.discard(name)
            if lines.end == start:
                break
            if lines.too_long:
                self._bad_lines.setdefault(name, set()).add(start)
            records = self._decode(name, start, lines.data)
            if len(records) > skip:
                return _SegmentPart(
                    name, start, lines.end, len(records), skip, records[skip:], lines.more
                )
            start, skip = lines.end, skip - len(records)
        if skip:
            self._corrected[name] = at, (start, 0)
        return None

    def _within(self, name: str, size: int | None, at: tuple[int, int]) -> tuple[int, int]:
        """Return a place in a segment; one beyond the end is moved back.

        Nobody knows where a segment was cut, and a process may have appended to it since. What is
        new is told by its time.
        """
        wrong, right = self._corrected.get(name, (None, None))
        if at == wrong and right is not None:
            return right
        if size is not None and at[0] > size:
            back = self._first_after(self.position_time, name, size)
            self._corrected[name] = at, back
            return back
        return at

    def _first_after(self, time: float, name: str, size: int) -> tuple[int, int]:
        """Return the place of the first record of a segment after a time, or the end."""
        start = 0
        with contextlib.closing(SegmentFile(self._directory, name)) as file:
            while (lines := file.lines(start, self._chunk_bytes, size)).end > start:
                for index, record in enumerate(self._decode(name, start, lines.data)):
                    if record.time > time:
                        return start, index
                start = lines.end
        return start, 0

    def _decode(self, name: str, start: int, lines: bytes) -> list[AnyRecord]:
        try:
            records = decode_lines(lines)
        except ValueError:
            records = []
            offset = start
            for line in lines.split(b"\n")[:-1]:
                try:
                    records += decode_lines(line)
                except ValueError as error:
                    known = self._bad_lines.setdefault(name, set())
                    if not known and isinstance(error, InvalidValueError):
                        # Damage is no news here; this may be somebody's intent. The first of all.
                        log.warning(
                            "%s, byte %d: this is not read: %s", self._directory / name, offset,
                            error,
                        )  # fmt: skip
                    known.add(offset)
                offset += len(line) + 1
        if BlobRef in set(map(type, records)):
            records = [self._load(record) for record in records]
        return records

    def _load(self, record: AnyRecord) -> AnyRecord:
        if type(record) is not BlobRef:
            return record
        try:
            (whole,) = decode_lines(self._blobs.read(record.digest))
        except (OSError, ValueError) as error:  # it is missing or damaged, or is not one record
            # The reference stays in the list: positions count it.
            self._bad_lines.setdefault("blobs", set()).add(hash(record.digest))
            self.damaged_blobs[record.digest] = (
                f"a record is left out, its content is damaged: {error}"
            )
            return record
        return whole


def _merge(pieces: list[_SegmentPart]) -> Chunk:
    """Merge by time, up to the first record that may come after an unread one.

    Each part keeps its own order.
    """
    open_ends = [piece.records[-1].time for piece in pieces if piece.more]
    bound = min(open_ends, default=float("inf"))
    streams = [zip(itertools.repeat(index), piece.records) for index, piece in enumerate(pieces)]
    records: list[AnyRecord] = []
    origins: list[int] = []
    for index, record in heapq.merge(*streams, key=lambda pair: pair[1].time):
        if record.time > bound and records:
            break
        records.append(record)
        origins.append(index)
    return Chunk(records, pieces, origins)
