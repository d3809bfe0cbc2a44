"""What somebody deleted or a disk damaged: the others are listed, and what is left is read."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from user_scripts import Script, view

import tracelet
from tracelet.core.run_directories import Unread
from tracelet.courier.view import read_view
from tracelet.errors import RunNotFoundError
from tracelet.journal.rundir import RunDir

ROOT = Path(".tracelet/default")
POINTS = 200


def logged(run_id: str) -> Path:
    with tracelet.start_logging(run_id=run_id, params={"lr": 0.1}) as exp:
        for iteration in range(POINTS):
            exp.log_metric("loss", iteration)
    assert exp.dir is not None
    return exp.dir


VIEWS: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "torn": lambda file: file.write_bytes(file.read_bytes()[:100]),
    "not UTF-8": lambda file: file.write_bytes(file.read_bytes().replace(b"default", b"d\xff")),
    "not ours": lambda file: file.write_text("[]"),
}


@pytest.mark.parametrize("damage", VIEWS)
def test_a_view_that_was_damaged_is_made_anew_by_whoever_lists_the_runs(damage: str) -> None:
    logged("other")
    directory = logged("r")
    before = view(directory)
    VIEWS[damage](directory / "run.json")
    assert {run.run_id for run in tracelet.runs()} == {"other", "r"}
    assert view(directory) == before


@pytest.mark.parametrize("damage", VIEWS)
def test_a_run_whose_view_was_damaged_is_found_and_goes_on(damage: str) -> None:
    directory = logged("r")
    VIEWS[damage](directory / "run.json")
    with pytest.raises(tracelet.TraceletError, match="exists"):
        tracelet.start_logging(run_id="r")
    with tracelet.start_logging(resume="r") as exp:
        exp.log_metric("loss", 0.5)
    VIEWS[damage](directory / "run.json")
    assert len(tracelet.load_run("r").metrics["loss"]) == POINTS + 1
    VIEWS[damage](directory / "run.json")
    assert len(tracelet.load_run(directory).metrics["loss"]) == POINTS + 1
    assert read_view(RunDir(directory)).status == "finished"


def emptied(journal: Path) -> None:
    for file in journal.iterdir():
        file.unlink()
    (journal / "host-1-0.jsonl").touch()


@pytest.mark.parametrize("lose", [shutil.rmtree, emptied])
def test_a_run_without_its_journal_is_left_out_and_said_once(
    lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    directory = logged("r")
    logged("other")
    lose(directory / "journal")
    assert [run.run_id for run in tracelet.runs()] == ["other"]
    (said,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert f"left out: {directory} holds no run" in said.getMessage()
    for read in (lambda: tracelet.load_run(directory), lambda: tracelet.load_run("r")):
        with pytest.raises(RunNotFoundError, match="there is no journal"):
            read()
    with pytest.raises(RunNotFoundError, match="there is no journal"):
        tracelet.start_logging(resume="r")


def test_nothing_is_said_of_a_run_that_is_just_being_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_dir = RunDir(tmp_path / "r")
    with Unread().skipping(run_dir):
        run_dir.create()
        run_dir.run_json.path.touch()
        raise RunNotFoundError("its journal had no beginning when it was read")
    assert not caplog.records


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize("torn", ['["metric",1,"lo', '["metric",1,"lo\n'])
def test_a_broken_line_at_the_end_is_counted_once(tmp_path: Path, torn: str, courier: str) -> None:
    text = """
    import os, pathlib, sys, tracelet
    exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
    exp.log_metric("loss", 0.5, 0)
    assert exp.flush(60)
    (segment,) = (exp.dir / "journal").glob("*.jsonl")
    with segment.open("a") as file:
        file.write(sys.argv[2])
    os.kill(os.getpid(), 9)
    """
    assert Script(tmp_path, text, courier, torn).wait() == -9
    for delivered in range(1, 4):
        run = tracelet.load_run(tmp_path / ".tracelet/default/r")
        assert (run.report.skipped, run.report["local"].delivered) == (1, delivered)
        run.set_user_properties({"late": delivered})


def test_a_damaged_property_hides_no_other(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    exp.set_user_properties(owner="ann")
    assert exp.dir is not None
    (segment,) = (exp.dir / "journal").glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b'["properties",1.0,{"team":{"valve":"ml"}}]\n')
    assert exp.stop()["local"].rejected == 1
    run = tracelet.load_run(exp.dir)
    assert {name: one.value for name, one in run.properties.items()} == {"owner": "ann"}
