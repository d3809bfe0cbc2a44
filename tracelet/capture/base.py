"""What a source of captured things is, and what it reports to; without it plugins had no shape.

A source observes results. It never changes what the program sees, and an error in it is one
warning, never a failure: what it raises is caught by whoever calls it.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tracelet.capture.captured import Level
from tracelet.errors import warn
from tracelet.settings import Settings

log = logging.getLogger(__name__)


class Recorder(Protocol):
    """What a source reports to: one run, which takes what it is told as the calls of a user.

    - Secrets are hidden by the run, as everywhere: a source reports what it has seen.
    - A call may come from any thread, at any time between ``start`` and the end of ``stop``. One
      that comes later, or in a child process, is ignored: only the process that began the run
      captures.
    - Until ``start`` has returned the run is not there yet: what is reported is kept, and recorded
      in its order as soon as the run has begun.
    - No call raises. What cannot be recorded is one warning that names the source.
    """

    @property
    def settings(self) -> Settings:
        """The settings of the run: ``log_environment``, ``capture_console`` and the like."""

    @property
    def dir(self) -> Path:
        """The run's directory, absolute; its files are there once ``start`` has returned."""

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
            section: the section they are in, such as ``Args``.
            values: name to value, of any type that ``exp.log_params`` takes; nested mappings
                become dotted keys.
            descriptions: name to a text that explains it, as far as there is one.
            hidden: names whose values are secrets, whatever they are called.
            aliases: name to what else it is called, such as its options and its variable: a
                secret under one of these names is one.
        """

    def typed(
        self,
        section: str,
        texts: Mapping[str, Sequence[str]],
        *,
        hidden: Collection[str] = (),
        aliases: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Tell what the command line has: the one that is recorded must not show everything.

        Args:
            section: as for :meth:`params`.
            texts: name to the values of that argument, as they were typed.
            hidden: as for :meth:`params`.
            aliases: as for :meth:`params`.
        """

    def config(self, name: str, value: Any) -> None:
        """Record a configuration object, as ``exp.connect_configuration``."""

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Add to the facts of the run (``run.json``, and each tracker's own place for them).

        Only before ``start`` returns: a backend learns the facts when it opens the run.

        Args:
            facts: name to plain value, or to a mapping of such; ``{"git": {"commit": …}}``.
        """

    def file(self, path: str, content: bytes, *, secrets: bool = True) -> None:
        """Record a file.

        Args:
            path: its destination in the run, relative, as in ``exp.log_artifact``. Below
                ``tracelet/`` it is about the run itself: it is kept in that folder of the run's
                directory, goes to each tracker when the run ends, and counts as no artifact.
            content: what is in it; in a text, which has no zero bytes, secrets are hidden.
            secrets: whether there can be any; False keeps the content as it is.
        """

    def text(self, line: str, level: Level = "info") -> None:
        """Record a line of the run's log, as ``exp.log``."""

    def metric(
        self,
        name: str,
        value: Any,
        iteration: int | None = None,
        axis: str = "iteration",
        time: float | None = None,
    ) -> None:
        """Record a point of a metric, as ``exp.log_metric``; ``time``: seconds since the epoch."""


class CaptureSource(ABC):
    """One source of captured things, for one run; made anew for every run, without arguments.

    Only the process that begins a run has sources: no child process, and no rank above 0.

    Attributes:
        name: what it is called in the setting ``capture``; unique.
        default: whether it is on with ``capture=True``; if not, it has to be named.
        arguments: whether its parameters are arguments of the program, of which the setting
            ``capture_arguments`` takes out what is not wanted.
    """

    name: ClassVar[str]
    default: ClassVar[bool] = True
    arguments: ClassVar[bool] = False

    @abstractmethod
    def start(self, recorder: Recorder) -> None:
        """Report what was seen already, and from now on what is seen.

        Called in the training process when a run begins, before ``start_logging`` returns, so it
        must be quick; what takes longer goes into a thread. For a source that watches for modules
        it is called later, when the first of them is imported.
        """

    @abstractmethod
    def stop(self) -> None:
        """Report what is still to be said, and leave no trace; the run ends.

        Called once, and only after :meth:`start`, even if that has failed.
        """


_failed: set[str] = set()


def warn_failure(name: str, error: BaseException) -> None:
    """Warn that a source has failed: once for each source and run."""
    log.debug("the capture of %s has failed", name, exc_info=error)
    if name not in _failed:
        _failed.add(name)
        warn(f"capture of {name} has failed, the run goes on: {type(error).__name__}: {error}")


def reset_failures() -> None:
    """Forget which sources have failed: another run begins."""
    _failed.clear()
