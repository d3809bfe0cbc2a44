"""What an exception says of the ending of a run, in words that can be kept."""

from __future__ import annotations

import sys
from pathlib import Path

from tracelet.courier.exit_status import status_of_exit
from tracelet.records import Status
from tracelet.redaction import Redactor
from tracelet.wire import clean_text

_LONGEST = 1000
_INTERRUPTIONS = KeyboardInterrupt, GeneratorExit, BaseExceptionGroup
"""Ctrl-C; a generator that is left before its end, by a break or by an error that only others see;
and several of these."""
_CANCELLED = "CancelledError", "Cancelled"
"""What tasks of asyncio and of trio are cancelled with; neither is imported for it."""
_BEFORE = "_tracelet_before"
"""Where an exception has the directories of the runs that began while it was handled."""


def note_handled(run_dir: Path) -> None:
    """Have the exception that is handled be none of the run that begins, as a second try does."""
    error = sys.exc_info()[1]
    if error is not None:  # kept there, for a reference to it would keep all that it has seen
        error.__dict__.setdefault(_BEFORE, set()).add(str(run_dir))


def handled(run_dir: Path | None) -> BaseException | None:
    """Return the exception that is handled, unless it says nothing of the ending of a run."""
    error = sys.exc_info()[1]
    if isinstance(error, StopIteration | StopAsyncIteration):  # a loop over next() has ended
        return None
    if error is not None and str(run_dir) in error.__dict__.get(_BEFORE, ()):
        return None
    return error


def ending_of(error: BaseException | None, redactor: Redactor) -> tuple[Status, str | None]:
    """Return the ending of a run that an exception leaves, or that none does; and why.

    Args:
        error: the exception.
        redactor: hides the secrets in what the exception says.
    """
    if error is None:
        return "finished", None
    if isinstance(error, SystemExit):
        code = error.code  # a text, or anything else, is an error that was printed
        told = code if code is None or isinstance(code, int) else message_of(code)
        status, reason = status_of_exit(told)
    elif not isinstance(error, Exception) and (
        isinstance(error, _INTERRUPTIONS) or type(error).__name__ in _CANCELLED
    ):
        status, reason = "killed", type(error).__name__
    else:
        status, reason = "failed", f"{type(error).__name__}: {message_of(error)}"
    return status, reason and redactor.text(reason)[:_LONGEST]


def message_of(error: object) -> str:
    """Return what an exception says, as UTF-8 can hold it; never raises."""
    try:
        return clean_text(str(error))
    except Exception:  # noqa: BLE001 - __str__ is the user's code, and an ending must not fail
        return f"<str() of a {type(error).__name__} failed>"
