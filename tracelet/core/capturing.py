"""A run's automatic capture: which sources it has, and when they start and stop.

What must never happen here: an error that the program sees, or a child process that captures.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.capture import registry
from tracelet.capture.base import CaptureSource, failed, forgive
from tracelet.capture.names import mistaken
from tracelet.core.command_line import untold
from tracelet.core.names import command_line
from tracelet.core.recorder import RunRecorder
from tracelet.errors import warn

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment

_live: weakref.WeakSet[Capture] = weakref.WeakSet()


class Capture:
    """The sources of one run, in the process that begins it; around its beginning a context.

    Args:
        exp: the experiment.
        directory: the run's directory.
    """

    def __init__(self, exp: Experiment, directory: Path) -> None:
        self._exp = exp
        self._directory = directory
        self._names = registry.chosen(exp.settings)
        self._started: dict[str, tuple[CaptureSource, RunRecorder]] = {}
        self._facts: dict[str, Any] = {}
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._begun = self._stopped = False
        self._complaints: list[tuple[str, Exception]] = []
        self._seen: dict[str, set[str]] = {}

    def __enter__(self) -> Mapping[str, Any]:
        """Start the sources, and give the facts they know; within the block the run begins.

        What the sources report meanwhile is recorded at its end.
        """
        forgive()
        try:
            for name in self._names:
                self._start(name)
        except BaseException:  # a warning that is an error, or Ctrl-C
            self.stop()
            raise
        return self._facts

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.stop()
            return
        with self._lock:
            for __, recorder in self._started.values():
                recorder.open()
            self._begun = True
        _live.add(self)
        registry.listen(_needed)

    @property
    def secrets(self) -> set[str]:
        """The arguments that the command line must not show: secrets, and what is not wanted."""
        recorders = [recorder for _, recorder in self._started.values()]
        plain = set().union(*(recorder.told.plain for recorder in recorders))
        secrets = set().union(*(recorder.told.secrets for recorder in recorders))
        unwanted = set().union(*(recorder.told.unwanted for recorder in recorders))
        chosen = self._exp.settings.capture_arguments
        rest = untold(command_line(), self._exp._redactor, chosen, plain)  # noqa: SLF001
        return secrets | (unwanted - plain) | rest

    def needed(self, name: str) -> None:
        """Start a source for which there is something to capture now."""
        with self._lock:
            if self._begun and not self._stopped and name in self._names:
                self._start(name)

    def stop(self) -> None:
        """Stop the sources; the run, if it has begun, takes what they still report.

        Those that fail are told of by :meth:`complain`, when that can do no harm any more.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._stopped = True
            while self._started:
                name, (source, recorder) = self._started.popitem()
                try:
                    source.stop()
                except Exception as error:  # noqa: BLE001 - a source's mistake is not the program's
                    self._complaints.append((name, error))
                recorder.close()
                for section, names in recorder.seen.items():
                    self._seen.setdefault(section, set()).update(names)

    def complain(self) -> None:
        """Warn of sources that have failed when they were stopped, and of names nobody has."""
        complaints, self._complaints = self._complaints, []
        for name, error in complaints:
            failed(name, error)
        seen, self._seen = self._seen, {}
        chosen = self._exp.settings.capture_arguments
        said = mistaken(chosen, seen) if isinstance(chosen, Mapping) else []
        if said:
            warn(f"capture_arguments: {'; '.join(said)}")

    def _start(self, name: str) -> None:
        if name in self._started or os.getpid() != self._pid or not registry.is_needed(name):
            return
        try:
            cls = registry.load(name)
            if not cls.default and self._exp.settings.capture is True:
                return
            source = cls()
            recorder = RunRecorder(self._exp, self._directory, cls, self._facts)
            self._started[name] = source, recorder
            source.start(recorder)
            if self._begun:
                recorder.open()
        except Exception as error:  # noqa: BLE001 - a source's mistake is not the program's
            failed(name, error)


def _needed(name: str) -> None:
    for capture in list(_live):
        capture.needed(name)


def _renew_locks() -> None:
    """A lock that another thread held at the time of a fork is never released in the child."""
    for capture in _live:
        capture._lock = threading.RLock()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
