"""The plugin is found by its entry point, and costs the training process no import of the SDK."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

from tracelet.backends.base import Backend
from tracelet.testing.harnesses import find_harness

ENTRY_POINT = entry_points(group="tracelet")["wandb"]


def test_the_entry_point_registers_a_backend_of_its_own_name() -> None:
    backend = ENTRY_POINT.load().tracelet_register_backend()

    assert issubclass(backend, Backend)
    assert backend.name == ENTRY_POINT.name == "wandb"


def test_the_hook_is_marked_for_tracelet() -> None:
    assert hasattr(ENTRY_POINT.load().tracelet_register_backend, "tracelet_impl")


def test_registering_does_not_import_the_sdk() -> None:
    script = (
        "import sys, tracelet_wandb; tracelet_wandb.tracelet_register_backend(); "
        "sys.exit('wandb' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_check_command_knows_how_it_is_read() -> None:
    from wandb_harness import WandbHarness

    assert type(find_harness("wandb")) is WandbHarness
