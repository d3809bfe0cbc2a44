"""Delivers to one backend in a worker process, or in a thread for a light backend.

SDKs change ``sys.excepthook``, signal handlers and environment variables, and call ``sys.exit`` and
``fork``. Only processes isolate them, and only a process can be killed during a call.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import threading
import time
from typing import Any

import msgspec

from tracelet.backends.base import Backend
from tracelet.backends.registry import ResolvedBackend, resolve
from tracelet.courier.cursor import CursorFile
from tracelet.courier.delivery import Delivery
from tracelet.courier.error_texts import full_text, one_line, redact_output
from tracelet.courier.messages import (
    BUSY,
    DONE,
    IDLE,
    RETRY,
    WAKE,
    WorkerConfig,
    close_pipes,
    read_config,
    send,
    start_process,
)
from tracelet.courier.retrying import DEGRADED_AFTER, LINGER_SECONDS, backoff
from tracelet.errors import TraceletError
from tracelet.journal.files import FileLock
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import RunInfo

log = logging.getLogger(__name__)


class DeliveryThread:
    """The delivery to one backend in a daemon thread of this process."""

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
        self._delivery = Delivery(run_dir, found, run, options, wait=self._wait, linger=linger)
        self._thread = threading.Thread(
            target=self._run, name=f"tracelet-{found.name}", daemon=True
        )
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether the delivery has ended."""
        return not self._thread.is_alive()

    @property
    def backend(self) -> Backend | None:
        """The backend's object; None if it was not created yet."""
        return self._delivery.backend

    def wake(self) -> None:
        """Deliver now."""
        self._news.set()

    def retry_now(self) -> None:
        """Try a failing backend now."""
        self._delivery.retry_now()
        self._news.set()

    def abandon(self) -> None:
        """End the delivery as soon as the present call returns."""
        self._stop = True
        self._news.set()

    def join(self, timeout: float) -> None:
        """Wait until the delivery has ended, for ``timeout`` seconds at most."""
        self._thread.join(timeout)

    def _wait(self, seconds: float) -> bool:
        self._news.wait(seconds)
        self._news.clear()
        return self._stop

    def _run(self) -> None:
        try:
            self._delivery.run()
        except BaseException as error:  # noqa: BLE001 - no error may end the thread silently
            log.error(  # noqa: TRY400 - with its secrets hidden
                "the delivery to %s has failed: %s", self.name, full_text(error)
            )
            self._cursor.note("gave up", one_line(error))


