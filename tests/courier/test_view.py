"""``run.json`` is derived from the journal: what became of the file, no run is lost with it."""

from __future__ import annotations

import msgspec
import pytest

import tracelet
from tracelet.courier.view import read_view, refresh_view, write_view
from tracelet.errors import RunNotFoundError
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir


@pytest.fixture
def run_dir() -> RunDir:
    with tracelet.start_logging("viewed", "examples", tags={"team": "ml"}) as exp:
        exp.log_metric("loss", 0.5)
    assert exp.dir is not None
    return RunDir(exp.dir)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"\0" * 100])
def test_a_torn_view_is_made_anew(run_dir: RunDir, content: bytes) -> None:
    whole = msgspec.json.decode(run_dir.run_json.path.read_bytes())
    run_dir.run_json.path.write_bytes(content)

    assert [run.dir for run in tracelet.runs("examples")] == [run_dir.path]
    assert msgspec.json.decode(run_dir.run_json.path.read_bytes()) == whole


def test_one_run_is_read_in_spite_of_a_torn_view(run_dir: RunDir) -> None:
    run_dir.run_json.path.write_bytes(b"{")

    run = tracelet.load_run(run_dir.path)

    assert (run.name, run.project, run.status) == ("viewed", "examples", "finished")
    assert run.tags == {"team": "ml"}


def test_a_run_that_was_killed_once_its_ending_was_written_is_shown_as_ended(
    run_dir: RunDir,
) -> None:
    view = msgspec.json.decode(run_dir.run_json.path.read_bytes())
    view |= {"status": "running", "ended": None, "report": None}
    run_dir.run_json.path.write_bytes(msgspec.json.encode(view))

    tracelet.load_run(run_dir.path)

    shown = read_view(run_dir)
    assert (shown.status, shown.ended is None) == ("finished", False)
    assert shown.report is not None


def test_a_view_without_a_journal_is_no_run(run_dir: RunDir) -> None:
    for file in run_dir.journal.path.iterdir():
        file.unlink()
    run_dir.run_json.path.write_bytes(b"{}")

    assert tracelet.runs() == []
    with pytest.raises(RunNotFoundError):
        tracelet.load_run(run_dir.path)


def test_what_only_the_training_can_count_is_kept(run_dir: RunDir) -> None:
    state = RunState(run_dir).update()
    report = read_view(run_dir).report
    assert report is not None
    write_view(run_dir, state, msgspec.structs.replace(report, lost=3, redacted=2))

    refresh_view(run_dir, state)

    kept = read_view(run_dir).report
    assert kept is not None
    assert (kept.lost, kept.redacted) == (3, 2)
    assert kept.backends == report.backends
