"""System metrics of a run, from the courier: the training process neither reads nor writes them.

Promises:

- None of their points comes behind the ending of the run (see ``RunDir.ending_lock``).
- The first points come when one interval is over, so a run that is shorter has none.
- Whatever cannot be read is left out, with one warning in the courier's log.
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
"""The seconds of the first reading. In a thread of the training process nothing is imported before:
psutil makes its tuples with ``eval``, and Python forgets in it that Ctrl-C ends the process."""


class SystemMetrics:
    """Reads and journals system metrics in a thread, until the run ends or :meth:`stop`.

    Args:
        run_dir: the run.
        began: when the run was started first, seconds since the epoch.
        process: the training process.
        interval: seconds between two readings.
        writer: where the points go; None: into a segment of their own.
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
        self._given = writer
        self._state = RunState(run_dir)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracelet-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read no more; a reading that is under way is thrown away."""
        self._over.set()

    def _run(self) -> None:
        writer = self._given
        try:
            pause = min(_FIRST_SECONDS, self._interval / 2)
            if self._over.wait(self._interval - pause):
                return
            # Start-up time: psutil, which no start of a run waits for.
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
        except Exception:  # whatever psutil, a driver or the disk did: the delivery goes on
            log.warning("there are no more system metrics of this run", exc_info=True)
        finally:
            if writer is not None and self._given is None:
                writer.close()

    def _write(self, writer: JournalWriter, found: dict[str, float]) -> bool:
        """Journal a reading; return whether the run goes on."""
        self._state.update()  # here the most of it, and what is new since then in the block
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
