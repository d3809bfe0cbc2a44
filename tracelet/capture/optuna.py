"""Notices the trials of an Optuna study: a run that began in a trial ends with that.

It captures nothing. What the objective has raised decides how the run has ended, though Optuna
catches it and goes on with the next trial.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from tracelet.capture.jobs import Job
from tracelet.capture.tracebacks import wrapper_frame


def observe() -> None:
    """Observe the trials of every study from now on."""
    study = sys.modules["optuna.study.study"].Study
    if not hasattr(study.optimize, "__wrapped__"):
        study.optimize = _observed(study.optimize)


def _observed(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def optimize(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        with wrapper_frame:
            return method(self, _in_job(func), *args, **kwargs)

    return optimize


def _in_job(objective: Any) -> Any:
    if not callable(objective):  # Optuna says what is wrong
        return objective

    def trial_in_job(trial: Any) -> Any:
        with wrapper_frame, Job(ends_runs=True):
            return objective(trial)

    return trial_in_job
