"""Which experiment is the active one: of this context, else of this process, else of the parent.

A thread or task that started an experiment has it as its own; every other one sees the process's.
What one has started, no other ends by a start of its own, while the one that has started it lives.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tracelet.errors import NotRunningError

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment

RUN_DIR_VARIABLE = "TRACELET_RUN_DIR"
"""How child processes, forked or spawned, find the run."""

_of_context: ContextVar[Experiment | None] = ContextVar("tracelet_experiment", default=None)
_of_process: list[Experiment] = []
"""The last one is that of every thread and task that has started none."""


class _Strand:
    """A thread, or a task of asyncio in it, that has started an experiment."""

    def __init__(self) -> None:
        self._thread = threading.current_thread()
        task = _current_task()
        self._task = weakref.ref(task) if task is not None else None

    @property
    def is_here(self) -> bool:
        """Whether this is the thread, and the task, that asks."""
        task = self._task() if self._task is not None else None
        return threading.current_thread() is self._thread and _current_task() is task

    @property
    def has_ended(self) -> bool:
        """Whether the thread or the task is over, so that what it has started is nobody's."""
        task = self._task() if self._task is not None else None
        is_over = self._task is not None and (task is None or task.done())
        return is_over or not self._thread.is_alive()


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")  # 20 ms that only those pay who use it
    try:
        return asyncio.current_task() if asyncio is not None else None
    except (AttributeError, RuntimeError):  # it is being imported; this thread has no loop
        return None


_strands: weakref.WeakKeyDictionary[Experiment, _Strand] = weakref.WeakKeyDictionary()


def active() -> Experiment | None:
    """Return the active experiment, or None."""
    mine = _of_context.get()
    if mine is not None and mine.is_running:
        return mine
    return next((one for one in reversed(_of_process) if one.is_running), None)


def replaced() -> Experiment | None:
    """Return the active experiment that a start here ends: our own, or one that is nobody's."""
    current = active()
    if current is None or _strands[current].has_ended:
        return current
    # A context can be the copy of another's, and a thread of a pool work for several of them.
    return current if _of_context.get() is current and _strands[current].is_here else None


def make_way(experiment: Experiment | None) -> None:
    """Stop what :func:`replaced` has returned, unless another thread has done so meanwhile."""
    if experiment is not None:
        with contextlib.suppress(NotRunningError):
            experiment.stop()


def running_in(path: str) -> Experiment | None:
    """Return the experiment of this process, or from before a fork, that logs to a run."""
    found = (one for one in reversed(_of_process) if one.is_running and str(one.dir) == path)
    return next(found, None)


def activate(experiment: Experiment) -> None:
    """Make an experiment the active one of this context.

    It is that of the process, too, unless another thread or task that lives has started that.
    """
    others = [one for one in _of_process if one.is_running and one is not experiment]
    strand = _strands[others[-1]] if others else None
    first = strand is None or strand.has_ended or strand.is_here
    _of_context.set(experiment)
    _strands[experiment] = _Strand()
    _of_process[:] = [*others, experiment] if first else [experiment, *others]
    if first and experiment.dir is not None and experiment.owns_run:
        os.environ[RUN_DIR_VARIABLE] = str(experiment.dir)


def deactivate(experiment: Experiment) -> None:
    """Forget an experiment that has stopped."""
    if experiment in _of_process:
        _of_process.remove(experiment)
    if _of_context.get() is experiment:
        ours = (one for one in reversed(_of_process) if one.is_running and _strands[one].is_here)
        _of_context.set(next(ours, None))
    if experiment.owns_run and os.environ.get(RUN_DIR_VARIABLE) == str(experiment.dir):
        del os.environ[RUN_DIR_VARIABLE]
        if _of_process and _of_process[-1].dir is not None:
            os.environ[RUN_DIR_VARIABLE] = str(_of_process[-1].dir)
