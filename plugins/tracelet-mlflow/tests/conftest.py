"""What the tests of the MLflow backend share: a folder, runs in it, and a real server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow_live import PATIENCE, Server

import tracelet
from tracelet.core.experiment import Experiment

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"


def pytest_configure(config: pytest.Config) -> None:
    # MLflow and SQLAlchemy warn each other, and break where a warning is an error.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for variable in list(os.environ):
        if variable.startswith("TRACELET_") or variable == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(variable)
    # A run may last long enough to get some, and what is read back is compared exactly.
    monkeypatch.setenv("TRACELET_SYSTEM_METRICS", "off")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    yield
    if (exp := tracelet.get_active_experiment()) is not None:
        exp.stop("killed", wait=False)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that MLflow has made, which takes it seconds."""
    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    MlflowClient(f"sqlite:///{file.as_posix()}")
    return file


@pytest.fixture
def runs(tmp_path: Path, database: Path) -> Path:
    """The directory of all runs, with a database where a run looks for it."""
    directory = tmp_path / "runs"
    directory.mkdir()
    shutil.copyfile(database, directory / "mlflow.db")
    return directory


@pytest.fixture
def uri(runs: Path) -> str:
    """The database that a run has when nothing else is said."""
    return f"sqlite:///{runs.as_posix()}/mlflow.db"


@pytest.fixture
def start(runs: Path) -> Callable[..., Experiment]:
    """Start a run that goes to MLflow; ``options`` are the backend's.

    A thread delivers it unless the test is about processes: those import MLflow anew.
    """

    def start(name: str = "run", options: dict[str, Any] | None = None, **settings: Any) -> Any:
        config = {
            "dir": runs,
            "courier": "thread",
            "drain_timeout": PATIENCE,
            "backends": {"mlflow": options or {}},
        }
        return tracelet.start_logging(
            name, **{"project": "p", "backend": "mlflow", "config": config, **settings}
        )

    return start


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
