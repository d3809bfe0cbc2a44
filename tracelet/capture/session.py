"""A run's automatic capture: which sources it has, when they start and when they stop.

What must never happen here: an error that the program sees, or a child process that captures.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracelet.capture import registry
from tracelet.capture.base import CaptureSource, reset_failures, warn_failure
from tracelet.capture.command_line import command_line, guess_secret_values, redacted
from tracelet.capture.names import mistaken
from tracelet.capture.recorder import RunRecorder, Take
from tracelet.errors import warn
from tracelet.redaction import Redactor
from tracelet.settings import Settings

_sessions: weakref.WeakSet[CaptureSession] = weakref.WeakSet()


class CaptureSession:
    """The sources of one run, in the process that begins it.

    :meth:`start` starts them, before the run has begun; :meth:`begin` hands over what they have
    reported by then, and later reports as they come; :meth:`stop` stops them.

    Args:
        settings: those of the run.
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
        self._take: Take | None = None
        self._stopped = False
        self._failures: list[tuple[str, Exception]] = []
        self._seen: dict[str, set[str]] = {}

    def start(self) -> None:
        """Start the sources."""
        reset_failures()
        try:
            for name in self._names:
                self._start(name)
        except BaseException:  # a warning that is an error, or Ctrl-C
            self.stop()
            raise

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of the run that the sources have reported, by name."""
        found: dict[str, Any] = {}
        for _, recorder in self._started.values():
            found.update(recorder.facts_seen)
        return found

    def command_line(self) -> list[str]:
        """Return the command line without secrets, and without what is not to be recorded."""
        arguments = [recorder.secrets for _, recorder in self._started.values()]
        plain = set[str]().union(*(one.plain for one in arguments))
        secrets = set[str]().union(*(one.secrets for one in arguments))
        unwanted = set[str]().union(*(one.unwanted for one in arguments))
        chosen, argv = self._settings.capture_arguments, command_line()
        guessed = guess_secret_values(argv, self._redactor, chosen, plain)
        return redacted(argv, self._redactor, secrets | (unwanted - plain) | guessed)

    def begin(self, take: Take) -> None:
        """Hand over what was captured until now, and from now on whatever is, at once.

        Args:
            take: logs it.
        """
        with self._lock:
            self._take = take
            for _, recorder in self._started.values():
                recorder.begin(take)
        _sessions.add(self)
        registry.listen(_start_in_all)

    def start_late(self, name: str) -> None:
        """Start a source for which there is something to capture now."""
        with self._lock:
            if self._take is not None and not self._stopped and name in self._names:
                self._start(name)

    def stop(self) -> None:
        """Stop the sources; the run, if it has begun, takes what they still report.

        :meth:`warn_failures` tells of those that fail, when that can do no harm any more.
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
                    self._failures.append((name, error))
                recorder.close()
                for section, names in recorder.seen.items():
                    self._seen.setdefault(section, set()).update(names)

    def warn_failures(self) -> None:
        """Warn of sources that have failed when they were stopped, and of names nobody has."""
        failures, self._failures = self._failures, []
        for name, error in failures:
            warn_failure(name, error)
        seen, self._seen = self._seen, {}
        chosen = self._settings.capture_arguments
        mistakes = mistaken(chosen, seen) if isinstance(chosen, Mapping) else []
        if mistakes:
            warn(f"capture_arguments: {'; '.join(mistakes)}")

    def renew_lock(self) -> None:
        """Replace the lock in a forked child, where it is never released if a thread held it."""
        self._lock = threading.RLock()

    def _start(self, name: str) -> None:
        if name in self._started or os.getpid() != self._pid or not registry.is_needed(name):
            return
        try:
            cls = registry.load(name)
            if not cls.default and self._settings.capture is True:
                return
            source = cls()
            recorder = RunRecorder(cls, self._settings, self._directory, self._redactor)
            self._started[name] = source, recorder
            source.start(recorder)
            if self._take is not None:
                recorder.begin(self._take)
        except Exception as error:  # noqa: BLE001 - a source's mistake is not the program's
            warn_failure(name, error)


def _start_in_all(name: str) -> None:
    for session in list(_sessions):
        session.start_late(name)


def _renew_locks() -> None:
    for session in _sessions:
        session.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
