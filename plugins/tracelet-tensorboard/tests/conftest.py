"""What the tests of the TensorBoard backend share: a folder, runs in it, and their workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import tracelet
from tracelet.core.experiment import Experiment


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for variable in list(os.environ):
        if variable.startswith("TRACELET_"):
            monkeypatch.delenv(variable)
    # A run may last long enough to get some, and what is read back is compared exactly.
    monkeypatch.setenv("TRACELET_SYSTEM_METRICS", "off")
    monkeypatch.chdir(tmp_path)
    yield
    if (exp := tracelet.get_active_experiment()) is not None:
        exp.stop("killed", wait=False)


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def start(tmp_path: Path, log_dir: Path) -> Callable[..., Experiment]:
    """Start a run that a worker process delivers to TensorBoard."""

    def start(name: str = "run", **settings: Any) -> Experiment:
        config = {
            "dir": tmp_path / "runs",
            "courier": "process",
            "backends": {"tensorboard": {"log_dir": str(log_dir)}},
        }
        return tracelet.start_logging(
            name, **{"project": "p", "backend": "tensorboard", "config": config, **settings}
        )

    return start


def folder_of(exp: Experiment) -> Path:
    """Return where the run is in TensorBoard."""
    wait_for(lambda: "tensorboard" in exp.links)
    return Path(exp.links["tensorboard"].id)


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
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
