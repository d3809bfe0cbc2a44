"""Backends that fail on purpose: the one under test, with faults around its calls.

``tracelet.testing.faults:Faulty`` is a subclass of the backend that ``CONTRACT_BACKEND``
names; what it has done already is in the directory ``CONTRACT_MARKS``, because the process
that does it may not live to tell.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tracelet.backends.base import ArtifactFile, Backend
from tracelet.backends.registry import resolve
from tracelet.errors import TransientError
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status

TARGET = "tracelet.testing.faults:Faulty"
BACKEND, MARKS, BOUND = "CONTRACT_BACKEND", "CONTRACT_MARKS", "CONTRACT_BOUND"


class Faults:
    """What goes wrong, and how often it did.

    Args:
        marks: the directory that remembers it.
        alone: whether the backend has a process of its own, which can be ended.
    """

    def __init__(self, marks: Path, *, alone: bool) -> None:
        self._marks = marks
        self.alone = alone

    def first(self, what: str, times: int = 1) -> bool:
        """Return whether this is among the first ``times`` occasions."""
        self._marks.mkdir(parents=True, exist_ok=True)
        for number in range(times):
            try:
                (self._marks / f"{what}-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False

    def fail(self, what: str, times: int = 1) -> None:
        """Fail the first ``times`` occasions, as a busy server would."""
        if self.first(what, times):
            raise TransientError(f"{what} fails on purpose")


def faulty(  # noqa: C901 - five methods
    base: type[Backend], faults: Faults, *, bound: float | None = None
) -> type[Backend]:
    """Return a subclass of a backend that fails, where the names of what it is given say so.

    Args:
        base: the backend under test.
        faults: what has gone wrong before.
        bound: the time bound of a call, in seconds; None: that of ``base``.
    """
    declared = base.capabilities
    if bound is not None:
        declared = msgspec.structs.replace(declared, time_bound=bound)
    if faults.alone:  # what hangs, or dies, must do so in a process of its own
        declared = msgspec.structs.replace(declared, lightweight=False)

    class Faulty(base):  # type: ignore[misc, valid-type]
        name = base.name
        capabilities = declared

        def open(self, run: RunInfo) -> RunLink:
            if run.run_id.startswith("faults"):
                faults.fail("open")
            link: RunLink = super().open(run)
            if run.run_id.startswith("faults"):
                faults.fail("open-and-its-answer")
            return link

        def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
            names = {point.name for point in batch}
            if "fault/poison" in names:
                raise ValueError("this point is refused on purpose")
            if "fault/fails" in names:
                faults.fail("log_metrics", 2)
            if "fault/hangs" in names and faults.first("hang"):
                threading.Event().wait(3600 if faults.alone else 0.2)
            super().log_metrics(batch)
            if "fault/dies" in names and faults.alone and faults.first("die"):
                super().flush()
                os._exit(7)

        def log_params(self, params: Mapping[str, ParamValue]) -> None:
            if "fault/poison" in params:
                raise ValueError("this parameter is refused on purpose")
            if "fault/fails" in params:
                faults.fail("log_params")
            super().log_params(params)

        def log_artifact(self, artifact: ArtifactFile) -> None:
            if artifact.path == "fault/fails.txt":
                faults.fail("log_artifact")
            super().log_artifact(artifact)

        def close(self, status: Status) -> None:
            faults.fail("close")
            super().close(status)

    return Faulty


def __getattr__(name: str) -> Any:
    if name != "Faulty" or BACKEND not in os.environ:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    base = resolve(os.environ[BACKEND]).cls
    bound = float(os.environ[BOUND]) if BOUND in os.environ else None
    if bound is not None:  # the SDK's import is not what the short bound is for
        for module in base.requires:
            importlib.import_module(module)
    return faulty(base, Faults(Path(os.environ[MARKS]), alone=True), bound=bound)
