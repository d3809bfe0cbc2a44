"""A compressed journal answers what is asked most often without being decompressed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracelet
from tracelet.journal import segments
from tracelet.journal.lifecycle import Lifecycle
from tracelet.journal.reader import JournalReader
from tracelet.journal.rundir import RunDir
from tracelet.records import Metric


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    with tracelet.start_logging("packed", dir=tmp_path, courier="thread") as exp:
        exp.set_tags(team="ml")
        for iteration in range(1000):
            exp.log_metric("loss", 0.5, iteration=iteration)
        exp.log('["finished",0,"killed"]')
        exp.log_params({"text": 'a line\n["finished",0,"killed"]'})
    assert exp.dir is not None
    assert [file.suffix for file in sorted((exp.dir / "journal").iterdir())] == [".gz", ".life"]
    return RunDir(exp.dir)


def test_the_life_of_a_run_is_read_without_decompressing(run_dir, monkeypatch):
    monkeypatch.setattr(segments.gzip, "open", lambda *_: pytest.fail("it was decompressed"))
    life = Lifecycle(run_dir).update()
    assert life.status == "finished"
    assert life.tags == {"team": "ml"}
    assert tracelet.load_run(run_dir.path).status == "finished"
    assert tracelet.load_run(run_dir.path).report.complete


def test_the_life_of_a_run_is_read_from_the_segment_if_the_lines_beside_it_are_gone(run_dir):
    (kept,) = run_dir.journal.glob("*.life")
    before = Lifecycle(run_dir).update()
    kept.unlink()
    after = Lifecycle(run_dir).update()
    assert (after.status, after.ended, after.tags) == (before.status, before.ended, before.tags)


def test_following_a_run_across_its_compaction_reads_nothing_twice(tmp_path):
    exp = tracelet.start_logging("followed", dir=tmp_path, courier="thread")
    run_dir = RunDir(exp.dir)
    life = Lifecycle(run_dir).update()
    exp.set_tags(team="ml")
    assert life.update().tags == {"team": "ml"}
    exp.stop()
    assert life.update().status == "finished"
    assert life.update().tags == {"team": "ml"}
    assert sum(map(len, life._records.values())) == 3


def test_a_compressed_segment_knows_its_size(run_dir):
    (packed,) = run_dir.journal.glob("*.jsonl.gz")
    content = segments.gzip.open(packed).read()
    assert segments.segment_size(run_dir.journal, packed.name.split(".")[0]) == len(content)
    assert segments.segment_size(run_dir.journal, "nobody-1-0") is None


def test_reading_from_the_end_of_a_compressed_segment_gives_nothing(run_dir):
    reader = run_dir.reader(chunk_bytes=1000)
    position = {}
    count = 0
    while (chunk := reader.read(position)) is not None:
        count += sum(type(record) is Metric for record in chunk.records)
        position = chunk.advance(position, len(chunk.records))
    reader.close()
    assert count == 1000
    assert JournalReader(run_dir.journal, run_dir.blobs).read(position) is None


def test_what_is_found_in_a_damaged_segment_is_looked_for_once(run_dir, monkeypatch):
    (packed,) = run_dir.journal.glob("*.gz")
    packed.write_bytes(packed.read_bytes()[:-20])
    reader = run_dir.reader()
    chunk = reader.read({})
    assert chunk is not None
    position = chunk.advance({}, len(chunk.records))
    monkeypatch.setattr(segments.zlib, "decompressobj", lambda *_: pytest.fail("once more"))
    assert reader.read(position) is None
    assert reader.read(position) is None
    reader.close()
