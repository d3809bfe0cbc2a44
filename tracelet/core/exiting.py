"""The runs that nobody has stopped when the program ends: each has its ending all the same."""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys
import threading
import weakref
from typing import TYPE_CHECKING

from tracelet.core.endings import ending_of
from tracelet.courier.exit_status import record_exit_code
from tracelet.errors import TraceletWarning

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment
    from tracelet.courier.report import DeliveryReport

log = logging.getLogger(__name__)

_running: weakref.WeakSet[Experiment] = weakref.WeakSet()


def end_at_exit(exp: Experiment) -> None:
    """End an experiment with the program, unless it is forgotten before."""
    if not _running:
        atexit.unregister(_at_exit)
        atexit.register(_at_exit)
    _running.add(exp)


def forget(exp: Experiment) -> None:
    """Leave an experiment alone that has stopped."""
    _running.discard(exp)


def _at_exit() -> None:
    """End the runs that were not stopped."""
    for exp in list(_running):
        session = exp._session
        if session is not None and session.is_ours:
            try:
                exp._connections.read_at_exit()
                if session.owner:
                    end_now(exp)
            except Exception:  # the others have an ending, too
                log.exception("the run in %s was not ended well", session.run_dir.path)


def is_exiting() -> bool:
    """Return whether this is called at exit: by the main thread, which is over before."""
    main = threading.main_thread()
    return threading.current_thread() is main and not main.is_alive()


def end_now(exp: Experiment, timeout: float | None = None) -> DeliveryReport:
    """End a run of a program that ends; its true ending may be known only after Python's.

    Args:
        exp: the experiment.
        timeout: seconds to wait for the courier; None: it goes on alone, as it can. What threads
            of this process deliver is waited for.
    """
    session = exp._session
    assert session is not None
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    status, reason = ending_of(error, exp._redactor)
    if exp._capture is not None:
        exp._capture.stop()
    if session.delivers_here or timeout is not None:
        session.flush(exp.settings.drain_timeout if timeout is None else timeout)
    exact = error is not None or not record_exit_code(session.run_dir)
    exp._append = exp._not_running
    exp._status = status
    session.end(status if exact else None, reason, redacted=exp._redactor.count)
    if session.delivers_here and exact:
        session.drain(exp.settings.drain_timeout)
    exp._report = session.release(redacted=exp._redactor.count)
    if exp._capture is not None:
        with contextlib.suppress(TraceletWarning):
            exp._capture.complain()
    return exp._report
