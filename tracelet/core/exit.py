"""Ends the runs that are still running when the program exits, and finds out how it has ended.

An exception decides the status and the reason of the run that it leaves. At exit, the exit code of
the program may not be known yet; see ``tracelet.courier.exit_status``.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from tracelet.capture import jobs
from tracelet.courier.exit_status import status_of_exit
from tracelet.journal.current_run import publish
from tracelet.records import Status
from tracelet.redaction import Redactor
from tracelet.wire import clean_text

log = logging.getLogger(__name__)

_MAX_REASON = 1000
"""The largest number of characters in the reason of an ending."""
_INTERRUPTIONS = KeyboardInterrupt, GeneratorExit, BaseExceptionGroup
"""Ctrl-C; a generator that is left before its end; and groups of such exceptions."""
_CANCELLED = "CancelledError", "Cancelled"
"""The exceptions of cancelled tasks, in asyncio and trio; neither is imported for this."""
_BEFORE = "_tracelet_before"
"""An attribute of exceptions: the directories of the runs that began while it was handled."""


def note_handled(run_dir: Path) -> None:
    """Note that a run begins while an exception is handled: it does not decide the run's status.

    A second try in an ``except`` block is such a run.
    """
    error = sys.exc_info()[1]
    if error is not None:  # noted there: a reference to the error would keep its frames alive
        error.__dict__.setdefault(_BEFORE, set()).add(str(run_dir))


def handled_exception(run_dir: Path | None) -> BaseException | None:
    """Return the exception that is handled now, if it decides the status of a run; else None."""
    error = sys.exc_info()[1]
    if isinstance(error, StopIteration | StopAsyncIteration):  # the end of a loop over next()
        return None
    if error is not None and str(run_dir) in error.__dict__.get(_BEFORE, ()):
        return None
    return error


class Left(NamedTuple):
    """How an exception has left a run: its status, the reason, and tags that say more."""

    status: Status
    reason: str | None
    tags: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def by(cls, error: BaseException, redactor: Redactor) -> Left:
        """Return how this exception has left it.

        Args:
            error: the exception.
            redactor: hides the secrets in the message of the exception.
        """
        return cls(*exit_status(error, redactor), tags_of(error))


def exit_status(error: BaseException | None, redactor: Redactor) -> tuple[Status, str | None]:
    """Return the status and the reason of a run that an exception leaves.

    Args:
        error: the exception; None: the run has finished.
        redactor: hides the secrets in the message of the exception.
    """
    if error is None or _is_pruned(error):
        return "finished", None
    code = getattr(error, "exit_code", None)
    if type(error).__name__ == "Exit" and isinstance(code, int):  # of click
        error = SystemExit(code)
    if isinstance(error, SystemExit):
        code = error.code  # a str, or anything else, is an error that was printed
        is_number = code is None or isinstance(code, int)
        status, reason = status_of_exit(code if is_number else message_of(code))
    elif not isinstance(error, Exception) and (
        isinstance(error, _INTERRUPTIONS) or type(error).__name__ in _CANCELLED
    ):
        status, reason = "killed", type(error).__name__
    else:
        status, reason = "failed", f"{type(error).__name__}: {message_of(error)}"
    return status, reason and redactor.text(reason)[:_MAX_REASON]


def message_of(error: object) -> str:
    """Return the message of an exception, as UTF-8 can hold it; never raises."""
    try:
        return clean_text(str(error))
    except Exception:  # noqa: BLE001 - __str__ is the user's code, and an ending must not fail
        return f"<str() of a {type(error).__name__} failed>"


def tags_of(error: BaseException | None) -> dict[str, str]:
    """Return the tags of a run that an exception leaves: ``optuna.state`` of a pruned trial."""
    return {"optuna.state": "pruned"} if error is not None and _is_pruned(error) else {}


def _is_pruned(error: BaseException) -> bool:
    """Return whether it is Optuna's ``TrialPruned``; Optuna is not imported to find out."""
    return any(
        cls.__name__ == "TrialPruned" and cls.__module__.partition(".")[0] == "optuna"
        for cls in type(error).__mro__
    )


class EndsWithJob(Protocol):
    """An experiment, as far as this module needs it."""

    @property
    def is_running(self) -> bool:
        """Whether calls are accepted."""

    def end_by(self, error: BaseException | None) -> object:
        """End the run as an exception that leaves it, or None, decides."""

    def note_left(self, error: BaseException) -> None:
        """Note that an exception has left the run, which may go on."""


_jobs_of: weakref.WeakKeyDictionary[EndsWithJob, list[object]] = weakref.WeakKeyDictionary()


def end_with_job(experiment: EndsWithJob) -> None:
    """End a run with the job of a launcher that is running, if one is: it begins in that job."""
    running = jobs.current()
    if running:
        _jobs_of[experiment] = running
        jobs.listen(_end_runs_of_job)


def _end_runs_of_job(job: object, error: BaseException | None, ends_runs: bool) -> None:
    for experiment, its in list(_jobs_of.items()):
        if not any(one is job for one in its):
            continue
        if not experiment.is_running:
            del _jobs_of[experiment]
        elif ends_runs:
            experiment.end_by(error)
        elif error is not None:
            experiment.note_left(error)


class EndsAtExit(Protocol):
    """A session of a run, as far as this module needs it."""

    def end_at_exit(self, timeout: float | None = None) -> object:
        """End the run: the program exits."""


_running: weakref.WeakSet[EndsAtExit] = weakref.WeakSet()


def register(session: EndsAtExit) -> None:
    """End a session when the program exits, unless it is unregistered before."""
    if not _running:  # atexit runs the last function first: those of the program may still log
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _running.add(session)


def unregister(session: EndsAtExit) -> None:
    """Unregister a session that has stopped."""
    _running.discard(session)


def is_exiting() -> bool:
    """Return whether the caller runs at exit: in the main thread, when that has ended."""
    main = threading.main_thread()
    return threading.current_thread() is main and not main.is_alive()


def uncaught_exception() -> BaseException | None:
    """Return the exception that ends the program; None, also in an interactive Python."""
    return None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)


def _end_all() -> None:
    publish(None)
    for session in list(_running):
        try:
            session.end_at_exit()
        except Exception:  # the other runs must be ended, too
            log.exception("a run was not ended well: %r", session)
