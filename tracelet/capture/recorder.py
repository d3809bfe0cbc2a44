"""What a source reports to. It makes values of the reports, without secrets, and hands them over.

Without it a source's mistake would reach the program, or a child process would record twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
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
from tracelet.capture.command_line import as_typed
from tracelet.capture.names import wanted
from tracelet.errors import InvalidValueError, NotRunningError
from tracelet.redaction import Redactor
from tracelet.settings import Settings
from tracelet.values.flatten import Flat
from tracelet.values.sections import plain_key, section_prefix

Take = Callable[[Captured], None]
"""Logs what was captured; raises NotRunningError once the run has ended."""


class RunRecorder:
    """The :class:`~tracelet.capture.base.Recorder` of one source and one run.

    Args:
        source: the class of the source.
        settings: those of the run.
        directory: the run's directory.
        redactor: hides the run's secrets.

    Attributes:
        facts_seen: the facts that the source has reported.
        secrets: what the command line must not show of the arguments that the source knows.
        seen: section to the names of all arguments there, where not all may be wanted.
    """

    def __init__(
        self, source: type[CaptureSource], settings: Settings, directory: Path, redactor: Redactor
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
        self._take: Take | None = None
        self._waiting: list[Captured] = []
        self._lock = threading.Lock()  # of what waits: other threads report, too
        self._pid: int | None = os.getpid()

    def begin(self, take: Take) -> None:
        """Hand over what was reported before the run had begun, and from now on all at once."""
        with self._lock:
            waiting, self._waiting, self._take = self._waiting, [], take
        for one in waiting:
            self._hand_over(one)

    def close(self) -> None:
        """Record no more."""
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
        """Record parameters, but for those that ``capture_arguments`` takes out."""
        if not isinstance(self._chosen, bool):
            self.seen.setdefault(section, set()).update(values)
        recorded = wanted(values, self._chosen, section)
        # What is not recorded is looked at, too, as long as the command line is not written.
        for_command_line = self._arguments and self._take is None
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
        """Note what must not be shown of the command line."""
        recorded = wanted(texts, self._chosen, section)
        prefix = section_prefix(section)
        counted = self._redactor.count
        for name, given in texts.items():
            key, value = plain_key(prefix + name), [as_typed(text) for text in given]
            flat, _ = self.secrets.hide(
                name, key, value, aliases=(aliases or {}).get(name, ()), hidden=name in hidden
            )
            self.secrets.note(value, flat.values[key], recorded=name in recorded)
        self._redactor.count = counted  # nothing of it is recorded

    def config(self, name: str, value: Any) -> None:
        """Record a configuration object."""
        self._record(CapturedConfig(name, value))

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Add to the facts of the run that begins."""
        if self._take is not None:
            warn_failure(self._source, RuntimeError("facts are told before start() returns"))
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

    def _record(self, one: Captured) -> None:
        """Hand something over, or keep it until the run has begun."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._take is None:
                self._waiting.append(one)
                return
        self._hand_over(one)

    def _hand_over(self, one: Captured) -> None:
        assert self._take is not None
        try:
            self._take(one)
        except NotRunningError:
            pass  # the run ended just now, in another thread
        except Exception as error:  # noqa: BLE001 - values and plugins are foreign code
            several = isinstance(one, CapturedParams) and len(one.flat.values) > 1
            reason = self._each_alone(one) if several else None
            warn_failure(self._source, InvalidValueError(reason) if reason else error)

    def _each_alone(self, params: Captured) -> str:
        """Record of several parameters those that can be; say of the others why not."""
        assert self._take is not None
        assert isinstance(params, CapturedParams)
        left_out = []
        for one in params.one_by_one():
            try:
                self._take(one)
            except Exception as error:  # noqa: BLE001 - as above
                left_out.append(f"{one} is left out: {error}")
        return "; ".join(left_out)
