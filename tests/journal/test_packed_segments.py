"""A segment that somebody has compressed with gzip is read like one that is not."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

import tracelet
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import segment_size
from tracelet.records import AnyRecord, Metric, Text

POINTS = 1000


def compress(journal: Path) -> Path:
    (plain,) = journal.glob("*.jsonl")
    packed = plain.with_name(f"{plain.name}.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return packed


@pytest.fixture
def run_dir() -> RunDir:
    with tracelet.start_logging("packed", courier="thread") as exp:
        exp.set_tags(team="ml")
        for iteration in range(POINTS):
            exp.log_metric("loss", 0.5, iteration=iteration)
        exp.log('["finished",0,"killed"]')
        exp.log_params({"text": 'a line\n["finished",0,"killed"]'})
    assert exp.dir is not None
    return RunDir(exp.dir)


def records_from(run_dir: RunDir, position: dict[str, tuple[int, int]]) -> list[AnyRecord]:
    found: list[AnyRecord] = []
    reader = run_dir.reader(chunk_bytes=1000)
    while (chunk := reader.read(position)) is not None:
        found += chunk.records
        position = chunk.advance(position, len(chunk.records))
    reader.close()
    return found


def test_a_compressed_run_is_read(run_dir: RunDir) -> None:
    before = RunState(run_dir).update()
    compress(run_dir.journal.path)
    after = RunState(run_dir).update()
    assert (after.status, after.ended, after.tags) == ("finished", before.ended, {"team": "ml"})
    run = tracelet.load_run(run_dir.path)
    assert run.report.complete
    assert [point.iteration for point in run.metrics["loss"]] == list(range(POINTS))


@pytest.mark.parametrize("done", [0, 1, 37])
def test_a_position_stays_valid_when_a_segment_is_compressed(run_dir: RunDir, done: int) -> None:
    reader = run_dir.reader()
    chunk = reader.read({})
    reader.close()
    assert chunk is not None
    position = chunk.advance({}, done)
    expected = records_from(run_dir, position)
    assert sum(type(record) is Metric for record in expected) >= POINTS - done
    compress(run_dir.journal.path)
    assert records_from(run_dir, position) == expected


def test_following_a_run_while_it_is_compressed_reads_nothing_twice(run_dir: RunDir) -> None:
    state = RunState(run_dir).update()
    assert state.start_count == 1
    compress(run_dir.journal.path)
    assert (state.update().start_count, state.status) == (1, "finished")


def test_a_compressed_segment_knows_its_size(run_dir: RunDir) -> None:
    packed = compress(run_dir.journal.path)
    content = gzip.decompress(packed.read_bytes())
    assert segment_size(run_dir.journal, packed.name.split(".")[0]) == len(content)
    assert segment_size(run_dir.journal, "nobody-1-0") is None


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "three bytes": lambda packed: packed[:3],
    "the half": lambda packed: packed[: len(packed) // 2],
    "without its end": lambda packed: packed[:-8],
    "header": lambda packed: b"??" + packed[2:],
    "checksum": lambda packed: packed[:-8] + b"????" + packed[-4:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_segment_is_counted_and_said_once(
    run_dir: RunDir, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    packed = compress(run_dir.journal.path)
    packed.write_bytes(DAMAGES[damage](packed.read_bytes()))
    reader = run_dir.reader()
    assert sum(type(record) is Metric for record in reader.records()) <= POINTS
    assert reader.skipped == 1
    (said,) = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert ".jsonl.gz is damaged" in said
    with tracelet.start_logging("another") as exp:
        pass
    assert exp.run_id in [run.run_id for run in tracelet.runs()]


def test_a_process_that_goes_on_with_a_compressed_run_keeps_what_it_holds(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.create()
    texts = ["first", "second", "third"]
    for text in texts:
        writer = run_dir.writer()
        writer.append(Text(1.0, text))
        writer.close()
        compress(run_dir.journal.path)
    assert records_from(run_dir, {}) == [Text(1.0, text) for text in texts]
