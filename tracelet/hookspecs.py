"""What a plugin can provide; its module is named by an entry point of the group ``tracelet``.

Nothing is imported here at run time but pluggy, so a plugin costs nothing until it is used. The
entry point of a backend has the backend's name: ``[project.entry-points.tracelet] mlflow = "pkg"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from tracelet.backends.base import Backend
    from tracelet.capture.base import CaptureSource
    from tracelet.records import RunInfo, Status
    from tracelet.testing.harness import Harness

PROJECT = "tracelet"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""


@hookspec
def tracelet_register_backend() -> type[Backend]:  # type: ignore[empty-body]
    """Return the class of the backend; its ``name`` is the name of the entry point.

    The tracker's SDK must not be imported by this call: it runs in the training process.
    """


@hookspec
def tracelet_register_harness() -> type[Harness]:  # type: ignore[empty-body]
    """Return how the backend's tracker is read back, so that ``tracelet check`` can check it.

    Only for plugins that ship this: in a checkout, ``tests/<name>_harness.py`` is found without.
    Import the class inside of the function: only that command calls it.
    """


@hookspec
def tracelet_capture() -> type[CaptureSource]:  # type: ignore[empty-body]
    """Return the class of a source of automatic capture; ``capture`` names it by its ``name``.

    Called in the training process when a run begins, so a library that is captured must not be
    imported by this call.
    """


@hookspec(firstresult=True)
def tracelet_as_params(value: Any) -> Mapping[str, Any] | None:
    """Make an object of a foreign type a mapping of parameters, or return None.

    Called in the training process for objects that tracelet does not know; the first result wins.
    """


@hookspec
def tracelet_run_started(run: RunInfo) -> None:
    """A run was started by this process."""


@hookspec
def tracelet_run_finished(run: RunInfo, status: Status) -> None:
    """A run of this process was stopped with ``status``."""
