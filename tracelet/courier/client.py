"""Starts the courier from the training process, wakes it, and waits for it.

The courier is a process, or threads of the training process.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import Any

from tracelet.backends.base import Backend
from tracelet.backends.registry import ResolvedBackend
from tracelet.courier.messages import WAKE, WorkerConfig, close_pipes, send, start_process
from tracelet.courier.worker import DeliveryThread
from tracelet.journal.rundir import RunDir
from tracelet.records import RunInfo
from tracelet.settings_fields import START_TIMEOUT

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_READING_SECONDS = 0.1
"""How long a reader of the run may hold the run's lock."""
_left_running: list[subprocess.Popen[bytes]] = []
"""Couriers that outlive their experiment. Python warns of a running Popen that is deleted."""


class ProcessCourier:
    """A courier process for a run.

    Args:
        run_dir: the run.
        options: the options of each backend, with their secrets: they go through a pipe.
        linger: how many seconds after the end of the run a failing backend is tried; None: the
            default.
        only: the backends to deliver to; None: all backends of the run.
        system_metrics: the seconds between two readings of system metrics; None: no readings.
        start_timeout: the seconds that a backend may take to start.
    """

    def __init__(
        self,
        run_dir: RunDir,
        options: dict[str, dict[str, Any]],
        *,
        linger: float | None = None,
        only: list[str] | None = None,
        system_metrics: float | None = None,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self._run_dir = run_dir
        self._config = WorkerConfig(
            options, only=only, system_metrics=system_metrics, start_timeout=start_timeout
        )
        if linger is not None:
            self._config.linger = linger
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._failed = False

    def ensure(self, *, at_once: bool = False) -> None:
        """Start the process, unless it runs.

        Args:
            at_once: also if the last start was a moment ago.
        """
        _left_running[:] = [process for process in _left_running if process.poll() is None]
        if self._process is not None and self._process.poll() is None:
            return
        if not self._run_dir.path.exists():  # deleted: there is nothing to deliver
            return
        # Another courier may hold the run, or this one may die at once: not one start a call.
        has_tried = self._process is not None or self._failed
        if has_tried and not at_once and time.monotonic() - self._started_at < _PAUSE_SECONDS:
            return
        self._close_pipe()
        self._started_at = time.monotonic()
        try:
            self._process = start_process(self._run_dir, self._config)
        except OSError as error:  # this user's limit of processes or files is reached
            self._process = None
            if not self._failed:
                log.error(  # noqa: TRY400 - the message is complete
                    "no courier can be started: %s. The journal has what is logged; flush(), "
                    "stop() and 'tracelet sync' try again to deliver it",
                    error,
                )
            self._failed = True

    def wake(self) -> None:
        """Have the courier deliver now."""
        if self._process is not None:
            send(self._process, WAKE)

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until the courier has delivered the ended run and exited.

        Returns:
            Whether it has.
        """
        if self._process is None:  # the caller tries again to start one
            time.sleep(min(timeout, 0.05))
            return False
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        if code != 0:  # killed, or another courier is at work: the caller tries again
            time.sleep(min(timeout, 0.05))
        return code == 0

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process; None while it runs, or before it was started."""
        return self._process.poll() if self._process is not None else None

    def release(self) -> None:
        """Let the process run alone; it exits when it has delivered everything."""
        self._close_pipe()
        if self._process is not None and self._process.poll() is None:
            _left_running.append(self._process)
        self._process = None

    def end(self) -> None:
        """Terminate the process now; the cursors stay where they are."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._close_pipe()

    def backend(self, name: str) -> None:
        """Return None: the live object is in another process."""

    def _close_pipe(self) -> None:
        if self._process is not None:
            close_pipes(self._process)


class ThreadCourier:
    """A courier of threads of this process, one for each backend.

    Args:
        run_dir: the run.
        run: the identity of the run.
        backends: the backends with their options.
    """

    def __init__(
        self, run_dir: RunDir, run: RunInfo, backends: list[tuple[ResolvedBackend, dict[str, Any]]]
    ) -> None:
        self._run_dir = run_dir
        self._run = run
        self._backends = backends
        self._lock = run_dir.lock()
        self._threads: dict[str, DeliveryThread] = {}

    def ensure(self, *, at_once: bool = True) -> None:
        """Start the threads, unless they run or another process is the run's courier."""
        if self._threads or not self._lock.wait(_READING_SECONDS):
            return
        for found, options in self._backends:
            self._threads[found.name] = DeliveryThread(self._run_dir, found, self._run, options)

    def wake(self) -> None:
        """Have the threads deliver now."""
        for thread in self._threads.values():
            thread.wake()

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until every backend is closed; return whether they are."""
        if not self._threads:  # another courier has the run; ensure() tries again
            time.sleep(min(timeout, 0.05))
            return False
        deadline = time.monotonic() + timeout
        self.wake()
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return all(thread.done for thread in self._threads.values())

    def release(self) -> None:
        """End the threads, and release the run's lock."""
        for thread in self._threads.values():
            thread.abandon()
        # A thread that hangs in a backend may still deliver: the lock is kept until it has ended.
        for thread in self._threads.values():
            thread.join(1.0)
        if all(thread.done for thread in self._threads.values()):
            self._lock.release()

    def backend(self, name: str) -> Backend | None:
        """Return the backend's object; None if it was not created yet."""
        thread = self._threads.get(name)
        return thread.backend if thread is not None else None


def needs_thread(backends: list[ResolvedBackend], courier: str) -> str | None:
    """Return why threads of the training process must deliver the run; None for a process."""
    if courier == "thread":
        return "courier='thread'"
    if not sys.executable:
        return "sys.executable has no Python to start it with"
    for found in backends:
        if found.needs_this_process:
            return f"the backend {found.name!r} exists in this process only"
    if courier == "auto" and all(found.cls.capabilities.lightweight for found in backends):
        return "every backend is light"
    return None
