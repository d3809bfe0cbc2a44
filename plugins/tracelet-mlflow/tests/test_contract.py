"""The MLflow backend keeps the contract of all backends, with a database and with a server."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from mlflow_harness import MlflowHarness
from mlflow_live import Server

from tracelet.testing import BackendContract


class TestMlflow(MlflowHarness, BackendContract):
    """A SQLite database, read back with ``MlflowClient``."""

    hang_bound: ClassVar[float] = 10.0
    """Importing MLflow is part of ``open``."""


class TestMlflowServer(MlflowHarness, BackendContract):
    """A real ``mlflow server`` on loopback, which passes artifacts on."""

    hang_bound: ClassVar[float] = 10.0
    many_points: ClassVar[int] = 20_000
    large_size: ClassVar[int] = 50_000_000
    server: ClassVar[Server]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls, server: Server) -> None:
        cls.server = server

    def uri(self, folder: Path) -> str:
        return self.server.uri

    def prepare(self, folder: Path) -> None:
        pass
