"""Which experiment is the active one: of this context, else of this process, else of the parent.

A thread or task that started an experiment has it as its own; every other one sees the process's.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment

RUN_DIR_VARIABLE = "TRACELET_RUN_DIR"
"""How child processes, forked or spawned, find the run."""

_of_context: ContextVar[Experiment | None] = ContextVar("tracelet_experiment", default=None)
_of_process: list[Experiment] = []


def active() -> Experiment | None:
    """Return the active experiment, or None."""
    mine = _of_context.get()
    if mine is not None and mine.is_running:
        return mine
    return next((one for one in reversed(_of_process) if one.is_running), None)


def running_in(path: str) -> Experiment | None:
    """Return the experiment of this process, or from before a fork, that logs to a run."""
    found = (one for one in reversed(_of_process) if one.is_running and str(one.dir) == path)
    return next(found, None)


def activate(experiment: Experiment) -> None:
    """Make an experiment the active one of this context and of the process."""
    _of_context.set(experiment)
    _of_process[:] = [one for one in _of_process if one.is_running and one is not experiment]
    _of_process.append(experiment)
    if experiment.dir is not None and experiment.owns_run:
        os.environ[RUN_DIR_VARIABLE] = str(experiment.dir)


def deactivate(experiment: Experiment) -> None:
    """Forget an experiment that has stopped."""
    if _of_context.get() is experiment:
        _of_context.set(None)
    if experiment in _of_process:
        _of_process.remove(experiment)
    if experiment.owns_run and os.environ.get(RUN_DIR_VARIABLE) == str(experiment.dir):
        del os.environ[RUN_DIR_VARIABLE]
        if _of_process and _of_process[-1].dir is not None:
            os.environ[RUN_DIR_VARIABLE] = str(_of_process[-1].dir)
