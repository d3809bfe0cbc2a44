"""Delivery in threads of this process, one a backend: for light backends and notebooks."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from tracelet.backends.base import Backend
from tracelet.backends.registry import ResolvedBackend
from tracelet.courier.attempts import LINGER_SECONDS
from tracelet.courier.cursor import CursorFile
from tracelet.courier.delivery import Delivery
from tracelet.courier.error_texts import full_text, one_line
from tracelet.journal.rundir import RunDir
from tracelet.records import RunInfo

log = logging.getLogger(__name__)

_READING_SECONDS = 0.1
"""How long the lock may be somebody's who only reads the run; the caller waits meanwhile."""


class DeliveryThread:
    """One backend's delivery in a daemon thread."""

    def __init__(
        self,
        run_dir: RunDir,
        found: ResolvedBackend,
        run: RunInfo,
        options: dict[str, Any],
        *,
        linger: float = LINGER_SECONDS,
    ) -> None:
        self.name = found.name
        self._news = threading.Event()
        self._stop = False
        self._cursor = CursorFile(run_dir.cursors, found.name)
        self.delivery = Delivery(run_dir, found, run, options, wait=self._wait, linger=linger)
        self._thread = threading.Thread(
            target=self._run, name=f"tracelet-{found.name}", daemon=True
        )
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether the delivery has ended."""
        return not self._thread.is_alive()

    def wake(self) -> None:
        """There is something to deliver now."""
        self._news.set()

    def abandon(self) -> None:
        """End the delivery as soon as the call that is under way returns."""
        self._stop = True
        self._news.set()

    def join(self, timeout: float) -> None:
        """Wait until the delivery has ended, or that many seconds."""
        self._thread.join(timeout)

    def _wait(self, seconds: float) -> bool:
        self._news.wait(seconds)
        self._news.clear()
        return self._stop

    def _run(self) -> None:
        try:
            self.delivery.run()
        except BaseException as error:  # noqa: BLE001 - it must not end unseen
            log.error(  # noqa: TRY400 - with its secrets hidden
                "the delivery to %s has failed: %s", self.name, full_text(error)
            )
            self._cursor.note("gave up", one_line(error))


class ThreadCourier:
    """Delivers a run with threads of the calling process.

    Args:
        run_dir: the run.
        run: who the run is.
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
        """There is something to deliver now."""
        for thread in self._threads.values():
            thread.wake()

    def wait(self, timeout: float) -> bool:
        """Wait until every backend is closed; return whether that was so in time."""
        if not self._threads:  # another courier has the run; ensure() tries again
            time.sleep(min(timeout, 0.05))
            return False
        deadline = time.monotonic() + timeout
        self.wake()
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return all(thread.done for thread in self._threads.values())

    def release(self) -> None:
        """End what still runs, and let another courier take the run."""
        for thread in self._threads.values():
            thread.abandon()
        # A thread that hangs in a backend may still deliver: the run stays ours until it is gone.
        for thread in self._threads.values():
            thread.join(1.0)
        if all(thread.done for thread in self._threads.values()):
            self._lock.release()

    def backend(self, name: str) -> Backend | None:
        """Return the backend's object, if there is one yet."""
        thread = self._threads.get(name)
        return thread.delivery.backend if thread is not None else None
