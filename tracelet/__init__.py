"""tracelet: log an experiment once, in any number of trackers.

Importing it costs milliseconds: what is rarely used is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelet.capture import watch
from tracelet.core.experiment import Experiment
from tracelet.errors import DamageWarning, TraceletError, TraceletWarning
from tracelet.interface import get_active_experiment, start_logging, stop_logging
from tracelet.records import MetricPoint, RunInfo, RunLink
from tracelet.settings import ExperimentConfig

if TYPE_CHECKING:
    from tracelet import sweep
    from tracelet.backends.base import Backend, Capabilities, Support
    from tracelet.core.run import Run, load_run, runs
    from tracelet.courier.report import BackendReport, DeliveryReport
    from tracelet.hookspecs import hookimpl
    from tracelet.sweep.calling import bind
    from tracelet.sweep.sweep import Sweep
    from tracelet.sweep.values import DynamicValue

    __version__: str

_LATER = {
    "Backend": "tracelet.backends.base",
    "BackendReport": "tracelet.courier.report",
    "Capabilities": "tracelet.backends.base",
    "DeliveryReport": "tracelet.courier.report",
    "DynamicValue": "tracelet.sweep.values",
    "Run": "tracelet.core.run",
    "Support": "tracelet.backends.base",
    "Sweep": "tracelet.sweep.sweep",
    "bind": "tracelet.sweep.calling",
    "hookimpl": "tracelet.hookspecs",
    "load_run": "tracelet.core.run",
    "runs": "tracelet.core.run",
}

__all__ = [
    "Backend",
    "BackendReport",
    "Capabilities",
    "DamageWarning",
    "DeliveryReport",
    "DynamicValue",
    "Experiment",
    "ExperimentConfig",
    "MetricPoint",
    "Run",
    "RunInfo",
    "RunLink",
    "Support",
    "Sweep",
    "TraceletError",
    "TraceletWarning",
    "__version__",
    "bind",
    "get_active_experiment",
    "hookimpl",
    "load_run",
    "runs",
    "start_logging",
    "stop_logging",
    "sweep",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("tracelet")
    if name == "sweep":
        return importlib.import_module("tracelet.sweep")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'tracelet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


watch.begin()
