"""A backend knows its SDK's errors: it is asked which of them a later try may cure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import tracelet
from tracelet.backends.null import NullBackend
from tracelet.courier import retry
from tracelet.errors import TransientError
from tracelet.records import MetricPoint


class SdkError(Exception):
    """An error of an SDK."""


class SdkIoError(OSError):
    """An error of an SDK that is an error of the system, too."""


class Knowing(NullBackend):
    name = "knowing"

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.calls = 0

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop()

    def is_transient(self, error: Exception) -> bool | None:
        return {SdkError: True, SdkIoError: False}.get(type(error))


@pytest.mark.parametrize(
    ("error", "rejected"),
    [
        (SdkError("busy"), 0),
        (SdkIoError("refused"), 1),
        (OSError("disk full"), 0),
        (TransientError("busy"), 0),
        (ValueError("wrong"), 1),
    ],
)
def test_the_backend_decides_else_the_courier(
    error: Exception, rejected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_SECONDS", 0.01)
    backend = Knowing()
    backend.errors = [error]
    exp = tracelet.start_logging("run", backend=backend)
    exp.log_metric("loss", 0.5)
    report = exp.stop()["knowing"]
    assert (report.rejected, report.delivered) == (rejected, 1 - rejected)
    assert backend.calls == (1 if rejected else 2)
