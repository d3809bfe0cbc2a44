"""Keeps the active experiment: of this context, else of this process.

A thread or task that has started an experiment has that as its active one; any other has the one of
the process. A start in one thread or task never ends a run that another one, which lives, has
started.
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
"""The variable in which child processes, forked or spawned, find the run's directory."""


class Running(Protocol):
    """An experiment, as far as this module needs it."""

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
"""The last one is active in every thread and task that has started none."""


class _Owner:
    """The thread, and the task of asyncio in it, that has started an experiment."""

    def __init__(self) -> None:
        self._thread = threading.current_thread()
        task = _current_task()
        self._task = weakref.ref(task) if task is not None else None

    @property
    def is_here(self) -> bool:
        """Whether the caller is in this thread and task."""
        task = self._task() if self._task is not None else None
        return threading.current_thread() is self._thread and _current_task() is task

    @property
    def has_ended(self) -> bool:
        """Whether the thread or the task has ended."""
        task = self._task() if self._task is not None else None
        is_over = self._task is not None and (task is None or task.done())
        return is_over or not self._thread.is_alive()


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")  # start-up time: 20 ms if the program does not use it
    try:
        return asyncio.current_task() if asyncio is not None else None
    except (AttributeError, RuntimeError):  # it is being imported; this thread has no loop
        return None


_owners: weakref.WeakKeyDictionary[Any, _Owner] = weakref.WeakKeyDictionary()
_found: weakref.WeakSet[Any] = weakref.WeakSet()
"""Those of a parent process that a child has found. It asks again each time: the parent may have
another run now."""


def active() -> Any:
    """Return the active experiment, or None."""
    mine = _of_context.get()
    if mine is not None and mine not in _found and mine.is_running:
        return mine
    own = (one for one in reversed(_of_process) if one not in _found and one.is_running)
    return next(own, None)


def previous_run() -> Any:
    """Return the experiment that a start ends: that of this thread or task, or of an ended one."""
    current = active()
    if current is None or _owners[current].has_ended:
        return current
    # A context can be a copy of another one, and a thread of a pool can run several contexts.
    return current if _of_context.get() is current and _owners[current].is_here else None


def found(experiment: Running) -> None:
    """Note that an experiment is active only as long as the parent process has its run."""
    _found.add(experiment)


def running_in(path: str) -> Any:
    """Return the running experiment, maybe from before a fork, with the directory ``path``."""
    found = (one for one in reversed(_of_process) if one.is_running and str(one.dir) == path)
    return next(found, None)


def activate(experiment: Running) -> None:
    """Make an experiment the active one of this context.

    It becomes that of the process, too, unless that belongs to another thread or task which lives.
    """
    others = [one for one in _of_process if one.is_running and one is not experiment]
    owner = _owners[others[-1]] if others else None
    is_first = owner is None or owner.has_ended or owner.is_here
    _of_context.set(experiment)
    _owners[experiment] = _Owner()
    _of_process[:] = [*others, experiment] if is_first else [experiment, *others]
    if is_first and experiment.dir is not None and experiment.owns_run:
        os.environ[RUN_DIR_VARIABLE] = str(experiment.dir)
        _publish(experiment.dir)


def _publish(run_dir: Path | None) -> None:
    """Tell child processes that are older than a run, or outlive it, which run there is now."""
    from tracelet.journal.current_run import publish  # start-up time: the courier's side

    publish(run_dir)


def deactivate(experiment: Running) -> None:
    """Remove an experiment that has stopped."""
    if experiment in _of_process:
        _of_process.remove(experiment)
    if _of_context.get() is experiment:
        ours = (one for one in reversed(_of_process) if one.is_running and _owners[one].is_here)
        _of_context.set(next(ours, None))
    if experiment.owns_run and os.environ.get(RUN_DIR_VARIABLE) == str(experiment.dir):
        del os.environ[RUN_DIR_VARIABLE]
        left = _of_process[-1].dir if _of_process else None
        if left is not None:
            os.environ[RUN_DIR_VARIABLE] = str(left)
        _publish(left)


def _after_fork() -> None:
    """Have a forked child ask its parent, unless the thread that forks has a run of its own."""
    mine, of_process = _of_context.get(), _of_process[-1] if _of_process else None
    for one in _of_process:
        if one.dir is not None and (one is not mine or one is of_process):
            _found.add(one)


os.register_at_fork(after_in_child=_after_fork)
