"""What was captured during a run and may belong to the next one, until that is known.

A program parses its arguments and then starts a run. If an earlier run still goes on, what is
parsed again is held: it belongs to the run that starts next. If the program logs something else
first, it has gone on with the earlier run, which gets what was held, with a warning.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Hashable

from tracelet.errors import warn

log = logging.getLogger(__name__)

Report = Callable[[], list[str]]
"""Reports what was held to the run, and returns the names of what has changed or is new."""
BeforeLog = Callable[[Callable[[], None]], object]
"""Has a function called before the calling thread logs something to the run."""

_unclaimed: list[tuple[int, str]] = []
"""Ended runs that held something, each with the process; no other run has started since."""


class HeldReports:
    """The reports of all sources of one run that are held.

    Only the thread that has captured them can decide: another one may be busy with this run while
    the first starts its own.

    Args:
        run: the run, for messages.
        policy: its setting ``on_param_conflict``, for the same.
    """

    def __init__(self, run: str, policy: str) -> None:
        self._run = run
        self._policy = policy
        self._reports: dict[Hashable, Report] = {}
        self._before_log: BeforeLog | None = None

    def begin(self, before_log: BeforeLog) -> None:
        """From now on have :meth:`merge` called with ``before_log``: the run has begun."""
        self._before_log = before_log

    def __len__(self) -> int:
        return len(self._reports)

    def hold(self, key: Hashable, report: Report) -> None:
        """Hold a report; a later one of the same key replaces it."""
        self._reports.pop(key, None)
        self._reports[key] = report
        if self._before_log is not None:
            self._before_log(self.merge)

    def drop(self) -> None:
        """Drop what is held: another run has started, and has taken it."""
        self._reports.clear()

    def leave(self) -> None:
        """Leave what is held to a run that may still start: this one has ended."""
        if self._reports:
            _unclaimed.append((os.getpid(), self._run))
            self._reports.clear()
            atexit.unregister(_report_unclaimed)
            atexit.register(_report_unclaimed)

    def merge(self, say: Callable[[str], object] = warn) -> None:
        """Report what was held to this run, and say so if that changes anything.

        Args:
            say: gives the message to the user.
        """
        changed: list[str] = []
        while self._reports:
            changed += self._reports.pop(next(iter(self._reports)))()
        if changed:
            allowed = (
                ""
                if self._policy == "overwrite"
                else (f", as far as on_param_conflict={self._policy!r} allows it")
            )
            say(
                f"the program has parsed or composed again while the run {self._run} goes on, and "
                f"has begun no other run, so these belong to it now: "
                f"{', '.join(dict.fromkeys(changed))}{allowed}. The journal has the earlier values"
            )


def claim() -> None:
    """Note that a run starts, which takes whatever ended runs have left."""
    _unclaimed.clear()


def _report_unclaimed() -> None:
    for pid, run in _unclaimed:
        if pid == os.getpid():
            log.warning(
                "what was parsed or composed again before the run %s was stopped belongs to no "
                "run: none was started after it",
                run,
            )
