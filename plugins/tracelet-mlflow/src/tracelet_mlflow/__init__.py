"""Registers the MLflow backend; importing the SDK here would slow every start."""

from __future__ import annotations

from tracelet.backends.base import Backend
from tracelet.hookspecs import hookimpl


@hookimpl
def tracelet_register_backend() -> type[Backend]:
    from tracelet_mlflow.backend import MlflowBackend

    return MlflowBackend
