"""Whose fault an error is: the backend is asked first, then the courier's own rule holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

import tracelet
from tracelet.backends.base import ArtifactFile, Capabilities
from tracelet.backends.null import NullBackend
from tracelet.backends.registry import resolve
from tracelet.courier.cursor import Cursor
from tracelet.courier.delivery import Delivery
from tracelet.errors import TransientError
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import MetricPoint


class Failing(NullBackend):
    """Raises an error in its first calls, and says of errors what it is told to say."""

    name: ClassVar[str] = "failing"
    capabilities: ClassVar[Capabilities] = Capabilities.everything(lightweight=True)

    def __init__(self, error: Exception, answer: Callable[[Exception], Any], fails: int) -> None:
        super().__init__()
        self.error = error
        self.answer = answer
        self.fails = fails
        self.asked: list[Exception] = []

    def is_transient(self, error: Exception) -> bool | None:
        self.asked.append(error)
        answer: bool | None = self.answer(error)
        return answer

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if self.fails:
            self.fails -= 1
            raise self.error

    def log_artifact(self, artifact: ArtifactFile) -> None:
        artifact.source.read_bytes()


def deliver(run_dir: Path | None, backend: Failing) -> Cursor:
    assert run_dir is not None
    start = RunState(RunDir(run_dir)).update().start
    assert start is not None
    delivery = Delivery(RunDir(run_dir), resolve(backend), start.run, {}, wait=lambda _: False)
    delivery.catch_up()
    assert delivery.finished
    return delivery.cursor


def points(number: int = 1) -> Path | None:
    with tracelet.start_logging(backend="null", capture=False) as exp:
        for iteration in range(number):
            exp.log_metric("loss", 0.5, iteration)
    return exp.dir


def broken(_: Exception) -> Any:
    raise LookupError("out of the blue")


def no_answer(_: Exception) -> None:
    return None


def no_boolean(_: Exception) -> str:
    return "yes"


@pytest.mark.parametrize(
    ("error", "answer", "is_retried"),
    [
        (ValueError("busy"), lambda _: True, True),
        (ValueError("too long"), lambda _: False, False),
        (TransientError("never again"), lambda _: False, False),
        (ConnectionError("not for you"), lambda _: False, False),
        *((ValueError("too long"), answer, False) for answer in (no_answer, no_boolean, broken)),
        *((TransientError("busy"), answer, True) for answer in (no_answer, no_boolean, broken)),
        *((ConnectionError("reset"), answer, True) for answer in (no_answer, no_boolean, broken)),
    ],
)
def test_the_backend_is_asked_and_without_an_answer_the_courier_decides(
    error: Exception,
    answer: Callable[[Exception], Any],
    is_retried: bool,
    quick_retries: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = Failing(error, answer, fails=2)
    cursor = deliver(points(), backend)
    assert (cursor.delivered, cursor.rejected) == ((1, 0) if is_retried else (0, 1))
    assert set(map(id, backend.asked)) == {id(error)}
    said = [one.getMessage() for one in caplog.records if "is_transient()" in one.getMessage()]
    assert len(said) == (answer is broken)


def test_an_error_that_will_not_pass_costs_one_record_only(quick_retries: None) -> None:
    class Picky(Failing):
        name = "picky"

        def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
            if any(point.iteration == 3 for point in batch):
                raise self.error

    backend = Picky(TransientError("the value is out of range"), lambda _: False, fails=0)
    cursor = deliver(points(10), backend)
    assert (cursor.delivered, cursor.rejected) == (9, 1)


def test_a_file_that_is_gone_is_no_error_of_the_backend(
    tmp_path: Path, quick_retries: None
) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"1")
    with tracelet.start_logging(backend="null", capture=False) as exp:
        exp.log_artifact(file, copy=False)
    file.unlink()
    backend = Failing(ValueError(), lambda _: True, fails=0)
    cursor = deliver(exp.dir, backend)
    assert (cursor.delivered, cursor.rejected, backend.asked) == (0, 1, [])
    assert exp.dir is not None
    (line,) = (exp.dir / "rejected/failing.jsonl").read_bytes().splitlines()
    assert "no longer there" in msgspec.json.decode(line)["reason"]


def test_the_ending_asks_too(caplog: pytest.LogCaptureFixture, quick_retries: None) -> None:
    class CannotClose(Failing):
        name = "cannotclose"
        closes = 0

        def close(self, status: tracelet.records.Status) -> None:
            self.closes += 1
            if self.closes < 3:
                raise self.error

    backend = CannotClose(ValueError("locked"), lambda _: True, fails=0)
    with caplog.at_level(logging.INFO):
        deliver(points(), backend)
    assert backend.closes == 3
    assert "works again after 2 failures" in caplog.text
