"""The jobs that a launcher runs one after another in this process, and how each of them has ended.

A run ends with the job of hydra or the trial of Optuna in which it began. A command of click is
such a job, too, but only what it raises is of the run: the program may go on with the run after it.
Whoever observes a launcher either calls its jobs in a :class:`Job`, or calls :func:`observe` and
:func:`ended`.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from contextvars import ContextVar

Listener = Callable[[object, BaseException | None, bool], None]
"""Takes a job, what it has raised, and whether its runs end with it."""

_present: list[Callable[[], object]] = []
_listeners: list[Listener] = []
_called: ContextVar[tuple[object, ...]] = ContextVar("tracelet_jobs", default=())


class Job:
    """A context for the call of one job.

    Args:
        ends_runs: whether the runs that began in the job end with it.
    """

    def __init__(self, *, ends_runs: bool) -> None:
        self._ends_runs = ends_runs

    def __enter__(self) -> None:
        """Begin the job."""
        self._outer = _called.set((*_called.get(), self))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        _called.reset(self._outer)
        if error is not None or self._ends_runs:
            ended(self, error, ends_runs=self._ends_runs)


def observe(present: Callable[[], object]) -> None:
    """Add a launcher.

    Args:
        present: returns an object that stands for the running job; None: no job runs.
    """
    _present.append(present)


def current() -> list[object]:
    """Return the objects that stand for the running jobs, one within the other."""
    return [*_called.get(), *(job for one in _present if (job := one()) is not None)]


def ended(job: object, error: BaseException | None, *, ends_runs: bool = True) -> None:
    """Tell that a job has ended.

    Args:
        job: the object that stands for it.
        error: the exception that it has raised, or None.
        ends_runs: whether the runs that began in the job end with it.
    """
    for listener in _listeners:
        listener(job, error, ends_runs)


def listen(listener: Listener) -> None:
    """Call a function whenever a job has ended."""
    if listener not in _listeners:
        _listeners.append(listener)
