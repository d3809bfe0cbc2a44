"""Adds records to a run that was loaded, and delivers them to its backends.

- A record is in the journal when the call returns, in a segment of this process.
- A run that lives, or that a courier is delivering, is left to its courier.
- A run that has ended is delivered at once: the local files by this process, the other backends by
  a courier process, which outlives this one.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator

from tracelet.backends.registry import resolve
from tracelet.courier.client import ProcessCourier
from tracelet.courier.reconcile import bring_up_to_date
from tracelet.courier.report import is_delivered
from tracelet.courier.view import refresh_view
from tracelet.errors import JournalError, TraceletError
from tracelet.journal.process import is_alive
from tracelet.journal.run_state import RunStart, RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.writer import JournalWriter
from tracelet.records import AnyRecord
from tracelet.settings import Settings

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.02
_numbers = itertools.count()


class PostRunRecords:
    """The records that one process adds to one run.

    Args:
        run_dir: the run.
        settings: for options of the backends that the journal does not have.
    """

    def __init__(self, run_dir: RunDir, settings: Settings) -> None:
        self._run_dir = run_dir
        self._settings = settings
        self._state = RunState(run_dir)
        self._courier: ProcessCourier | None = None
        self._writer: JournalWriter | None = None
        self._pid = 0

    @property
    def position(self) -> dict[str, int]:
        """The segment and offset behind the last record of this process; ``{}`` without records."""
        return self._writer.position() if self._writer is not None else {}

    def now(self) -> float:
        """Return a time after all control records of the run."""
        return self._state.update().now()

    def add(self, record: AnyRecord, *, redacted: int = 0) -> None:
        """Journal a record, and begin to deliver it.

        Args:
            record: the record.
            redacted: how many secrets were hidden in it.

        Raises:
            JournalError: the run's directory cannot be written.
        """
        writer = self._open_writer()
        lost = writer.lost
        writer.append(record)
        writer.sync()
        if writer.lost != lost or writer.gone:
            raise JournalError(f"nothing can be added to {self._run_dir.path}; see the log")
        self._deliver(redacted)

    def _open_writer(self) -> JournalWriter:
        if self._writer is None or os.getpid() != self._pid:  # after a fork, it is the parent's
            self._run_dir.check_own("nothing is added to it")
            try:
                # The run itself, or another such object, may have a segment of this process, too.
                self._writer = self._run_dir.writer(chain=f"late{next(_numbers)}")
            except OSError as error:
                place = self._run_dir.path
                raise JournalError(f"nothing can be added to {place}: {error}") from error
            self._courier = None
            self._pid = os.getpid()
        return self._writer

    def flush(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until the backends have all records; return whether so."""
        deadline = time.monotonic() + timeout
        while self._is_pending():
            if time.monotonic() > deadline:
                return False
            if self._courier is None or self._courier.exit_code is not None:
                self._deliver()
            time.sleep(_PAUSE_SECONDS)
        return True

    def close(self) -> None:
        """Close the journal; a courier delivers the rest."""
        if self._writer is None or os.getpid() != self._pid:
            return
        if self._is_pending() and self._run_dir.cursors.is_dir():
            if self._courier is not None and self._courier.exit_code is not None:
                self._courier = None  # so that a new one starts at once
            if self._courier is None:
                self._deliver()
        self._writer.close()
        if self._courier is not None:
            self._courier.release()
        self._seal()

    def _seal(self) -> None:
        """Seal this process's part of a run that has ended, unless its courier is at work."""
        lock = self._run_dir.lock()
        try:
            if self._state.status != "running" and lock.acquire():
                self._run_dir.seals.seal(ended=True)
        except OSError as error:
            log.debug("%s cannot be sealed: %s", self._run_dir.path, error)
        finally:
            lock.release()

    def _is_pending(self) -> bool:
        """Return whether a backend lacks a record of this process."""
        upto = self.position
        return not all(is_delivered(self._run_dir, name, upto) for name in self._names())

    def _names(self) -> list[str]:
        """Return the backends to which records can be delivered."""
        run_start = self._state.update().start
        if run_start is None:
            return []
        names = run_start.names
        return names if self._lives() else list(reachable(run_start, names, log.debug))

    def _lives(self) -> bool:
        run_start = self._state.start
        return (
            run_start is not None
            and self._state.status == "running"
            and is_alive(run_start.process) is not False
        )

    def _deliver(self, redacted: int = 0) -> None:
        """Deliver a run that has ended, unless a courier does: it checks for records at its end."""
        state, lock = self._state.update(), self._run_dir.lock()
        if state.start is None or self._lives():
            return
        try:
            if not lock.acquire():
                return
            bring_up_to_date(self._run_dir, state)
            refresh_view(self._run_dir, state, redacted=redacted)
        except OSError as error:
            log.warning("%s cannot be brought up to date: %s", self._run_dir.path, error)
        finally:
            lock.release()
        upto = self.position
        names = [name for name in self._names() if not is_delivered(self._run_dir, name, upto)]
        if not names:
            return
        if self._courier is None:
            given = self._settings.backends
            options = {name: state.start.options(name, given.get(name)) for name in names}
            self._courier = ProcessCourier(
                self._run_dir, options, start_timeout=self._settings.start_timeout
            )
        self._courier.ensure()


def reachable(
    run_start: RunStart, names: Iterable[str], report: Callable[[str], object]
) -> Iterator[str]:
    """Yield those of a run's backends to which any process can deliver.

    Args:
        run_start: the start of the run.
        names: the backends to check.
        report: called with a line for each backend that is left out.
    """
    for entry in run_start.backends:
        name, target = entry["name"], entry["target"]
        if name not in names:
            continue
        try:
            if target is None or resolve(target).cls.capabilities.in_process:
                report(f"{name}: only the process that logged the run can deliver to it")
                continue
        except TraceletError as error:
            report(f"{name}: {error}")
            continue
        yield name
