"""The reader: every record exactly once and in order, whatever else is in the segments."""

from __future__ import annotations

import gzip
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.journal.blobs import BlobStore
from tracelet.journal.reader import JournalReader, Position
from tracelet.journal.segments import segment_names
from tracelet.records import AnyRecord, Metric, Metrics, Params, Text, encode

GARBAGE = [
    *(b"{", b'["metric",1.0,"lo', b"[]", b"null", b'["unheard-of"]', b"\xff\xfe", b"\x00" * 9),
    b'["metric",1.0,"loss","Infinitz",0,"iteration"]',
    b'["metrics",1.0,{"loss":"half"},0]',
    b'["params",1.0,{"lr":{"$float":"NaX"}}]',
    b'["params",1.0,{"lr":{"$float":null}}]',
]


def point(iteration: int, name: str = "loss", time: float | None = None) -> Metric:
    return Metric(float(iteration) if time is None else time, name, 0.5, iteration)


def line(record: AnyRecord | Metrics) -> bytes:
    return encode(record) + b"\n"


def reader(directory: Path, chunk_bytes: int = 1 << 20) -> JournalReader:
    return JournalReader(directory, BlobStore(directory / "blobs"), chunk_bytes=chunk_bytes)


def read_all(directory: Path, chunk_bytes: int = 1 << 20) -> list[AnyRecord]:
    one = reader(directory, chunk_bytes)
    found = list(one.records())
    one.close()
    return found


def write(directory: Path, name: str, content: bytes) -> None:
    with (directory / f"{name}.jsonl").open("ab") as file:
        file.write(content)


def through_json(position: Position) -> Position:
    """A position as it comes back from a cursor's file."""
    return msgspec.json.decode(msgspec.json.encode(position), type=Position)


