"""A run can begin where Python itself lacks something: a command line, a working directory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tracelet
from tracelet.errors import RunNotFoundError, SettingsError


def test_a_python_without_a_command_line_logs_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys, "argv")

    with tracelet.start_logging(dir=tmp_path) as exp:
        exp.log_metric("loss", 0.5)

    assert exp.dir is not None
    run = tracelet.load_run(exp.dir)
    assert (run.name, run.facts["argv"], len(run.metrics["loss"])) == ("run", [], 1)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.mark.usefixtures("nowhere")
def test_a_run_needs_no_working_directory_if_it_is_told_its_own(tmp_path: Path) -> None:
    with tracelet.start_logging("run", dir=tmp_path) as exp:
        exp.log_metric("loss", 0.5)

    assert exp.dir is not None
    run = tracelet.load_run(exp.dir)
    run.set_user_properties(reviewed=True)
    assert run.flush()
    assert (run.facts["cwd"], len(run.metrics["loss"])) == (None, 1)
    assert [one.run_id for one in tracelet.runs(dir=tmp_path)] == [exp.run_id]
    assert tracelet.load_run(exp.run_id, dir=tmp_path).dir == exp.dir


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("settings", [{}, {"dir": "runs"}, {"dir": "/runs", "journal_dir": "here"}])
def test_a_path_that_is_relative_to_nothing_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"working directory was deleted: give an absolute"):
        tracelet.start_logging("run", **settings)


def test_the_home_of_nobody_is_refused_and_has_no_runs(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'dir' \(argument\) must be a path, not '~nobody-at"):
        tracelet.start_logging("run", dir="~nobody-at-all/runs")
    assert tracelet.runs(dir="~nobody-at-all/runs") == []
    with pytest.raises(RunNotFoundError, match="~nobody-at-all"):
        tracelet.load_run("~nobody-at-all")
