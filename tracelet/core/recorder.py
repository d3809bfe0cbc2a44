"""What a source of capture reports to: its reports become calls of the experiment, or a warning.

Without it a source's mistake would reach the program, or a child process would record twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from time import time as clock
from typing import TYPE_CHECKING, Any

from tracelet.capture.base import CaptureSource, Level, failed
from tracelet.capture.names import wanted
from tracelet.core.artifacts import safe_destination
from tracelet.core.command_line import as_typed
from tracelet.core.parameter_calls import foreign_params
from tracelet.core.told import Told
from tracelet.errors import InvalidValueError, NotRunningError
from tracelet.journal.rundir import ABOUT
from tracelet.records import Artifact
from tracelet.settings import Settings
from tracelet.values.flatten import flatten
from tracelet.values.sections import plain_key, section_prefix

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment


class RunRecorder:
    """The :class:`~tracelet.capture.base.Recorder` of one source and one run.

    Args:
        exp: the run's experiment.
        directory: the run's directory.
        source: the class of the source.
        facts: takes the facts.

    Attributes:
        told: what the source has reported of arguments before the run had begun.
        seen: section to the names of all arguments there, where not all may be wanted.
    """

    def __init__(
        self,
        exp: Experiment,
        directory: Path,
        source: type[CaptureSource],
        facts: dict[str, Any],
    ) -> None:
        self._exp = exp
        self._source = source.name
        self._arguments = source.arguments
        self._chosen = exp.settings.capture_arguments if source.arguments else True
        self._facts: dict[str, Any] | None = facts
        self._waiting: list[Callable[[], object]] | None = []
        self._lock = threading.Lock()  # of what waits: other threads report, too
        self._pid: int | None = os.getpid()
        self.settings: Settings = exp.settings
        self.dir = directory
        self.told = Told(exp._redactor)  # noqa: SLF001 - the run's own
        self.seen: dict[str, set[str]] = {}

    def open(self) -> None:
        """Record what was reported before the run had begun; from now on it is done at once."""
        with self._lock:
            waiting, self._waiting, self._facts = self._waiting, None, None
        for report in waiting or ():
            self._do(report)

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
        left = wanted(values, self._chosen, section)
        if self._arguments and self._waiting is not None:
            self._note(values, left, hidden, aliases)
        texts = dict(descriptions or {})
        for name, value in left.items():
            shown = self.told.without_secrets(name, value, aliases or {}, hidden=name in hidden)
            if shown is not value:
                left[name] = shown
                texts.pop(name, None)  # it may name the secret
        if left:
            self._do(lambda: self._params(section, left, texts))

    def typed(
        self,
        section: str,
        texts: Mapping[str, Sequence[str]],
        *,
        hidden: Collection[str] = (),
        aliases: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Note what must not be shown of the command line."""
        values = {name: [as_typed(text) for text in given] for name, given in texts.items()}
        self._note(values, wanted(values, self._chosen, section), hidden, aliases)

    def _note(
        self,
        values: Mapping[str, Any],
        left: Collection[str],
        hidden: Collection[str],
        aliases: Mapping[str, Collection[str]] | None,
    ) -> None:
        for name, value in values.items():
            self.told.note(name, value, aliases or {}, hidden=name in hidden, wanted=name in left)

    def config(self, name: str, value: Any) -> None:
        """Record a configuration object."""
        self._do(lambda: self._exp.connect_configuration(value, name))

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Add to the facts of the run that begins."""
        if self._facts is None:
            failed(self._source, RuntimeError("facts are told before start() returns"))
        else:
            self._facts.update(self._exp._redactor.params(facts))  # noqa: SLF001 - the run's own

    def file(self, path: str, content: bytes, *, secrets: bool = True) -> None:
        """Record a file."""
        self._do(lambda: self._file(path, content, secrets=secrets))

    def text(self, line: str, level: Level = "info") -> None:
        """Record a line of the run's log."""
        self._do(lambda: self._exp.log(line, level))

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
        self._do(lambda: self._exp.log_metric(name, value, iteration, axis=axis, time=time))

    def _do(self, report: Callable[[], object]) -> None:
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(report)
                return
        try:
            report()
        except NotRunningError:
            pass  # the run ended just now, in another thread
        except Exception as error:  # noqa: BLE001 - values and plugins are foreign code
            failed(self._source, error)

    def _params(
        self, section: str, values: dict[str, Any], descriptions: Mapping[str, str]
    ) -> None:
        prefix = section_prefix(section)
        keyed = {plain_key(prefix + name): value for name, value in values.items()}
        texts = {plain_key(prefix + name): text for name, text in descriptions.items()}
        try:
            self._exp.params.merge(flatten(keyed, foreign=foreign_params), texts)
        except NotRunningError:
            raise
        except Exception as error:  # what can be recorded without it, is
            left_out = []
            for key, value in keyed.items() if len(keyed) > 1 else ():
                try:
                    self._exp.params.merge(flatten({key: value}, foreign=foreign_params), texts)
                except Exception as its_own:  # noqa: BLE001
                    left_out.append(f"{key!r} is left out: {its_own}")
            raise InvalidValueError("; ".join(left_out) or f"{[*keyed]}: {error}") from error

    def _file(self, path: str, content: bytes, *, secrets: bool) -> None:
        session, redactor = self._exp._session, self._exp._redactor  # noqa: SLF001 - the run's own
        if session is None:
            return
        if secrets:
            content = redactor.content(content)
        place = safe_destination(path)
        with self._exp._counting_losses():  # noqa: SLF001 - as a file that the user logs
            if place.startswith(f"{ABOUT}/"):
                session.run_dir.put_about(place, content)
                return
            digest = session.run_dir.blobs.put_bytes(content)
            self._exp._write(Artifact(clock(), place, digest, len(content)))  # noqa: SLF001
