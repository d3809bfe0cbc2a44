"""The plugin is found by its entry point, and costs the training process no import of the SDK."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

from tracelet.backends.base import Backend

ENTRY_POINT = entry_points(group="tracelet")["mlflow"]


def test_the_entry_point_registers_a_backend_of_its_own_name() -> None:
    backend = ENTRY_POINT.load().tracelet_register_backend()

    assert issubclass(backend, Backend)
    assert backend.name == ENTRY_POINT.name == "mlflow"


def test_the_hook_is_marked_for_tracelet() -> None:
    assert hasattr(ENTRY_POINT.load().tracelet_register_backend, "tracelet_impl")


def test_registering_does_not_import_the_sdk() -> None:
    script = (
        "import sys, tracelet_mlflow; tracelet_mlflow.tracelet_register_backend(); "
        "sys.exit('mlflow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
