"""Logs system metrics to a run's journal, from the courier.

Promises:

- No point of them comes after the ending of the run (see ``RunDir.ending_lock``).
- The first points come after one interval, so a shorter run has no such points.
- A value that cannot be read is left out, with one warning in the courier's log.
"""

from __future__ import annotations

import logging
import threading
import time

from tracelet.journal.process import ProcessId, is_alive
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.writer import JournalWriter
from tracelet.records import Metric, encode_points

log = logging.getLogger(__name__)

SECTION = "system"
AXIS = "seconds"
"""The x-axis of system metrics: whole seconds since the run was started first."""
_FIRST_SECONDS = 1.0
"""The length of the first reading. A thread of the training process imports psutil only then: in
the ``eval`` with which psutil makes its tuples, Python can lose a Ctrl-C."""


class SystemMetrics:
    """Reads and journals system metrics in a thread, until the run ends or :meth:`stop`.

    Args:
        run_dir: the run.
        began: when the run was started first, in seconds since the epoch.
        process: the training process.
        interval: seconds between two readings.
        writer: writes the points; None: they get a segment of their own.
    """

    def __init__(
        self,
        run_dir: RunDir,
        began: float,
        process: ProcessId,
        interval: float,
        writer: JournalWriter | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._began = began
        self._process = process
        self._interval = interval
        self._given_writer = writer
        self._state = RunState(run_dir)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracelet-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; a reading that has begun is discarded."""
        self._over.set()

    def _run(self) -> None:
        writer = self._given_writer
        try:
            pause = min(_FIRST_SECONDS, self._interval / 2)
            if self._over.wait(self._interval - pause):
                return
            # Start-up time: it imports psutil.
            from tracelet.courier.readings import Readings

            readings = Readings(self._process["pid"], self._run_dir.path)
            while not self._over.wait(pause):
                pause = self._interval
                found = readings.take()
                if writer is None:
                    writer = self._run_dir.writer()
                if not self._write(writer, found):
                    break
            readings.close()
        except Exception:  # an error of psutil or a driver must not stop the delivery
            log.warning("there are no more system metrics of this run", exc_info=True)
        finally:
            if writer is not None and self._given_writer is None:
                writer.close()

    def _write(self, writer: JournalWriter, found: dict[str, float]) -> bool:
        """Journal a reading; return whether the run still runs."""
        self._state.update()  # most of the work, so that the lock is held for a short time
        with self._run_dir.ending_lock():
            state = self._state.update()
            ends = self._over.is_set() or state.status != "running" or state.pending_exit
            if ends or is_alive(self._process) is not True:
                return False
            now = time.time()
            seconds = int(now - self._began)
            points = [
                Metric(now, f"{SECTION}/{name}", float(value), seconds, AXIS)
                for name, value in found.items()
            ]
            if points:
                writer.append_lines(encode_points(points), len(points), now)
            return True
