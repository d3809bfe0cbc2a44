"""How a program has ended, and the ending that runs get for it which nobody has stopped.

An exception says in words that can be kept how the run that it leaves has ended. A program that
ends with runs still going on ends them; its true ending may be known only after Python's.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import weakref
from pathlib import Path
from typing import Protocol

from tracelet.courier.exit_status import status_of_exit
from tracelet.records import Status
from tracelet.redaction import Redactor
from tracelet.wire import clean_text

log = logging.getLogger(__name__)

_MAX_REASON = 1000
"""The longest reason of an ending, in characters."""
_INTERRUPTIONS = KeyboardInterrupt, GeneratorExit, BaseExceptionGroup
"""Ctrl-C; a generator that is left before its end, by a break or by an error that only others see;
and several of these."""
_CANCELLED = "CancelledError", "Cancelled"
"""What tasks of asyncio and of trio are cancelled with; neither is imported for it."""
_BEFORE = "_tracelet_before"
"""Where an exception has the directories of the runs that began while it was handled."""


def note_handled(run_dir: Path) -> None:
    """Note that a run begins while an exception is handled, which says nothing of that run.

    A second try in an ``except`` block is such a run.
    """
    error = sys.exc_info()[1]
    if error is not None:  # kept there, for a reference to it would keep all that it has seen
        error.__dict__.setdefault(_BEFORE, set()).add(str(run_dir))


def handled_exception(run_dir: Path | None) -> BaseException | None:
    """Return the exception that is handled now, if it says something of the ending of a run."""
    error = sys.exc_info()[1]
    if isinstance(error, StopIteration | StopAsyncIteration):  # a loop over next() has ended
        return None
    if error is not None and str(run_dir) in error.__dict__.get(_BEFORE, ()):
        return None
    return error


def exit_status(error: BaseException | None, redactor: Redactor) -> tuple[Status, str | None]:
    """Return the status of a run that an exception leaves, and why.

    Args:
        error: the exception; None: there is none, and the run has finished.
        redactor: hides the secrets in what the exception says.
    """
    if error is None:
        return "finished", None
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
    """Return what an exception says, as UTF-8 can hold it; never raises."""
    try:
        return clean_text(str(error))
    except Exception:  # noqa: BLE001 - __str__ is the user's code, and an ending must not fail
        return f"<str() of a {type(error).__name__} failed>"


class EndsAtExit(Protocol):
    """What is ended with the program: a session of a run."""

    def end_at_exit(self, timeout: float | None = None) -> object:
        """End the run, as the program has ended."""


_running: weakref.WeakSet[EndsAtExit] = weakref.WeakSet()


def end_at_exit(session: EndsAtExit) -> None:
    """End a session with the program, unless it is forgotten before."""
    if not _running:  # behind the exit functions of the program: they may still log
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _running.add(session)


def forget(session: EndsAtExit) -> None:
    """Leave a session alone that has stopped."""
    _running.discard(session)


def is_exiting() -> bool:
    """Return whether this is called at exit: by the main thread, which is over before."""
    main = threading.main_thread()
    return threading.current_thread() is main and not main.is_alive()


def uncaught_exception() -> BaseException | None:
    """Return the exception that ends the program; an interactive one goes on after each."""
    return None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)


def _end_all() -> None:
    for session in list(_running):
        try:
            session.end_at_exit()
        except Exception:  # the others have an ending, too
            log.exception("a run was not ended well: %r", session)
