"""Backends that fail, each in one call, with a text that has secrets in every place there is."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

from backends_for_tests import Recorder

from tracelet.errors import TransientError
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status

OF_ADDRESS, OF_QUERY, OF_HEADER = "pw-of-address", "k3y-of-query", "t0k3n-of-header"
OF_OPTION, OF_ENVIRONMENT = "opt1on-of-user", "s3cret-of-shell"
SECRETS = (OF_ADDRESS, OF_QUERY, OF_HEADER, OF_OPTION, OF_ENVIRONMENT)
OPTIONS = {"api_key": OF_OPTION}
ENVIRONMENT = {"SOME_SDK_API_KEY": OF_ENVIRONMENT}
ADDRESS = f"https://me:{OF_ADDRESS}@tracker.example/runs"
TEXT = (
    f"no answer from {ADDRESS}?api_key={OF_QUERY}&page=1, sent 'Authorization: Bearer "
    f"{OF_HEADER}' for {OF_OPTION} and {OF_ENVIRONMENT}: try again"
)


class Talkative(Recorder):
    """Fails nowhere yet."""

    fails_in: ClassVar[str]
    kind: ClassVar[type[BaseException]] = RuntimeError

    def fail(self, call: str) -> None:
        if call == self.fails_in:
            if not self.options.get("is_silent"):
                logging.getLogger("some.sdk").warning(TEXT)
                print(TEXT)
                sys.stderr.writelines([TEXT, "\n"])
            raise self.kind(TEXT) from OSError(TEXT)

    def open(self, run: RunInfo) -> RunLink:
        self.fail("open")
        return RunLink("1", ADDRESS)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        self.fail("log_params")

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.fail("log_metrics")

    def close(self, status: Status) -> None:
        self.fail("close")


class Unreachable(Talkative):
    """Cannot be opened, and is tried again."""

    name = "unreachable"
    fails_in = "open"
    kind = TransientError


class Refusing(Talkative):
    """Refuses a record."""

    name = "refusing"
    fails_in = "log_params"


class Exiting(Talkative):
    """Calls ``sys.exit``."""

    name = "exiting"
    fails_in = "log_metrics"
    kind = SystemExit


class Dying(Talkative):
    """Raises what is no ``Exception``: its worker ends with it."""

    name = "dying"
    fails_in = "log_metrics"
    kind = GeneratorExit


class Unclosed(Talkative):
    """Takes everything, and cannot be closed."""

    name = "unclosed"
    fails_in = "close"


ALL = (Unreachable, Refusing, Exiting, Dying, Unclosed)
