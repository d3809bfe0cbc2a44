"""The jobs that a launcher runs one after another in this process: a run ends with its job.

Whoever observes a launcher either calls its jobs in a :class:`Job`, or calls :func:`observe` and
:func:`ended`.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from contextvars import ContextVar

Listener = Callable[[object, BaseException | None], None]

_present: list[Callable[[], object]] = []
_listeners: list[Listener] = []
_called: ContextVar[object] = ContextVar("tracelet_job", default=None)


class Job:
    """A context for the call of one job."""

    def __enter__(self) -> None:
        """Begin the job."""
        self._outer = _called.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        _called.reset(self._outer)
        ended(self, error)


def observe(present: Callable[[], object]) -> None:
    """Add a launcher.

    Args:
        present: returns an object that stands for the running job; None: no job runs.
    """
    _present.append(present)


def current() -> object:
    """Return the object that stands for the running job; None if no job runs."""
    if (called := _called.get()) is not None:
        return called
    return next((job for one in _present if (job := one()) is not None), None)


def ended(job: object, error: BaseException | None) -> None:
    """Tell that a job has ended, with the exception that it has raised, or None."""
    for listener in _listeners:
        listener(job, error)


def listen(listener: Listener) -> None:
    """Call a function whenever a job has ended."""
    if listener not in _listeners:
        _listeners.append(listener)
