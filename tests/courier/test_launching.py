"""Starting the courier process where that is not easy: training starts and goes on all the same."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from user_scripts import local_points

import tracelet
from tracelet.courier.messages import WAKE, WorkerConfig, send, start_process
from tracelet.journal.rundir import RunDir


def test_what_python_ignores_in_its_path_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [Path("/somewhere"), b"/elsewhere", *sys.path])
    with tracelet.start_logging(courier="process") as exp:
        exp.log_metric("loss", 0.5, 0)
    assert local_points(exp.dir) == [0]


def test_the_working_directory_can_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    exp = tracelet.Experiment(dir=tmp_path / "runs", courier="process")
    gone.rmdir()
    with exp:
        exp.log_metric("loss", 0.5, 0)
    assert local_points(exp.dir) == [0]
    os.chdir(tmp_path)


def test_without_an_executable_threads_deliver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.warns(tracelet.TraceletWarning, match=r"sys\.executable"):
        exp = tracelet.start_logging(courier="process")
    exp.log_metric("loss", 0.5, 0)
    assert exp.stop().complete


def test_a_courier_that_cannot_be_started_is_said_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, quick_retries: None, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        exp = tracelet.start_logging(courier="process")
        exp.log_metric("loss", 0.5, 0)
        assert not exp.flush(0.2)
    said = [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    assert [entry.getMessage().partition(":")[0] for entry in said] == ["no courier can be started"]
    assert exp.stop().complete
    assert local_points(exp.dir) == [0]


def test_a_courier_that_is_stopped_holds_up_nobody_who_wakes_it(tmp_path: Path) -> None:
    process = start_process(RunDir(tmp_path), WorkerConfig())
    assert process.stdin is not None
    try:
        process.send_signal(signal.SIGSTOP)
        for _ in range(100_000):  # more than a pipe holds
            send(process, WAKE)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
