"""What every test starts from: a clean environment, a directory of its own, and no run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from waiting import eventually

from tracelet.core.active import active
from tracelet.courier import client, retrying

# Who is started in the background has SIGINT ignored, and so have the scripts of the tests then.
signal.signal(signal.SIGINT, signal.default_int_handler)

RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


@pytest.fixture(autouse=True)
def clean_start(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A working directory of the test's own; afterwards no run and no process is left."""
    for variable in list(os.environ):
        if variable.startswith("TRACELET_") or variable in RANKS:
            monkeypatch.delenv(variable)
    # On a busy machine any run may last long enough to get some, and what is counted is exact.
    monkeypatch.setenv("TRACELET_SYSTEM_METRICS", "off")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    os.chdir(tmp_path.parent)
    while (experiment := active()) is not None:
        experiment.stop(wait=False)
    end_processes_below(tmp_path)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds where seconds are waited after a failure, here and in the couriers."""
    monkeypatch.setattr(retrying, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(retrying, "LONGEST_SECONDS", 0.2)
    monkeypatch.setattr(client, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setenv("QUICK_RETRIES", "1")  # read by backends_for_tests


def end_processes_below(directory: Path) -> None:
    """End the couriers and scripts of a test: their command lines name its directory."""
    left = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or ()
        if process.pid != os.getpid() and any(str(directory) in word for word in command):
            left.append(process)
            process.kill()
    eventually(lambda: not any(map(is_at_work, left)))


def is_at_work(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that has may still be waited for by its parent."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
