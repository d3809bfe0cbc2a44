"""What the tests of the W&B backend share: no settings from outside, and no network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from wandb_reader import OfflineRun, runs_below

import tracelet
from tracelet.core.experiment import Experiment


@pytest.fixture(autouse=True)
def no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Nothing of the developer's: no account, no W&B settings, and a closed port as its server."""
    for variable in list(os.environ):
        if variable.startswith(("TRACELET_", "WANDB_")):
            monkeypatch.delenv(variable)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(home)
    yield
    if (exp := tracelet.get_active_experiment()) is not None:
        exp.stop("killed", wait=False)
    wait_for(lambda: not end_processes(tmp_path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where W&B writes."""
    return tmp_path / "tracker"


@pytest.fixture
def start(tmp_path: Path, folder: Path) -> Callable[..., Experiment]:
    """Start a run that a worker process delivers to an offline W&B."""

    def start(name: str = "run", options: dict[str, Any] | None = None, **given: Any) -> Experiment:
        wandb = {"mode": "offline", "dir": str(folder), **(options or {})}
        config = {
            "dir": tmp_path / "runs",
            "courier": "process",
            "capture": False,
            "system_metrics": False,
            "backends": {
                "wandb": {key: value for key, value in wandb.items() if value is not None}
            },
        }
        return tracelet.start_logging(
            name, **{"project": "p", "backend": "wandb", "config": config, **given}
        )

    return start


def finished(exp: Experiment, **how: Any) -> None:
    """Stop a run, all of which must be delivered."""
    report = exp.stop(**how)["wandb"]
    assert (report.pending, report.rejected) == (0, 0), report


def run_below(folder: Path) -> OfflineRun:
    """The one run below a folder."""
    found = runs_below(folder)
    assert len(found) == 1, [str(one.file) for one in found]
    return found[0]


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain, last {found!r}"
        time.sleep(0.005)
    return found


def end_processes(directory: Path) -> list[psutil.Process]:
    """End the couriers and workers of the runs below a directory; return those there were."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if "courier" in words and any(str(directory) in word for word in words):
                found.append(process)
                process.kill()
        except psutil.Error:
            continue
    return found


def worker_of(run_dir: Path) -> psutil.Process | None:
    """Return the worker process of a run, if there is one now."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if str(run_dir) in command and "--backend" in command:
            return process
    return None
