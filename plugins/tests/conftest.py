"""What the tests of all trackers share: no settings from outside, and nothing left running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from trackers import Trackers, wait_for

OF_OTHERS = ("TRACELET_", "WANDB_", "MLFLOW_", "CLEARML_")


def pytest_configure(config: pytest.Config) -> None:
    # The SDKs warn each other, and break where a warning is an error.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")
    for variable in list(os.environ):
        if variable.startswith(OF_OTHERS):
            del os.environ[variable]
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for everything; the processes of runs below it are ended."""
    path = tmp_path_factory.mktemp("together")
    yield path
    wait_for(lambda: not end_processes(path), 30)


@pytest.fixture(scope="session")
def trackers(tmp_path_factory: pytest.TempPathFactory) -> Trackers:
    """The stores of all trackers."""
    return Trackers(tmp_path_factory.mktemp("trackers"))


def end_processes(directory: Path) -> list[psutil.Process]:
    """End what was started in or for a directory; return those there were."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
            is_over = process.status() == psutil.STATUS_ZOMBIE
            if (
                process.pid != os.getpid()
                and not is_over
                and any(str(directory) in word for word in words)
            ):
                found.append(process)
                process.kill()
        except psutil.Error:
            continue
    return found
