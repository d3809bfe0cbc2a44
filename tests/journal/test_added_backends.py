"""A backend can be added to a run that was started without it; every reader then knows of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.journal.run_state import RunStart, RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import BackendAdded


@pytest.fixture
def run_dir() -> RunDir:
    with tracelet.start_logging("added", backend="local") as exp:
        exp.log_metric("loss", 0.5)
    assert isinstance(exp.dir, Path)
    return RunDir(exp.dir)


def add(run_dir: RunDir, name: str, **options: Any) -> None:
    writer = run_dir.writer()
    backend = {"name": name, "target": name, "options": options}
    writer.append(BackendAdded(time.time(), backend))
    writer.close()


def start_of(run_dir: RunDir) -> RunStart:
    start = RunState(run_dir).update().start
    assert start is not None
    return start


def names(run_dir: RunDir) -> list[str]:
    return [entry["name"] for entry in start_of(run_dir).backends]


def test_an_added_backend_comes_after_those_of_the_start(run_dir: RunDir) -> None:
    add(run_dir, "null")

    assert names(run_dir) == ["local", "null"]


def test_a_backend_of_the_start_is_not_added_again(run_dir: RunDir) -> None:
    add(run_dir, "local")

    assert names(run_dir) == ["local"]


def test_a_backend_is_added_while_the_run_is_followed(run_dir: RunDir) -> None:
    state = RunState(run_dir).update()
    add(run_dir, "null")
    state.update()
    add(run_dir, "other")

    start = state.update().start
    assert start is not None
    assert [entry["name"] for entry in start.backends] == ["local", "null", "other"]


def test_an_added_backend_survives_resumption(run_dir: RunDir) -> None:
    add(run_dir, "null")
    assert names(run_dir) == ["local", "null"]

    with tracelet.start_logging("added", backend="local", resume=run_dir.path.name) as exp:
        exp.log_metric("loss", 0.25)

    assert names(run_dir) == ["local", "null"]


def test_an_added_backend_changes_neither_status_nor_what_is_delivered(run_dir: RunDir) -> None:
    before = tracelet.load_run(run_dir.path)
    status, report = before.status, before.report
    add(run_dir, "null")

    run = tracelet.load_run(run_dir.path)
    assert run.status == status == "finished"
    assert run.report["local"] == report["local"]


def test_the_options_of_the_run_win_unless_they_were_redacted(run_dir: RunDir) -> None:
    add(run_dir, "other", uri="http://user:[redacted]@host", key="[redacted]", mode="a", more=1.5)

    options = start_of(run_dir).options("other", {"key": "secret", "mode": "b", "extra": True})

    assert options == {"key": "secret", "mode": "a", "more": 1.5, "extra": True}
    assert start_of(run_dir).options("local") == {}
    assert start_of(run_dir).options("unknown", {"a": 1}) == {"a": 1}
