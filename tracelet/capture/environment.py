"""Captures the environment variables that the setting ``log_environment`` asks for, no others."""

from __future__ import annotations

import logging
import os
from fnmatch import fnmatchcase

from tracelet.capture.base import CaptureSource, Recorder
from tracelet.hookspecs import hookimpl

log = logging.getLogger(__name__)


class EnvironmentCapture(CaptureSource):
    """The variables as they are when the run begins, in the section ``Environment``."""

    name = "environment"

    def start(self, recorder: Recorder) -> None:
        found: dict[str, str] = {}
        for glob in recorder.settings.log_environment:
            # Only names in capitals on Windows; elsewhere a letter's case counts.
            matching = [name for name in os.environ if fnmatchcase(name, glob.removeprefix("!"))]
            if not matching:
                log.debug("log_environment: no variable matches %r", glob)
            for name in matching:
                found[name] = os.environ[name]
        excluded = [glob[1:] for glob in recorder.settings.log_environment if glob.startswith("!")]
        for name in list(found):
            if any(fnmatchcase(name, glob) for glob in excluded):
                del found[name]
        recorder.params("Environment", found)

    def stop(self) -> None:
        """A variable that changes later is the program's doing, and not recorded."""


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    """Return the source."""
    return EnvironmentCapture
