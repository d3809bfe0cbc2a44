"""The harness of MLflow: a SQLite database, read with MLflow's own client."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mlflow import MlflowClient
from mlflow_reader import read

from tracelet import Run
from tracelet.testing import Harness, ReadBack


class MlflowHarness(Harness):
    """The backend ``mlflow``, with a database in one file."""

    backend: ClassVar[str] = "mlflow"

    def uri(self, folder: Path) -> str:
        """Return the address of the store."""
        return f"sqlite:///{folder.as_posix()}/mlflow.db"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"tracking_uri": self.uri(folder)}

    def prepare(self, folder: Path) -> None:
        """Make the database, which takes MLflow some seconds."""
        MlflowClient(self.uri(folder))

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        return read(self.uri(folder), run.links[self.backend].id)