# What a segment can hold: records, lines of several, and lines that are none.
contents = st.lists(
    st.one_of(
        st.integers(0, 60),
        st.tuples(st.integers(0, 60), st.integers(1, 5)),
        st.sampled_from(GARBAGE),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(
    segments=st.lists(contents, min_size=1, max_size=4),
    tail=st.integers(0, 30),
    chunk_bytes=st.integers(1, 400),
    data=st.data(),
)
def test_every_record_comes_exactly_once(
    segments: list[list[int | tuple[int, int] | bytes]],
    tail: int,
    chunk_bytes: int,
    data: st.DataObject,
) -> None:
    """However it is cut into chunks, and wherever reading stops and goes on from a position."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as ending:
        directory = Path(place)
        expected: dict[str, list[int]] = {}
        garbage = 0
        for number, items in enumerate(segments):
            mine = expected.setdefault(f"process{number}", [])
            content = b""
            for item in items:
                if isinstance(item, bytes):
                    content += item + b"\n"
                    garbage += 1
                elif isinstance(item, tuple):
                    several = range(len(mine), len(mine) + item[1])
                    values = {f"process{number}/{one}": one for one in several}
                    content += line(Metrics(float(item[0]), values, 0))
                    mine += several
                else:
                    content += line(Metric(float(item), f"process{number}/", len(mine), 0))
                    mine.append(len(mine))
            torn = line(point(10**6, f"process{number}"))[:tail]
            garbage += bool(torn)
            write(directory, f"host-{number}-0", content + torn)

        found: dict[str, list[int]] = {name: [] for name in expected}
        position: Position = {}
        one = ending.enter_context(closing(reader(directory, chunk_bytes)))
        while (chunk := one.read(position)) is not None:
            done = data.draw(st.integers(1, len(chunk.records)))
            for record in chunk.records[:done]:
                assert isinstance(record, Metric)
                found[record.name.partition("/")[0]].append(record.value)
            position = through_json(chunk.advance(position, done))
            if data.draw(st.booleans()):  # as after a restart
                one.close()
                one = ending.enter_context(closing(reader(directory, chunk_bytes)))
        assert found == expected
        last = ending.enter_context(closing(reader(directory, chunk_bytes)))
        list(last.records())
        assert last.skipped == garbage


@settings(max_examples=100, deadline=None)
@given(
    times=st.lists(st.lists(st.integers(0, 20), max_size=15), min_size=2, max_size=4),
    chunk_bytes=st.integers(1, 2000),
)
def test_processes_are_merged_by_time_and_each_keeps_its_order(
    times: list[list[int]], chunk_bytes: int
) -> None:
    """Also when a clock goes backwards; then the process's own order counts."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        for number, mine in enumerate(times):
            lines = [line(point(n, f"p{number}", float(time))) for n, time in enumerate(mine)]
            write(directory, f"host-{number}-0", b"".join(lines))
        found = read_all(directory, chunk_bytes)
        for number, mine in enumerate(times):
            own = [
                one.iteration
                for one in found
                if isinstance(one, Metric) and one.name == f"p{number}"
            ]
            assert own == list(range(len(mine)))
        if all(mine == sorted(mine) for mine in times):
            assert [one.time for one in found] == sorted(one.time for one in found)


def test_the_segments_of_a_process_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 9, 0, 1):
        write(tmp_path, f"host-1-{number}", line(point(number, time=5.0)))
    assert [one.iteration for one in read_all(tmp_path) if isinstance(one, Metric)] == [
        0,
        1,
        2,
        9,
        10,
    ]


def test_a_process_is_not_ahead_of_the_later_segments_of_another(tmp_path: Path) -> None:
    """As when a forked child writes first to its parent's last segment, then to its own."""
    for number in range(4):
        write(tmp_path, f"host-1-{number}", line(point(number)))
    write(tmp_path, "host-1-4", line(point(0, "child", time=4.0)))
    write(tmp_path, "host-2-0", line(point(1, "child", time=5.0)))
    assert read_all(tmp_path) == [
        *map(point, range(4)),
        point(0, "child", time=4.0),
        point(1, "child", time=5.0),
    ]


def test_a_line_is_read_when_its_newline_is_there(tmp_path: Path) -> None:
    one = reader(tmp_path)
    assert one.read({}) is None
    write(tmp_path, "host-1-0", line(point(0)) + line(point(1))[:20])
    chunk = one.read({})
    assert chunk is not None
    assert chunk.records == [point(0)]
    position = chunk.advance({}, 1)
    assert one.read(position) is None
    assert one.skipped == 1, "torn, as far as anybody can tell now"
    write(tmp_path, "host-1-0", line(point(1))[20:])
    chunk = one.read(position)
    assert chunk is not None
    assert chunk.records == [point(1)]
    assert one.skipped == 0
    one.close()


def test_a_position_is_exact_to_the_record(tmp_path: Path) -> None:
    write(tmp_path, "host-1-0", b"".join(line(point(n)) for n in range(10)))
    one = reader(tmp_path)
    chunk = one.read({})
    assert chunk is not None
    position = through_json(chunk.advance({}, 4))
    for _ in range(2):  # the same again
        rest = one.read(position)
        assert rest is not None
        assert [record.iteration for record in rest.records] == [4, 5, 6, 7, 8, 9]
    assert one.read(rest.advance(position, 6)) is None
    one.close()


def test_a_position_stays_valid_while_segments_grow_and_are_added(tmp_path: Path) -> None:
    write(tmp_path, "host-1-0", line(point(0)) + line(point(1)))
    one = reader(tmp_path)
    chunk = one.read({})
    assert chunk is not None
    position = through_json(chunk.advance({}, 1))
    write(tmp_path, "host-1-0", line(point(2)))
    write(tmp_path, "host-1-1", line(point(3)))
    write(tmp_path, "host-2-0", line(point(100, "other")))
    found = []
    while (chunk := one.read(position)) is not None:
        found += chunk.records
        position = chunk.advance(position, len(chunk.records))
    assert found == [point(1), point(2), point(3), point(100, "other")]
    one.close()


def test_a_line_that_is_longer_than_a_chunk(tmp_path: Path) -> None:
    expected = [point(0), Text(1.0, "x" * 10_000), point(2), Params(3.0, {"a": "y" * 5000})]
    write(tmp_path, "host-1-0", b"".join(map(line, expected)))
    assert read_all(tmp_path, chunk_bytes=16) == expected


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "host-1-0", line(point(0)))
    (tmp_path / "notes.jsonl").write_bytes(line(point(1)))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".host-1-0.jsonl.gz.tmp").write_bytes(gzip.compress(line(point(2))))
    assert segment_names(tmp_path) == {"host-1-0"}
    assert read_all(tmp_path) == [point(0)]


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_all(tmp_path / "missing") == []


def test_old_records_with_fewer_and_new_ones_with_more_fields_are_read(tmp_path: Path) -> None:
    write(tmp_path, "host-1-0", b'["metric",1.0,"loss",0.5,3]\n["metric",1.0,"loss",0.5,4,"e",9]\n')
    assert read_all(tmp_path) == [
        Metric(1.0, "loss", 0.5, 3, "iteration"),
        Metric(1.0, "loss", 0.5, 4, "e"),
    ]
