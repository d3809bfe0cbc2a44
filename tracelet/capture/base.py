"""The interface of a source of automatic capture, and of the recorder that it reports to.

A source only observes the program. It must not change what the program sees. The caller of a source
catches its errors, and each source gives one warning.
"""

from __future__ import annotations

import logging
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tracelet.capture.captured import Level
from tracelet.errors import warn
from tracelet.settings import Settings

log = logging.getLogger(__name__)


class Recorder(Protocol):
    """Takes the reports of a source for one run, like the calls of a user.

    - The run hides secrets: a source reports values as they are.
    - A source may call from any thread, between ``start`` and the end of ``stop``. A later call, or
      one in a child process, is ignored: only the process that began the run captures.
    - Before ``start`` has returned, the run has not begun: reports are queued, and recorded in
      their order when it begins.
    - No call raises. If a report cannot be recorded, a warning names the source.
    """

    @property
    def settings(self) -> Settings:
        """The settings of the run, e.g. ``log_environment``."""

    @property
    def dir(self) -> Path:
        """The run's directory, absolute; its files exist once ``start`` has returned."""

    def params(
        self,
        section: str,
        values: Mapping[str, Any],
        *,
        descriptions: Mapping[str, str] | None = None,
        hidden: Collection[str] = (),
        aliases: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Record parameters.

        Args:
            section: their section, e.g. ``Args``.
            values: name to value, of any type that ``exp.log_params`` takes; nested mappings
                become dotted keys.
            descriptions: name to help text, where there is one.
            hidden: names whose values are secrets in any case.
            aliases: name to its other names, e.g. its options and its variable: if one of these is
                the name of a secret, the value is a secret.
        """

    def typed(
        self,
        section: str,
        texts: Mapping[str, Sequence[str]],
        *,
        hidden: Collection[str] = (),
        aliases: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Report the values on the command line, so that the recorded one hides secrets.

        Args:
            section: as for :meth:`params`.
            texts: name to the values of that argument on the command line.
            hidden: as for :meth:`params`.
            aliases: as for :meth:`params`.
        """

    def config(self, name: str, value: Any) -> None:
        """Record a configuration object, like ``exp.connect_configuration``."""

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Add to the facts of the run (``run.json``, and each tracker's own place for them).

        Only before ``start`` returns: a backend gets the facts when it opens the run.

        Args:
            facts: name to plain value, or to a mapping of plain values: ``{"git": {"commit": …}}``.
        """

    def file(self, path: str, content: bytes, *, secrets: bool = True) -> None:
        """Record a file.

        Args:
            path: its destination in the run, relative, as in ``exp.log_artifact``. A file below
                ``tracelet/`` is about the run itself: it is stored in that folder of the run's
                directory and, at the end of the run, in each tracker. It is no artifact.
            content: the content; secrets are hidden unless it has zero bytes.
            secrets: whether there can be secrets; False stores the content as it is.
        """

    def text(self, line: str, level: Level = "info") -> None:
        """Record a line of the run's log, like ``exp.log``."""

    def metric(
        self,
        name: str,
        value: Any,
        iteration: int | None = None,
        axis: str = "iteration",
        time: float | None = None,
    ) -> None:
        """Record a point of a metric, like ``exp.log_metric``; ``time`` is in seconds."""

    @property
    def holding(self) -> bool:
        """Whether something is held for the run that starts next; see :meth:`hold`."""

    def hold(self, key: Hashable, report: Callable[[], list[str]]) -> None:
        """Hold what the program has parsed or composed again: the next run may be meant.

        If another run starts next, it has to find this by itself. If this thread logs something to
        this run first, or the run ends with its block or its program, ``report`` is called.

        Args:
            key: what is parsed or composed; a later call replaces what is held under this key.
            report: reports it, and returns the names of what has changed or is new, for a warning.
        """


class CaptureSource(ABC):
    """One source of automatic capture in one run. Every run makes a new one, without arguments.

    Only the process that begins a run has sources: no child process, and no rank above 0.

    Attributes:
        name: its name in the setting ``capture``; unique.
        default: whether it is on with ``capture=True``; if not, the setting has to name it.
        arguments: whether its parameters are arguments of the program, which the setting
            ``capture_arguments`` selects.
    """

    name: ClassVar[str]
    default: ClassVar[bool] = True
    arguments: ClassVar[bool] = False

    @abstractmethod
    def start(self, recorder: Recorder) -> None:
        """Report what is known already, and begin to observe.

        Called in the training process when a run begins, before ``start_logging`` returns. It must
        be quick: use a thread for slow work. For a source that watches modules it is called when
        the first of them is imported.
        """

    @abstractmethod
    def stop(self) -> None:
        """Report the rest, and stop observing: the run ends.

        Called once, after :meth:`start`, even if that has failed.
        """


_failed: set[str] = set()


def warn_failure(name: str, error: BaseException) -> None:
    """Warn that a source has failed, once for each source and run."""
    log.debug("the capture of %s has failed", name, exc_info=error)
    if name not in _failed:
        _failed.add(name)
        warn(f"capture of {name} has failed, the run goes on: {type(error).__name__}: {error}")


class warn_on_failure:  # noqa: N801 - it is used like a function
    """A context in which an error is one warning, as :func:`warn_failure` gives.

    In it is what runs foreign code: values, parsers and configurations of the program.

    Args:
        name: the source.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        warn_failure(self._name, error)
        return True


def reset_failures() -> None:
    """Clear the failed sources: another run begins."""
    _failed.clear()
