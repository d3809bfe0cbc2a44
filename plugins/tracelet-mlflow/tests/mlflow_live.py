"""Real processes for the tests: an MLflow server, and the workers of a run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tracelet.core.experiment import Experiment
from tracelet.courier.report import BackendReport, make_report
from tracelet.journal.rundir import RunDir

PATIENCE = 90.0
"""Seconds that a condition may take to become true: two cores, shared, import MLflow slowly."""


class Server:
    """A real ``mlflow server`` on loopback, with a SQLite database, that passes artifacts on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: psutil.Popen | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
            "--backend-store-uri": f"sqlite:///{self.folder.as_posix()}/server.db",
            "--artifacts-destination": (self.folder / "artifacts").as_uri(),
        }
        command = [sys.executable, "-m", "mlflow", "server"]
        for option in options.items():
            command += option
        with (self.folder / "server.log").open("ab") as log:
            self._process = psutil.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        wait_for(self._answers)

    def stop(self) -> None:
        """Kill it and what it has started."""
        if self._process is not None:
            family = [*self._process.children(recursive=True), self._process]
            for process in family:
                process.kill()
            psutil.wait_procs(family, timeout=PATIENCE)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


def worker_of(exp: Experiment) -> psutil.Process | None:
    """Return the worker process of a run, if there is one now."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if str(exp.dir) in command and "--backend" in command:
            return process
    return None


def report_of(exp: Experiment) -> BackendReport:
    """Return what became of a run's records so far."""
    assert exp.dir is not None
    return make_report(RunDir(exp.dir), ["mlflow"])["mlflow"]
