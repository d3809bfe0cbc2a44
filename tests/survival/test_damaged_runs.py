"""What somebody deleted or a disk damaged: the others are listed, and what is left is read."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from backends_for_tests import Light, Recorder, stored, target
from user_scripts import TESTS, Script, journaled, view

import tracelet
from tracelet.core.run_directories import skip_unreadable
from tracelet.courier.view import read_view
from tracelet.errors import RunNotFoundError
from tracelet.journal.rundir import RunDir
from tracelet.records import DELIVERABLE, Metric

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
    with skip_unreadable(run_dir):
        run_dir.create()
        run_dir.run_json.touch()
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


SEGMENTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "three bytes": lambda packed: packed[:3],
    "the half": lambda packed: packed[: len(packed) // 2],
    "without its end": lambda packed: packed[:-8],
    "header": lambda packed: b"??" + packed[2:],
    "a byte": lambda packed: packed[:-99] + bytes((packed[-99] ^ 255,)) + packed[-98:],
    "checksum": lambda packed: packed[:-8] + b"????" + packed[-4:],
    "a larger size": lambda packed: packed[:-1] + b"?",
    "a smaller size": lambda packed: packed[:-4] + (99).to_bytes(4, "little"),
}


@pytest.fixture(params=SEGMENTS)
def damaged(request: pytest.FixtureRequest) -> Path:
    """The directory of a run that was damaged when it was compressed already."""
    directory = logged("r")
    (segment,) = (directory / "journal").glob("*.gz")
    segment.write_bytes(SEGMENTS[request.param](segment.read_bytes()))
    return directory


def test_a_damaged_segment_is_read_as_far_as_it_can_be(
    damaged: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    run = tracelet.load_run(damaged)
    assert (run.status, run.report["local"].delivered) == ("finished", POINTS + 1)
    values = [point.value for point in run.metrics.get("loss", [])]
    damage = request.node.callspec.params["damaged"]
    if damage in ("without its end", "checksum", "a larger size", "a smaller size"):
        assert values == [float(number) for number in range(POINTS)]
    elif damage in ("the half", "a byte"):  # from there on, bytes may be other ones
        assert 0 < len(values) <= POINTS
        assert values[: POINTS // 4] == [float(number) for number in range(POINTS // 4)]
    else:
        assert values == []
    (said,) = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert ".jsonl.gz is damaged" in said
    reader = RunDir(damaged).reader()
    assert [one.name for one in reader.records() if isinstance(one, Metric)].count("loss") == len(
        values
    )
    assert reader.skipped >= 1
    assert [one.run_id for one in tracelet.runs()] == ["r"]


@pytest.mark.parametrize("backend", [Recorder, Light])
def test_what_can_be_read_of_a_damaged_run_is_replayed(
    damaged: Path, tmp_path: Path, backend: type[Recorder]
) -> None:
    readable = len(
        [one for one in journaled(damaged, damaged=POINTS) if isinstance(one, DELIVERABLE)]
    )
    command = [sys.executable, "-m", "tracelet", "replay", damaged, "--backend", target(backend)]
    variable = f"TRACELET_BACKENDS__{backend.name.upper()}__STORE"
    environment = os.environ | {variable: str(tmp_path), "PYTHONPATH": str(TESTS)}
    subprocess.run(command, env=environment, check=True, timeout=120)
    assert tracelet.load_run(damaged).report[backend.name].delivered == readable
    if readable:  # else there is nothing to begin with
        assert stored(tmp_path, backend.name, "close") == ["finished"]


@pytest.mark.parametrize("damage", [b"", b"?"])
def test_lines_of_life_that_are_damaged_are_read_from_the_segment(damage: bytes) -> None:
    directory = logged("r")
    (kept,) = (directory / "journal").glob("*.life")
    kept.write_bytes(damage + kept.read_bytes()[len(damage) + 1 :])
    assert tracelet.load_run(directory).status == "finished"


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
