"""Without an account or a network nothing is lost, nothing waits for long, and it says why."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import end_processes, run_below, wait_for
from wandb_reader import runs_below

import tracelet
from tracelet.core.experiment import Experiment
from tracelet.courier.cursor import CursorFile

Start = Callable[..., Experiment]


def last_error(exp: Experiment) -> str | None:
    assert exp.dir is not None
    return tracelet.load_run(exp.dir).report["wandb"].last_error


def test_without_an_account_the_data_waits_and_the_line_that_logs_in_is_said(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp = start(options={"mode": "online"})
    exp.log_metric("loss", 1.0, 0)
    wait_for(lambda: "wandb login" in (last_error(exp) or ""))
    report = exp.stop(timeout=0.1)["wandb"]
    assert (report.pending, report.delivered) == (1, 0)
    assert "wandb login" in str(report)
    assert exp.dir is not None
    assert runs_below(folder) == []


def test_a_server_that_is_not_there_is_told_from_no_account_in_time(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    exp = start(options={"mode": "online"})
    exp.log_metric("loss", 1.0, 0)
    assert exp.dir is not None
    cursor = CursorFile(exp.dir / "cursors", "wandb")
    wait_for(lambda: cursor.load().failures >= 2)  # the second try finds nothing of the first
    assert (cursor.load().last_error or "").startswith("TransientError: CommError: ")
    assert exp.stop(timeout=0.1)["wandb"].pending == 1


def test_a_run_that_waits_can_go_to_an_offline_file(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp = start(options={"mode": None})
    exp.log_metric("loss", 1.0, 0)
    wait_for(lambda: last_error(exp))
    exp.stop(timeout=0.1)
    monkeypatch.setenv("WANDB_MODE", "offline")
    run_dir = exp.dir
    assert run_dir is not None
    # They would go on trying with what they were given.
    wait_for(lambda: not end_processes(run_dir))
    command = [sys.executable, "-m", "tracelet", "sync", str(run_dir)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [point.value for point in run_below(folder).points()] == [1.0]


def test_a_server_that_never_answers_is_given_up_in_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connections
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
        exp = start(options={"mode": "online"})
        exp.log_metric("loss", 1.0, 0)
        wait_for(lambda: last_error(exp))
        assert "Timed out" in (last_error(exp) or "")
        assert exp.stop(timeout=0.1)["wandb"].pending == 1
