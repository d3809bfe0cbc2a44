"""A run is where it is found: a copy, a moved directory and a renamed project are read as such."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from user_scripts import Script, local_points
from waiting import eventually

import tracelet
from tracelet.courier.cursor import CursorFile
from tracelet.journal.rundir import RunDir

KILLED = """
import os, tracelet
exp = tracelet.start_logging(run_id="r", params={"lr": 0.1})
for iteration in range(5000):
    exp.log_metric("loss", 0.5, iteration)
os.kill(os.getpid(), 9)
"""
ALL = 5001
"""Records of it: its points, and its parameters."""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A run of which the journal has more than the local files."""
    assert Script(tmp_path, KILLED).wait() == -9
    return tmp_path / ".tracelet/default/r"


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_reading_a_copy_leaves_the_original_alone(killed: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(killed, tmp_path / "copy")
    before = files(killed)
    assert tracelet.load_run(copy).report["local"].pending, "a copy may be anybody's"
    assert files(killed) == files(copy) == before
    RunDir(copy).claim()
    run = tracelet.load_run(copy)
    assert files(killed) == before
    assert local_points(copy) == list(range(5000))
    assert run.report["local"].delivered == ALL
    assert run.report["local"].link.url == copy.as_uri()


def test_a_killed_run_is_read_where_it_was_moved_to(killed: Path, tmp_path: Path) -> None:
    moved = killed.rename(tmp_path / "moved")
    report = tracelet.load_run(moved).report["local"]
    assert (report.delivered, report.rejected, report.pending) == (ALL, 0, 0)
    assert local_points(moved) == list(range(5000))
    assert not killed.exists()


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize("comes_back", [False, True])
def test_training_goes_on_when_its_directory_is_moved(
    tmp_path: Path, courier: str, comes_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # Nothing is waited for that cannot come.
    exp = tracelet.start_logging(run_id="r", courier=courier, config={"drain_timeout": 10_000})
    assert exp.dir is not None
    exp.log_metric("loss", 0.5, 0)
    assert exp.flush(60)
    moved = exp.dir.rename(tmp_path / "moved")
    (tmp_path / "weights").touch()
    for iteration in range(1, 100):
        exp.log_metric("loss", 0.5, iteration)
        exp.log_artifact(tmp_path / "weights")
        assert not exp.flush(0)
    assert not exp.dir.exists(), "nobody makes a part of it anew"
    if comes_back:
        moved = moved.rename(exp.dir)
    report = exp.stop()
    assert report.lost == 99, "the artifacts"
    said = [one.getMessage() for one in caplog.records if one.name == "tracelet.journal.writer"]
    assert sum(f"not at {exp.dir} any more" in message for message in said) == 1
    assert len(said) == 2, "and that the journal takes no files"
    assert report["local"].delivered == (100 if comes_back else 0)
    run = tracelet.load_run(moved)
    assert (run.status, run.report["local"].delivered, run.report.lost) == ("finished", 100, 99)
    assert local_points(moved) == list(range(100))


def test_a_run_of_a_renamed_project_takes_properties(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r", project="old") as exp:
        for iteration in range(10):
            exp.log_metric("loss", 0.5, iteration)
    assert exp.dir is not None
    project = exp.dir.parent.rename(exp.dir.parent.with_name("new"))
    run = tracelet.load_run(project / "r")
    run.set_user_properties(note=1)
    assert run.flush()
    report = run.report["local"]
    assert (report.accepted, report.delivered, report.rejected) == (11, 11, 0)
    assert b"note" in (project / "r/properties.json").read_bytes()
    assert not exp.dir.parent.exists()


def test_local_files_that_cannot_be_written_wait_and_reject_nothing(
    tmp_path: Path, quick_retries: None
) -> None:
    exp = tracelet.start_logging(run_id="r")
    exp.log_metric("loss", 0.5, 0)
    assert exp.flush(60)
    assert exp.dir is not None
    (exp.dir / "metrics.jsonl").rename(exp.dir / "kept")
    # What it raises to open a directory is no more the record's fault.
    (exp.dir / "metrics.jsonl").symlink_to(exp.dir)
    exp.log_metric("loss", 0.5, 1)
    cursor = CursorFile(exp.dir / "cursors", "local")
    eventually(lambda: "a link" in str(cursor.load().last_error))
    (exp.dir / "kept").rename(exp.dir / "metrics.jsonl")  # in one step: it is tried all the time
    report = exp.stop()
    assert (report["local"].delivered, report["local"].rejected) == (2, 0)
    assert local_points(exp.dir) == [0, 1]
