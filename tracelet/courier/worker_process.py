"""The courier's end of a worker process: keeps it alive, and within its time bounds."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import time

from tracelet.courier.cursor import CursorFile
from tracelet.courier.messages import BUSY, DONE, WAKE, Orders, launch, tell
from tracelet.courier.retry import DEGRADED_AFTER, backoff
from tracelet.journal.rundir import RunDir

log = logging.getLogger(__name__)

START_SECONDS = 120.0
"""How long a worker may take from its start to its first call: SDKs import for many seconds."""


class WorkerProcess:
    """The worker of one backend of a run.

    Args:
        run_dir: the run.
        name: the backend's.
        orders: for the worker, too.

    Attributes:
        done: whether there is nothing left to do for it.
    """

    def __init__(self, run_dir: RunDir, name: str, orders: Orders) -> None:
        self.name = name
        self.done = False
        self._run_dir = run_dir
        self._cursor = CursorFile(run_dir.cursors, name)
        self._orders = orders
        self._ends = 0
        self._ending_since = 0.0
        self._start_at = 0.0
        self._deadline: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._delivered = -1

    def tick(self, *, run_is_over: bool) -> None:
        """Start the process if it is time to, read what it says, end it if it hangs."""
        now = time.monotonic()
        if self.done:
            return
        if self._process is None:
            if run_is_over and self._ends and now - self._ending_since > self._orders.linger:
                self._cursor.note("gave up", "its worker keeps ending; see courier.log")
                self.done = True
            elif now >= self._start_at:
                self._start(now)
            return
        self._listen(now)
        code = self._process.poll()
        if code is not None:
            self._ended(code, now)
            if code != DONE and self._ends >= DEGRADED_AFTER:
                error = f"its worker keeps ending, now with code {code}; see courier.log"
                self._cursor.note("degraded", error)
        elif self._deadline is not None and now > self._deadline:
            self._process.kill()
            code = self._process.wait()
            # Only now: what it had written into the cursor meanwhile would be undone.
            self._cursor.note("hung", "no answer within twice its time bound; the worker was ended")
            self._ended(code, now)

    def wake(self) -> None:
        """There is something to deliver now."""
        if self._process is not None:
            tell(self._process, WAKE)

    def _start(self, now: float) -> None:
        try:
            self._process = launch(
                self._run_dir.path, self._orders, self._run_dir.courier_log, backend=self.name
            )
        except OSError as error:  # no process or no file more for this user
            log.warning("the worker of %s cannot be started: %s", self.name, error)
            self._put_off(now)
        else:
            self._deadline = now + START_SECONDS

    def _listen(self, now: float) -> None:
        assert self._process is not None and self._process.stdout is not None  # noqa: PT018
        pipe = self._process.stdout.fileno()
        said = b""
        while select.select([pipe], [], [], 0)[0]:
            heard = os.read(pipe, 65536)
            if not heard:
                break
            said = (said + heard)[-4096:]
        words = said.split(b"\n")[:-1]
        if words:
            last = words[-1].split()
            busy = len(last) == 2 and last[0] == BUSY
            self._deadline = now + 2 * float(last[1]) if busy else None

    def _ended(self, code: int, now: float) -> None:
        assert self._process is not None
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a word that was not read any more
                    pipe.close()
        self._process = None
        if code == DONE:
            self.done = True
            return
        pause = self._put_off(now)
        log.warning(
            "the worker of %s ended with code %d, and is started again in %.1f s",
            self.name,
            code,
            pause,
        )

    def _put_off(self, now: float) -> float:
        """Set the time of the next start, later each time unless something was delivered."""
        cursor = self._cursor.load()
        self._ends = 1 if cursor.delivered > self._delivered else self._ends + 1
        self._delivered = cursor.delivered
        if self._ends == 1:
            self._ending_since = now
        pause = 0.0 if self._ends == 1 else backoff(self._ends - 1)
        self._start_at = now + pause
        return pause
