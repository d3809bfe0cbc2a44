"""What the tests of the ClearML backend share: no settings from outside, and no network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from clearml_server import ClearmlServer

import tracelet
from tracelet.core.experiment import Experiment
from tracelet.courier.cursor import CursorFile

Start = Callable[..., Experiment]


def pytest_configure(config: pytest.Config) -> None:
    # The SDK's own, of its parser, break it where a warning is an error.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Nothing of the developer's: no account, no settings, and a closed port as the server."""
    for variable in list(os.environ):
        if variable.startswith(("TRACELET_", "CLEARML_", "TRAINS_")):
            monkeypatch.delenv(variable)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.setenv("CLEARML_API_HOST", "http://127.0.0.1:9")
    monkeypatch.chdir(home)
    yield
    if (exp := tracelet.get_active_experiment()) is not None:
        exp.stop("killed", wait=False)
    wait_for(lambda: not end_processes(tmp_path))


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a run that a worker process delivers to a session folder, unless told otherwise."""

    def start(name: str = "run", options: dict[str, Any] | None = None, **given: Any) -> Experiment:
        config = {
            "dir": tmp_path / "runs",
            "courier": "process",
            "capture": False,
            "system_metrics": False,
            "backends": {"clearml": {"offline": True} if options is None else options},
        }
        return tracelet.start_logging(
            name, **{"project": "vision", "backend": "clearml", "config": config, **given}
        )

    return start


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClearmlServer]:
    """A server that the SDK is configured for."""
    made = ClearmlServer()
    use_server(monkeypatch, made.url)
    yield made
    made.close()


def use_server(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Configure the SDK for a server."""
    for name in ("API", "WEB", "FILES"):
        monkeypatch.setenv(f"CLEARML_{name}_HOST", url)
    monkeypatch.setenv("CLEARML_API_ACCESS_KEY", "a" * 20)
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "b" * 40)


def wait_for(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain, last {found!r}"
        time.sleep(0.005)
    return found


def last_error(exp: Experiment) -> str | None:
    """Return what the worker says is wrong; without a reader that might be taken for a courier."""
    assert exp.dir is not None
    return CursorFile(exp.dir / "cursors", "clearml").load().last_error


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
