"""Takes the reports of one source: hides the secrets in them, and passes them to the experiment.

It catches the errors of the reports, and ignores reports of child processes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from pathlib import Path
from time import time as clock
from typing import Any

from tracelet.capture.argument_secrets import ArgumentSecrets
from tracelet.capture.base import CaptureSource, warn_failure
from tracelet.capture.captured import (
    Captured,
    CapturedConfig,
    CapturedFile,
    CapturedMetric,
    CapturedParams,
    CapturedText,
    Level,
)
from tracelet.capture.command_line import parse_short_number
from tracelet.capture.held import HeldReports
from tracelet.capture.names import wanted
from tracelet.errors import InvalidValueError, NotRunningError
from tracelet.redaction import Redactor
from tracelet.settings import Settings
from tracelet.values.flatten import Flat
from tracelet.values.sections import plain_key, section_prefix

LogCaptured = Callable[[Captured], None]
"""Logs a captured value; raises NotRunningError once the run has ended."""


class RunRecorder:
    """The :class:`~tracelet.capture.base.Recorder` of one source and one run.

    Args:
        source: the class of the source.
        settings: the settings of the run.
        directory: the run's directory.
        redactor: hides the run's secrets.
        held: what is held for the run that starts next, of all sources.

    Attributes:
        facts_seen: the facts that the source has reported.
        secrets: the secrets among the arguments of the source, for the command line.
        seen: section to the names of all its arguments, if ``capture_arguments`` selects some.
    """

    def __init__(
        self,
        source: type[CaptureSource],
        settings: Settings,
        directory: Path,
        redactor: Redactor,
        held: HeldReports,
    ) -> None:
        self.settings = settings
        self.dir = directory
        self.facts_seen: dict[str, Any] = {}
        self.secrets = ArgumentSecrets(redactor)
        self.seen: dict[str, set[str]] = {}
        self._source = source.name
        self._arguments = source.arguments
        self._chosen = settings.capture_arguments if source.arguments else True
        self._redactor = redactor
        self._held = held
        self._log_captured: LogCaptured | None = None
        self._waiting: list[Captured] = []
        self._lock = threading.Lock()  # of _waiting: other threads report, too
        self._pid: int | None = os.getpid()

    def begin(self, log_captured: LogCaptured) -> None:
        """Pass on all earlier reports, and from now on each report at once."""
        with self._lock:
            waiting, self._waiting, self._log_captured = self._waiting, [], log_captured
        for one in waiting:
            self._log(one)

    def close(self) -> None:
        """Ignore all later reports."""
        self._pid = None

    def params(
        self,
        section: str,
        values: Mapping[str, Any],
        *,
        descriptions: Mapping[str, str] | None = None,
        hidden: Collection[str] = (),
        aliases: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Record the parameters that ``capture_arguments`` selects."""
        if not isinstance(self._chosen, bool):
            self.seen.setdefault(section, set()).update(values)
        recorded = wanted(values, self._chosen, section)
        # Until the command line is written, its secrets are looked for in all arguments.
        for_command_line = self._arguments and self._log_captured is None
        prefix = section_prefix(section)
        found, texts, left_out = Flat({}, {}), dict[str, str](), list[str]()
        for name, value in (values if for_command_line else recorded).items():
            key, counted = plain_key(prefix + name), self._redactor.count
            try:
                flat, is_whole = self.secrets.hide(
                    name, key, value, aliases=(aliases or {}).get(name, ()), hidden=name in hidden
                )
            except Exception as error:  # noqa: BLE001 - values and plugins are foreign code
                left_out.append(f"{key!r} is left out: {error}")
                continue
            if for_command_line:
                self.secrets.note(value, flat.values.get(key), recorded=name in recorded)
            if name not in recorded:
                self._redactor.count = counted
                continue
            if twice := found.values.keys() & flat.values.keys():
                left_out.append(f"{key!r} is left out: {min(twice)!r} is there already")
                continue
            found.values.update(flat.values)
            found.paths.update(flat.paths)
            if is_whole and descriptions and name in descriptions:  # else it may name the secret
                texts[key] = self._redactor.text(descriptions[name])
        if left_out:
            warn_failure(self._source, InvalidValueError("; ".join(left_out)))
        if found.values:
            self._record(CapturedParams(found, texts))

    def typed(
        self,
        section: str,
        texts: Mapping[str, Sequence[str]],
        *,
        hidden: Collection[str] = (),
        aliases: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Note the secrets on the command line."""
        recorded = wanted(texts, self._chosen, section)
        prefix = section_prefix(section)
        counted = self._redactor.count
        for name, given in texts.items():
            key, value = plain_key(prefix + name), [parse_short_number(text) for text in given]
            flat, _ = self.secrets.hide(
                name, key, value, aliases=(aliases or {}).get(name, ()), hidden=name in hidden
            )
            self.secrets.note(value, flat.values[key], recorded=name in recorded)
        self._redactor.count = counted  # none of these values is recorded

    def config(self, name: str, value: Any) -> None:
        """Record a configuration object."""
        self._record(CapturedConfig(name, value))

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Add to the facts of the run that begins."""
        if self._log_captured is not None:
            warn_failure(
                self._source, RuntimeError("facts must be reported before start() returns")
            )
        else:
            self.facts_seen.update(self._redactor.params(facts))

    def file(self, path: str, content: bytes, *, secrets: bool = True) -> None:
        """Record a file."""
        if os.getpid() == self._pid:
            content = self._redactor.content(content) if secrets else content
            self._record(CapturedFile(path, content))

    def text(self, line: str, level: Level = "info") -> None:
        """Record a line of the run's log."""
        self._record(CapturedText(line, level))

    def metric(
        self,
        name: str,
        value: Any,
        iteration: int | None = None,
        axis: str = "iteration",
        time: float | None = None,
    ) -> None:
        """Record a point of a metric."""
        time = clock() if time is None else time
        self._record(CapturedMetric(name, value, iteration, axis, time))

    @property
    def holding(self) -> bool:
        """Whether something is held for the run that starts next."""
        return len(self._held) > 0

    def hold(self, key: Hashable, report: Callable[[], list[str]]) -> None:
        """Hold what the program has parsed or composed again."""
        if os.getpid() == self._pid:
            self._held.hold(key, report)

    def _record(self, one: Captured) -> None:
        """Log a value; before the run has begun, queue it."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._log_captured is None:
                self._waiting.append(one)
                return
        self._log(one)

    def _log(self, one: Captured) -> None:
        assert self._log_captured is not None
        try:
            self._log_captured(one)
        except NotRunningError:
            pass  # another thread has just ended the run
        except Exception as error:  # noqa: BLE001 - values and plugins are foreign code
            several = isinstance(one, CapturedParams) and len(one.flat.values) > 1
            reason = self._log_one_by_one(one) if several else None
            warn_failure(self._source, InvalidValueError(reason) if reason else error)

    def _log_one_by_one(self, params: Captured) -> str:
        """Log each of several parameters; return the errors of those that cannot be logged."""
        assert self._log_captured is not None
        assert isinstance(params, CapturedParams)
        left_out = []
        for one in params.one_by_one():
            try:
                self._log_captured(one)
            except Exception as error:  # noqa: BLE001 - as above
                left_out.append(f"{one} is left out: {error}")
        return "; ".join(left_out)
