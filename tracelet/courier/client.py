"""The training process's end of the courier process: starts it, wakes it, waits for it."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import Any

from tracelet.backends.registry import ResolvedBackend
from tracelet.courier.messages import WAKE, Orders, launch, tell
from tracelet.courier.thread import ThreadCourier
from tracelet.journal.rundir import RunDir

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_left_running: list[subprocess.Popen[bytes]] = []
"""Couriers that outlive their experiment; kept so that they are reaped, not warned about."""


class ProcessCourier:
    """A courier process for a run.

    Args:
        run_dir: the run.
        options: the options of each backend, with their secrets: they go through a pipe.
        linger: seconds after the end of the run for which a failing backend is tried; or None.
        only: the backends to deliver to; None: all of the run.
        system_metrics: the seconds between two readings of system metrics; None: none are read.
    """

    def __init__(
        self,
        run_dir: RunDir,
        options: dict[str, dict[str, Any]],
        *,
        linger: float | None = None,
        only: list[str] | None = None,
        system_metrics: float | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._orders = Orders(options, only=only, system_metrics=system_metrics)
        if linger is not None:
            self._orders.linger = linger
        self._process: subprocess.Popen[bytes] | None = None
        self._launched = 0.0
        self._failed = False

    def ensure(self, *, at_once: bool = False) -> None:
        """Start the process, unless it runs.

        Args:
            at_once: also if it was started a moment ago.
        """
        _left_running[:] = [process for process in _left_running if process.poll() is None]
        if self._process is None or self._process.poll() is not None:
            if not self._run_dir.path.exists():  # deleted: there is nothing to deliver
                return
            # Another courier may hold the run, or this one may die at once: knock, do not hammer.
            tried = self._process is not None or self._failed
            if tried and not at_once and time.monotonic() - self._launched < _PAUSE_SECONDS:
                return
            self._close_pipe()
            self._launched = time.monotonic()
            try:
                self._process = launch(self._run_dir.path, self._orders, self._run_dir.courier_log)
            except OSError as error:  # no process or no file more for this user
                self._process = None
                if not self._failed:
                    log.error(  # noqa: TRY400 - it says all there is to say
                        "no courier can be started: %s. The journal has what is logged; flush(), "
                        "stop() and 'tracelet sync' try again to deliver it",
                        error,
                    )
                self._failed = True

    def wake(self) -> None:
        """There is something to deliver now."""
        if self._process is not None:
            tell(self._process, WAKE)

    def wait(self, timeout: float) -> bool:
        """Wait until the courier has delivered the ended run and left; False if it has not yet."""
        if self._process is None:  # the caller tries again to start one
            time.sleep(min(timeout, 0.05))
            return False
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        if code != 0:  # killed, or another courier is at work: the caller starts one anew
            time.sleep(min(timeout, 0.05))
        return code == 0

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def release(self) -> None:
        """Leave the process to itself; it goes on until it has delivered everything."""
        self._close_pipe()
        if self._process is not None and self._process.poll() is None:
            _left_running.append(self._process)
        self._process = None

    def end(self) -> None:
        """End the process now; the cursors stay where they are."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._close_pipe()

    def backend(self, name: str) -> None:
        """Return None: the live object is in another process."""

    def _close_pipe(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # a word that was not read any more
                return


def needs_thread(backends: list[ResolvedBackend], courier: str) -> str | None:
    """Return why threads of the training process deliver the run; None if they need not."""
    if courier == "thread":
        return "courier='thread'"
    if not sys.executable:
        return "sys.executable does not say what Python to start it with"
    for found in backends:
        if found.needs_this_process:
            return f"the backend {found.name!r} exists in this process only"
    if courier == "auto" and all(found.cls.capabilities.lightweight for found in backends):
        return "every backend is light"
    return None


__all__ = ["ProcessCourier", "ThreadCourier", "needs_thread"]
