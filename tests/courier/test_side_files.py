"""What grows beside the run has each line once, wherever a delivery was killed and began again."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

import tracelet
from tracelet.backends.base import Backend, Capabilities
from tracelet.backends.null import NullBackend
from tracelet.backends.registry import resolve
from tracelet.courier import progress
from tracelet.courier.cursor import CursorFile
from tracelet.courier.delivery import Delivery
from tracelet.errors import TransientError
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import MetricPoint


class Killed(BaseException):
    """Stands for SIGKILL: nothing is caught, committed or tidied up behind it."""


class Small(NullBackend):
    """Has no place for texts, holds no fractions, takes no point called ``poison``."""

    name: ClassVar[str] = "small"
    capabilities: ClassVar[Capabilities] = Capabilities.everything(lightweight=True, batch_limit=3)
    log_text = Backend.log_text

    def __init__(self, fails: int = 0) -> None:
        super().__init__()
        self.fails = fails

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        for point in batch:
            if point.value != int(point.value):
                self.adjusted_point(point, "integers only")
        if any(point.name == "poison" for point in batch):
            raise ValueError("no poison")
        if self.fails:
            self.fails -= 1
            raise TransientError("busy")


@pytest.fixture
def logged(tmp_path: Path) -> RunDir:
    with tracelet.start_logging("kept", backend="null") as exp:
        for iteration in range(4):
            exp.log(f"line {iteration}")
            for name, value in (("loss", 0.5), ("poison", 1), ("whole", 3), ("loss", 0.25)):
                exp.log_metric(name, value, iteration=iteration)
    assert exp.dir is not None
    return RunDir(exp.dir)


def deliver(run_dir: RunDir, backend: Backend) -> Delivery:
    start = RunState(run_dir).update().start
    assert start is not None
    found = Delivery(run_dir, resolve(backend), start.run, {}, wait=lambda _: False)
    found.catch_up()
    return found


def assert_all_is_there_once(run_dir: RunDir, done: Delivery) -> None:
    scratch = run_dir.scratch.path / "small"
    log = (scratch / "log.txt").read_text().splitlines()
    assert [line.split()[-1] for line in log] == list("0123")
    adjusted = _lines(scratch / "tracelet/adjusted.jsonl")
    assert [(line["iteration"], line["value"]) for line in adjusted] == [
        (iteration, value) for iteration in range(4) for value in (0.5, 0.25)
    ]
    rejected = _lines(run_dir.rejected.path / "small.jsonl")
    assert [line["record"][4] for line in rejected] == [0, 1, 2, 3]
    cursor = done.cursor
    assert (cursor.delivered, cursor.rejected, cursor.adjusted) == (16, 4, 8)


def _lines(file: Path) -> list[Any]:
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


def test_a_delivery_that_is_killed_before_its_cursor_is_saved_leaves_no_line_twice(
    logged: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "COMMIT_SECONDS", 0.0)
    real, saves = CursorFile.save, itertools.count()

    def save(file: CursorFile, cursor: Any) -> None:
        if next(saves) % 5 == 4:
            raise Killed
        real(file, cursor)

    monkeypatch.setattr(CursorFile, "save", save)
    done, kills = None, 0
    while done is None:
        try:
            done = deliver(logged, Small())
        except Killed:
            kills += 1
    assert kills > 3
    assert_all_is_there_once(logged, done)


def test_a_cursor_that_cannot_be_saved_is_said_once(
    logged: RunDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def save(file: CursorFile, cursor: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(progress, "COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(CursorFile, "save", save)
    deliver(logged, Small())
    said = [entry for entry in caplog.records if "cannot be saved" in entry.getMessage()]
    assert len(said) == 1


def test_a_call_that_fails_and_is_made_again_notes_nothing_twice(
    logged: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracelet.courier.retrying.FIRST_SECONDS", 0.0)
    assert_all_is_there_once(logged, deliver(logged, Small(fails=3)))


def test_a_cursor_that_is_lost_means_files_anew(logged: RunDir) -> None:
    assert_all_is_there_once(logged, deliver(logged, Small()))
    CursorFile(logged.cursors, "small").file.unlink()
    assert_all_is_there_once(logged, deliver(logged, Small()))


class Mortal(Small):
    """Dies at its third call."""

    name: ClassVar[str] = "mortal"
    calls = 0

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.calls += 1
        if self.calls == 3:
            raise Killed


def test_a_backend_that_dies_again_and_again_comes_nearer_each_time(logged: RunDir) -> None:
    done, deaths = None, 0
    while done is None:
        try:
            done = deliver(logged, Mortal())
        except Killed:
            deaths += 1
            assert deaths < 20
    assert deaths > 1
    assert done.cursor.delivered == 20


class Marked(Small):
    """Has a checkpoint."""

    def flush(self) -> Any:
        return {"mark": 1}


@pytest.mark.parametrize("name", ["log.txt", "tracelet/adjusted.jsonl"])
def test_what_somebody_deletes_is_made_again_from_the_whole_run(
    logged: RunDir, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(progress, "COMMIT_SECONDS", 0.0)
    real = CursorFile.save

    def save(file: CursorFile, cursor: Any) -> None:
        if cursor.closed is not None:
            raise Killed
        real(file, cursor)

    with monkeypatch.context() as patched:
        patched.setattr(CursorFile, "save", save)
        with pytest.raises(Killed):
            deliver(logged, Marked())
    (logged.scratch / "small" / name).unlink()
    assert_all_is_there_once(logged, deliver(logged, Marked()))
