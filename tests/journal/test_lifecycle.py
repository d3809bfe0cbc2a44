"""Where a run is in its life: read from its few records that are not points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tracelet.journal.lifecycle import Launch, Lifecycle
from tracelet.journal.process import this_process
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import compact
from tracelet.journal.writer import JournalWriter
from tracelet.records import Finished, Metric, RunInfo, Started, Tags


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    found = RunDir(tmp_path / "run")
    found.create()
    return found


@pytest.fixture
def writer(run_dir: RunDir) -> Iterator[JournalWriter]:
    one = run_dir.writer()
    yield one
    one.close()


def started(time: float, **facts: object) -> Started:
    run = RunInfo(run_id="r", name="net", project="p", dir="/r", started=time, facts=dict(facts))
    backends = [{"name": "local", "target": "local", "options": {}}]
    launch = Launch(run=run, process=this_process(), backends=backends)
    return Started(time, msgspec.to_builtins(launch))


def test_nothing_was_started_yet(run_dir: RunDir) -> None:
    life = Lifecycle(run_dir).update()
    assert (life.launch, life.status) == (None, "running")


def test_a_life_is_followed_as_it_goes_on(run_dir: RunDir, writer: JournalWriter) -> None:
    life = Lifecycle(run_dir)
    writer.append(started(1.0))
    life.update()
    assert life.launch is not None
    assert (life.launch.run.name, life.status, life.ended) == ("net", "running", None)
    for iteration in range(1000):
        writer.append(Metric(2.0, "loss", 0.5, iteration))
    writer.append(Tags(3.0, {"team": "ml", "stage": "1"}))
    writer.append(Tags(4.0, {"stage": "2"}))
    assert life.update().tags == {"team": "ml", "stage": "2"}
    writer.append(Finished(5.0, "failed", "ValueError: bad", lost=2, redacted=3))
    life.update()
    assert (life.status, life.ended, life.reason) == ("failed", 5.0, "ValueError: bad")
    assert (life.lost, life.redacted) == (2, 3)
    writer.append(started(6.0))
    life.update()
    assert (life.status, life.ended, life.reason) == ("running", None, None)
    writer.append(Finished(7.0, "finished", None, lost=1))
    life.update()
    assert (life.status, life.ended, life.reason) == ("finished", 7.0, None)
    assert (life.lost, life.redacted) == (3, 3)
    assert Lifecycle(run_dir).update().status == "finished"


def test_an_ending_that_only_the_exit_code_can_tell(run_dir: RunDir, writer: JournalWriter) -> None:
    writer.append(started(1.0))
    writer.append(Finished(2.0, None))
    life = Lifecycle(run_dir).update()
    assert (life.status, life.pending_exit) == ("running", True)
    writer.append(Finished(3.0, "failed", "exit code 3"))
    life.update()
    assert (life.status, life.pending_exit, life.reason) == ("failed", False, "exit code 3")
    assert life.ended == 2.0  # and not when somebody has looked


def test_what_looks_like_it_in_a_name_or_a_text_is_none(
    run_dir: RunDir, writer: JournalWriter
) -> None:
    writer.append(started(1.0))
    writer.append(Metric(2.0, '"]\n["finished",2.0,"failed"]', 0.5, 0))
    writer.append(Tags(3.0, {"x": '["finished",2.0,"failed"]'}))
    assert Lifecycle(run_dir).update().status == "running"


def test_a_long_start_is_found_in_its_blob(run_dir: RunDir, writer: JournalWriter) -> None:
    writer.append(started(1.0, argv=["x" * 100_000]))
    life = Lifecycle(run_dir).update()
    assert life.launch is not None
    assert life.launch.run.facts == {"argv": ["x" * 100_000]}


def test_a_life_is_read_from_a_compacted_journal(run_dir: RunDir, writer: JournalWriter) -> None:
    writer.append(started(1.0))
    writer.append(Tags(1.5, {"a": "b"}))
    for iteration in range(100):
        writer.append(Metric(2.0, "loss", 0.5, iteration))
    life = Lifecycle(run_dir).update()
    writer.append(Finished(3.0, "killed", "SIGTERM"))
    writer.close()
    assert compact(run_dir.journal)
    for one in (life, Lifecycle(run_dir)):
        one.update()
        assert (one.status, one.reason, one.tags) == ("killed", "SIGTERM", {"a": "b"})


def test_garbage_and_a_torn_line_do_not_stop_it(run_dir: RunDir, writer: JournalWriter) -> None:
    writer.append(started(1.0))
    (segment,) = run_dir.journal.glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b'["finished",\n\xff\xff\n["finished",2.0,"exploded"]\n')
    writer.append(Tags(3.0, {"a": "b"}))
    with segment.open("ab") as file:
        file.write(b'["finished",4.0,"fai')
    life = Lifecycle(run_dir).update()
    assert (life.status, life.tags) == ("running", {"a": "b"})
    with segment.open("ab") as file:
        file.write(b'led"]\n')
    assert life.update().status == "failed"


def test_a_start_without_what_it_must_have_is_none(run_dir: RunDir, writer: JournalWriter) -> None:
    whole = started(1.0)
    writer.append(Started(1.0, {**whole.info, "run": {"run_id": "r"}}))
    assert Lifecycle(run_dir).update().launch is None
    writer.append(whole)
    life = Lifecycle(run_dir).update()
    assert life.launch is not None
    assert life.starts == 1
