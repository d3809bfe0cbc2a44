"""Which experiment is the active one: of this context, else of this process, else of the parent.

A thread or task that started an experiment has it as its own; every other one sees the process's.
What one has started, no other ends by a start of its own, while the one that has started it lives.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

RUN_DIR_VARIABLE = "TRACELET_RUN_DIR"
"""How child processes, forked or spawned, find the run."""


class Running(Protocol):
    """What can be active: an experiment."""

    @property
    def is_running(self) -> bool:
        """Whether calls are accepted."""

    @property
    def owns_run(self) -> bool:
        """Whether this process began the run."""

    @property
    def dir(self) -> Path | None:
        """The run's directory."""


_of_context: ContextVar[Any] = ContextVar("tracelet_experiment", default=None)
_of_process: list[Any] = []
"""The last one is that of every thread and task that has started none."""


class _Owner:
    """The thread, or the task of asyncio in it, that has started an experiment."""

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


_owners: weakref.WeakKeyDictionary[Any, _Owner] = weakref.WeakKeyDictionary()


def active() -> Any:
    """Return the active experiment, or None."""
    mine = _of_context.get()
    if mine is not None and mine.is_running:
        return mine
    return next((one for one in reversed(_of_process) if one.is_running), None)


def previous_run() -> Any:
    """Return the experiment that a start here ends: our own, or one that is nobody's; or None."""
    current = active()
    if current is None or _owners[current].has_ended:
        return current
    # A context can be the copy of another's, and a thread of a pool work for several of them.
    return current if _of_context.get() is current and _owners[current].is_here else None


def running_in(path: str) -> Any:
    """Return the experiment of this process, or from before a fork, that logs to a run; or None."""
    found = (one for one in reversed(_of_process) if one.is_running and str(one.dir) == path)
    return next(found, None)


def activate(experiment: Running) -> None:
    """Make an experiment the active one of this context.

    It is that of the process, too, unless another thread or task that lives has started that.
    """
    others = [one for one in _of_process if one.is_running and one is not experiment]
    owner = _owners[others[-1]] if others else None
    is_first = owner is None or owner.has_ended or owner.is_here
    _of_context.set(experiment)
    _owners[experiment] = _Owner()
    _of_process[:] = [*others, experiment] if is_first else [experiment, *others]
    if is_first and experiment.dir is not None and experiment.owns_run:
        os.environ[RUN_DIR_VARIABLE] = str(experiment.dir)


def deactivate(experiment: Running) -> None:
    """Forget an experiment that has stopped."""
    if experiment in _of_process:
        _of_process.remove(experiment)
    if _of_context.get() is experiment:
        ours = (one for one in reversed(_of_process) if one.is_running and _owners[one].is_here)
        _of_context.set(next(ours, None))
    if experiment.owns_run and os.environ.get(RUN_DIR_VARIABLE) == str(experiment.dir):
        del os.environ[RUN_DIR_VARIABLE]
        if _of_process and _of_process[-1].dir is not None:
            os.environ[RUN_DIR_VARIABLE] = str(_of_process[-1].dir)