class WorkerProcess:
    """Starts the worker of one backend, restarts it if it dies, kills it if it hangs.

    Args:
        run_dir: the run.
        name: the backend's name.
        config: sent to the worker.

    Attributes:
        done: whether the worker has delivered everything, or this object has given up.
    """

    def __init__(self, run_dir: RunDir, name: str, config: WorkerConfig) -> None:
        self.name = name
        self.done = False
        self._run_dir = run_dir
        self._cursor = CursorFile(run_dir.cursors, name)
        self._config = config
        self._ends = 0  # ends of the worker in a row, without a record delivered between
        self._ending_since = 0.0
        self._start_at = 0.0
        self._deadline: float | None = None
        self._start_timeout = config.start_timeout
        self._is_starting = False
        self._process: subprocess.Popen[bytes] | None = None
        self._delivered = -1

    def tick(self, *, run_is_over: bool) -> None:
        """Start the process if it is time to, read its messages, kill it if it hangs."""
        now = time.monotonic()
        if self.done:
            return
        if self._process is None:
            if run_is_over and self._ends and now - self._ending_since > self._config.linger:
                self._cursor.note("gave up", "its worker keeps ending; see courier.log")
                self.done = True
            elif now >= self._start_at:
                self._start(now)
            return
        self._read_messages(self._process, now)
        code = self._process.poll()
        if code is not None:
            self._ended(self._process, code, now)
            if code != DONE and self._ends >= DEGRADED_AFTER:
                error = f"its worker keeps ending, now with code {code}; see courier.log"
                self._cursor.note("degraded", error)
        elif self._deadline is not None and now > self._deadline:
            self._process.kill()
            code = self._process.wait()
            # Not before: a living worker writes the cursor itself.
            self._cursor.note("hung", self._hung_reason())
            self._ended(self._process, code, now)

    def _hung_reason(self) -> str:
        """Return why the worker was killed; a start that took too long gets more time next."""
        if not self._is_starting:
            return "no answer within twice its time bound; the worker was ended"
        seconds, self._start_timeout = self._start_timeout, 2 * self._start_timeout
        return (
            f"it took longer than {seconds:g} s to start; the next start may take "
            f"{self._start_timeout:g} s. The setting start_timeout gives it more"
        )

    def wake(self) -> None:
        """Have the worker deliver now."""
        if self._process is not None:
            send(self._process, WAKE)

    def retry_now(self) -> None:
        """Have the worker try a failing backend now; start it now if it waits for that."""
        self._start_at = 0.0
        if self._process is not None:
            send(self._process, RETRY)

    def _start(self, now: float) -> None:
        try:
            config = msgspec.structs.replace(self._config, start_timeout=self._start_timeout)
            self._process = start_process(self._run_dir, config, backend=self.name)
        except OSError as error:  # this user's limit of processes or files is reached
            log.warning("the worker of %s cannot be started: %s", self.name, error)
            self._postpone_start(now)
        else:
            self._deadline = now + self._start_timeout
            self._is_starting = True

    def _read_messages(self, process: subprocess.Popen[bytes], now: float) -> None:
        """Set the deadline from the worker's last message, if there is a new one."""
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        received = b""
        while select.select([pipe], [], [], 0)[0] and (new := os.read(pipe, 65536)):
            received = (received + new)[-4096:]
        messages = received.split(b"\n")[:-1]
        if messages:
            last = messages[-1].split()
            is_busy = len(last) == 2 and last[0] == BUSY
            self._deadline = now + float(last[1]) if is_busy else None
            self._is_starting = self._is_starting and IDLE not in messages

    def _ended(self, process: subprocess.Popen[bytes], code: int, now: float) -> None:
        close_pipes(process)
        self._process = None
        if code == DONE:
            self.done = True
            return
        pause = self._postpone_start(now)
        log.warning(
            "the worker of %s ended with code %d, and is started again in %.1f s",
            self.name,
            code,
            pause,
        )

    def _postpone_start(self, now: float) -> float:
        """Set the time of the next start: now if records were delivered, else with backoff.

        Returns:
            The seconds until then.
        """
        delivered = self._cursor.load().delivered
        self._ends = 1 if delivered > self._delivered else self._ends + 1
        self._delivered = delivered
        if self._ends == 1:
            self._ending_since = now
        pause = 0.0 if self._ends == 1 else backoff(self._ends - 1)
        self._start_at = now + pause
        return pause


def work(run_dir: RunDir, backend: str) -> int:
    """Deliver to one backend until the run has ended; return the exit code of the worker."""
    to_courier = os.dup(1)
    os.dup2(2, 1)  # the output of an SDK belongs in the log
    config = read_config(sys.stdin.buffer)
    start = RunState(run_dir).update().start
    if start is None:
        log.error("%s holds no run", run_dir.path)
        return 2
    target = next(entry["target"] for entry in start.backends if entry["name"] == backend)
    try:
        found = resolve(target)
    except TraceletError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is complete
        return 2
    lock = FileLock(run_dir.cursors / f"{backend}.lock")
    news = threading.Event()
    retry = threading.Event()
    threading.Thread(target=_follow_courier, args=(news, retry), daemon=True).start()
    while not lock.acquire():  # the worker of a killed courier exits soon
        news.wait(0.1)

    def wait(seconds: float) -> bool:
        news.wait(seconds)
        news.clear()
        if retry.is_set():
            retry.clear()
            delivery.retry_now()
        return False

    def watch(seconds: float | None) -> None:
        message = IDLE + b"\n" if seconds is None else BUSY + b" %.3f\n" % seconds
        try:
            os.write(to_courier, message)
        except BrokenPipeError:  # the courier is gone
            os._exit(1)

    delivery = Delivery(
        run_dir,
        found,
        start.run,
        start.options(backend, config.options.get(backend)),
        wait=wait,
        watch=watch,
        linger=config.linger,
        start_timeout=config.start_timeout,
    )
    delivery.run()
    watch(2 * found.cls.capabilities.time_bound)  # an SDK can hang in its exit hooks, too
    return DONE


def _follow_courier(news: threading.Event, retry: threading.Event) -> None:
    """Set ``news`` for each message of the courier; exit when the courier is gone.

    ``retry`` is set first if the message is that a failing backend is to be tried now.
    """
    while message := os.read(0, 4096):
        if RETRY in message:
            retry.set()
        news.set()
    os._exit(1)


def main(run_dir: RunDir, backend: str) -> int:
    """Run as ``python -m tracelet courier RUN_DIR --backend NAME``."""
    redact_output()
    logging.basicConfig(format=f"%(asctime)s {backend}: %(message)s", level=logging.INFO)
    return work(run_dir, backend)
