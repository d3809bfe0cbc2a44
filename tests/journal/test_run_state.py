"""The state of a run: read from its few records that are not points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tracelet.journal.process import this_process
from tracelet.journal.run_state import RunStart, RunState
from tracelet.journal.rundir import RunDir
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
    start = RunStart(run=run, process=this_process(), backends=backends)
    return Started(time, msgspec.to_builtins(start))


def test_nothing_was_started_yet(run_dir: RunDir) -> None:
    state = RunState(run_dir).update()
    assert (state.start, state.status) == (None, "running")


def test_the_state_is_followed_as_the_run_goes_on(run_dir: RunDir, writer: JournalWriter) -> None:
    state = RunState(run_dir)
    writer.append(started(1.0))
    state.update()
    assert state.start is not None
    assert (state.start.run.name, state.status, state.ended) == ("net", "running", None)
    for iteration in range(1000):
        writer.append(Metric(2.0, "loss", 0.5, iteration))
    writer.append(Tags(3.0, {"team": "ml", "stage": "1"}))
    writer.append(Tags(4.0, {"stage": "2"}))
    assert state.update().tags == {"team": "ml", "stage": "2"}
    writer.append(Finished(5.0, "failed", "ValueError: bad", lost=2, redacted=3))
    state.update()
    assert (state.status, state.ended, state.reason) == ("failed", 5.0, "ValueError: bad")
    assert (state.lost, state.redacted) == (2, 3)
    writer.append(started(6.0))
    state.update()
    assert (state.status, state.ended, state.reason) == ("running", None, None)
    writer.append(Finished(7.0, "finished", None, lost=1))
    state.update()
    assert (state.status, state.ended, state.reason) == ("finished", 7.0, None)
    assert (state.lost, state.redacted) == (3, 3)
    assert RunState(run_dir).update().status == "finished"


def test_an_ending_that_only_the_exit_code_can_tell(run_dir: RunDir, writer: JournalWriter) -> None:
    writer.append(started(1.0))
    writer.append(Finished(2.0, None))
    state = RunState(run_dir).update()
    assert (state.status, state.pending_exit) == ("running", True)
    writer.append(Finished(3.0, "failed", "exit code 3"))
    state.update()
    assert (state.status, state.pending_exit, state.reason) == ("failed", False, "exit code 3")
    assert state.ended == 2.0  # and not when somebody has looked


def test_what_looks_like_it_in_a_name_or_a_text_is_none(
    run_dir: RunDir, writer: JournalWriter
) -> None:
    writer.append(started(1.0))
    writer.append(Metric(2.0, '"]\n["finished",2.0,"failed"]', 0.5, 0))
    writer.append(Tags(3.0, {"x": '["finished",2.0,"failed"]'}))
    assert RunState(run_dir).update().status == "running"


def test_a_long_start_is_found_in_its_blob(run_dir: RunDir, writer: JournalWriter) -> None:
    writer.append(started(1.0, argv=["x" * 100_000]))
    state = RunState(run_dir).update()
    assert state.start is not None
    assert state.start.run.facts == {"argv": ["x" * 100_000]}


def test_garbage_and_a_torn_line_do_not_stop_it(run_dir: RunDir, writer: JournalWriter) -> None:
    writer.append(started(1.0))
    (segment,) = run_dir.journal.path.glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b'["finished",\n\xff\xff\n["finished",2.0,"exploded"]\n')
    writer.append(Tags(3.0, {"a": "b"}))
    with segment.open("ab") as file:
        file.write(b'["finished",4.0,"fai')
    state = RunState(run_dir).update()
    assert (state.status, state.tags) == ("running", {"a": "b"})
    with segment.open("ab") as file:
        file.write(b'led"]\n')
    assert state.update().status == "failed"


def test_a_start_without_what_it_must_have_is_none(run_dir: RunDir, writer: JournalWriter) -> None:
    whole = started(1.0)
    writer.append(Started(1.0, {**whole.info, "run": {"run_id": "r"}}))
    assert RunState(run_dir).update().start is None
    writer.append(whole)
    state = RunState(run_dir).update()
    assert state.start is not None
    assert state.start_count == 1
