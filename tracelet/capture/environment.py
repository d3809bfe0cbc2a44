"""Captures the environment variables that the setting ``log_environment`` selects."""

from __future__ import annotations

import logging
import os
from fnmatch import fnmatchcase

from tracelet.capture.base import CaptureSource, Recorder
from tracelet.hookspecs import hookimpl

log = logging.getLogger(__name__)


class EnvironmentCapture(CaptureSource):
    """The variables at the start of the run, in the section ``Environment``."""

    name = "environment"

    def start(self, recorder: Recorder) -> None:
        found: dict[str, str] = {}
        for glob in recorder.settings.log_environment:
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
        """Do nothing: later changes are not recorded."""


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    """Return the source."""
    return EnvironmentCapture
