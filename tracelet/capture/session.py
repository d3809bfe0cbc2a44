"""The automatic capture of one run: starts its sources, and stops them.

No error of a source reaches the program, and no child process captures.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracelet.capture import registry
from tracelet.capture.base import CaptureSource, reset_failures, warn_failure
from tracelet.capture.command_line import command_line, guess_secret_values, redacted
from tracelet.capture.held import BeforeLog, HeldReports, claim
from tracelet.capture.names import misspelt
from tracelet.capture.recorder import LogCaptured, RunRecorder
from tracelet.errors import warn
from tracelet.redaction import Redactor
from tracelet.settings import Settings

_sessions: weakref.WeakSet[CaptureSession] = weakref.WeakSet()


class CaptureSession:
    """The sources of one run, in the process that begins it.

    :meth:`start` starts them, before the run begins. :meth:`begin` passes on what they have
    reported until then, and later reports at once. :meth:`stop` stops them.

    What a run holds for the next one (see :meth:`Recorder.hold`) is that of the run that starts
    next in this process. If none does, a warning at the end of the program says so.

    Args:
        settings: the settings of the run.
        directory: the run's directory.
        redactor: hides the run's secrets.
    """

    def __init__(self, settings: Settings, directory: Path, redactor: Redactor) -> None:
        self._settings = settings
        self._directory = directory
        self._redactor = redactor
        self._names = registry.chosen(settings)
        self._started: dict[str, tuple[CaptureSource, RunRecorder]] = {}
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._log_captured: LogCaptured | None = None
        self._stopped = False
        self._held = HeldReports(directory.name, settings.on_param_conflict)
        self._failures: list[tuple[str, Exception]] = []
        self._seen: dict[str, set[str]] = {}

    def start(self) -> None:
        """Start the sources; if it raises, e.g. on Ctrl-C, :meth:`stop` has to be called, too."""
        reset_failures()
        claim()
        for session in list(_sessions):
            session.drop_held()
        for name in self._names:
            self._start(name)

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that the sources have reported, by name."""
        found: dict[str, Any] = {}
        for _, recorder in self._started.values():
            found.update(recorder.facts_seen)
        return found

    def command_line(self) -> list[str]:
        """Return the command line without secrets, and without unwanted arguments."""
        arguments = [recorder.secrets for _, recorder in self._started.values()]
        plain = set[str]().union(*(one.plain for one in arguments))
        secrets = set[str]().union(*(one.secrets for one in arguments))
        unwanted = set[str]().union(*(one.unwanted for one in arguments))
        chosen, argv = self._settings.capture_arguments, command_line()
        guessed = guess_secret_values(argv, self._redactor, chosen, plain)
        return redacted(argv, self._redactor, secrets | (unwanted - plain) | guessed)

    def begin(self, log_captured: LogCaptured, before_log: BeforeLog) -> None:
        """Pass on what was captured so far, and from now on each captured value at once.

        Args:
            log_captured: logs a captured value.
            before_log: has a function called before the calling thread logs something to the run.
        """
        self._held.begin(before_log)
        with self._lock:
            self._log_captured = log_captured
            for _, recorder in self._started.values():
                recorder.begin(log_captured)
        _sessions.add(self)
        registry.listen(_start_in_all)

    def start_late(self, name: str) -> None:
        """Start a source whose watched module was imported during the run."""
        with self._lock:
            if self._log_captured is not None and not self._stopped and name in self._names:
                self._start(name)

    def drop_held(self) -> None:
        """Drop what is held: another run has started, and has taken it."""
        self._held.drop()

    def merge_held(self, say: Callable[[str], object] = warn) -> None:
        """Report what is held to this run: no other has started before its end.

        Args:
            say: gives a message about it to the user.
        """
        if os.getpid() == self._pid:
            self._held.merge(say)

    def stop(self) -> None:
        """Stop the sources; a run that has begun logs their last reports.

        Errors are kept for :meth:`warn_failures`.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._stopped = True
            self._held.leave()
            while self._started:
                name, (source, recorder) = self._started.popitem()
                try:
                    source.stop()
                except Exception as error:  # noqa: BLE001 - a source's mistake is not the program's
                    self._failures.append((name, error))
                recorder.close()
                for section, names in recorder.seen.items():
                    self._seen.setdefault(section, set()).update(names)

    def warn_failures(self) -> None:
        """Warn of sources that failed in :meth:`stop`, and of misspelt ``capture_arguments``."""
        failures, self._failures = self._failures, []
        for name, error in failures:
            warn_failure(name, error)
        seen, self._seen = self._seen, {}
        chosen = self._settings.capture_arguments
        mistakes = misspelt(chosen, seen) if isinstance(chosen, Mapping) else []
        if mistakes:
            warn(f"capture_arguments: {'; '.join(mistakes)}")

    def renew_lock(self) -> None:
        """Replace the lock in a forked child: a thread of the parent may have held it."""
        self._lock = threading.RLock()

    def _start(self, name: str) -> None:
        if name in self._started or os.getpid() != self._pid or not registry.is_needed(name):
            return
        try:
            cls = registry.load(name)
            if not cls.default and self._settings.capture is True:
                return
            source = cls()
            recorder = RunRecorder(cls, self._settings, self._directory, self._redactor, self._held)
            self._started[name] = source, recorder
            source.start(recorder)
            if self._log_captured is not None:
                recorder.begin(self._log_captured)
        except Exception as error:  # noqa: BLE001 - a source's mistake is not the program's
            warn_failure(name, error)


def _start_in_all(name: str) -> None:
    for session in list(_sessions):
        session.start_late(name)


def _renew_locks() -> None:
    for session in _sessions:
        session.renew_lock()


os.register_at_fork(after_in_child=_renew_locks)
