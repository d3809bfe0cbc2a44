"""The hooks that a plugin can implement. An entry point of the group ``tracelet`` names its module.

At run time this module imports only pluggy, so that a plugin costs nothing until it is used. The
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
def tracelet_register_harness() -> type[Any]:  # type: ignore[empty-body]
    """Return the backend's subclass of ``tracelet.testing.Harness``, for ``tracelet check``.

    Only a plugin that ships its harness needs this: in a checkout, ``tests/<name>_harness.py`` is
    found without it. Import the class inside the function: only that command calls it.
    """


@hookspec
def tracelet_capture() -> type[CaptureSource]:  # type: ignore[empty-body]
    """Return the class of a source of automatic capture; the setting ``capture`` has its ``name``.

    Called in the training process when a run begins. It must not import the library that the
    source captures.
    """


@hookspec(firstresult=True)
def tracelet_as_params(value: Any) -> Mapping[str, Any] | None:
    """Return the parameters of an object as a mapping, or None for a type that you do not handle.

    Called in the training process for types that tracelet does not handle; the first result wins.
    """


@hookspec
def tracelet_run_started(run: RunInfo) -> None:
    """Called when this process has started a run."""


@hookspec
def tracelet_run_finished(run: RunInfo, status: Status) -> None:
    """Called when a run of this process has stopped with ``status``."""
