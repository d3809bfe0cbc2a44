"""The checks of processes that end, hang or die fail for what they are about.

Some of it no backend can get wrong by itself; there, what was read back is changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from shelf import ShelfBackend, ShelfHarness

from tracelet.core.run import Run
from tracelet.records import RunInfo, Status
from tracelet.testing import ReadBack, checks_packaging
from tracelet.testing.checks import all_checks
from tracelet.testing.context import Context
from tracelet.testing.runner import Outcome, Runner
from tracelet.testing.verdicts import verdicts

Doctor = Callable[[ReadBack], Any]


class EndsFinished(ShelfBackend):
    def close(self, status: Status) -> None:
        super().close("finished")


class ForgetsItsRun(ShelfBackend):
    def folder_of(self, run: RunInfo) -> str:
        number = sum(1 for _ in self.shelf.glob(f"{run.run_id}~*"))
        return f"{run.run_id}~{number}"


class HasNoCheckpoint(ShelfBackend):
    opened: ClassVar[int] = 0

    def open(self, run: RunInfo) -> Any:
        file = self.shelf / run.run_id / "log.jsonl"
        size = file.stat().st_size if file.exists() else None
        return super().open(msgspec.structs.replace(run, checkpoint=size))

    def flush(self) -> Any:
        return None


def failures_of(mutant: type[ShelfBackend], groups: set[str], folder: Path) -> set[str]:
    class MutantHarness(ShelfHarness):
        backend = f"test_alone:{mutant.__name__}"

    found = verdicts(MutantHarness(), folder, only=groups, points=1000, size=1000, hang_bound=1.0)
    return {verdict.check for verdict in found if verdict.result == "failed"}


@pytest.mark.parametrize(
    ("mutant", "groups", "fails"),
    [
        (
            EndsFinished,
            {"endings"},
            {
                "ending_exception",
                "ending_keyboard_interrupt",
                "ending_terminated",
                "ending_killed",
                "added_after_finish",
            },
        ),
        (
            ForgetsItsRun,
            {"endings"},
            {"resumed_after_finish", "resumed_after_crash", "added_after_finish"},
        ),
        (
            ForgetsItsRun,
            {"faults"},
            {"fault_open_fails", "fault_calls_fail", "fault_hangs", "fault_dies"},
        ),
        (HasNoCheckpoint, {"faults"}, {"fault_dies"}),
    ],
)
def test_a_mutant_in_a_process_of_its_own_fails_exactly_its_checks(
    mutant: type[ShelfBackend], groups: set[str], fails: set[str], tmp_path: Path
) -> None:
    assert failures_of(mutant, groups, tmp_path) == fails


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("runner")
    with Runner(ShelfHarness(), folder, points=1000, size=1000, hang_bound=1.0) as runner:
        yield runner


def doctored(runner: Runner, key: str, change: Doctor) -> Context:
    """The runner after a run of which something else is read back."""
    outcome = runner.once(key)
    read = copy.deepcopy(outcome.read)
    change(read)
    other = copy.copy(runner)
    other._outcomes = {**runner._outcomes, key: outcome._replace(read=read)}
    return Context(other, "process")


ENDINGS = {
    "ending_exception": "exception",
    "ending_keyboard_interrupt": "SIGINT",
    "ending_terminated": "SIGTERM",
    "ending_killed": "SIGKILL",
}
ENDS_WRONG: dict[str, Doctor] = {
    "without a status": lambda read: setattr(read, "status", None),
    "finished": lambda read: setattr(read, "status", "finished"),
    "without the last point": lambda read: read.points.pop(),
    "with a point twice": lambda read: read.points.append(read.points[-1]),
    "without a parameter": lambda read: read.params.pop("ending.first"),
}


@pytest.mark.parametrize("change", ENDS_WRONG.values(), ids=ENDS_WRONG)
@pytest.mark.parametrize("check", ENDINGS)
def test_only_the_check_of_an_ending_sees_what_is_wrong_with_it(
    runner: Runner, check: str, change: Doctor
) -> None:
    Context(runner, "process").ended(ENDINGS[check])
    context = doctored(runner, f"ended by {ENDINGS[check]}", change)

    assert [name for name in ENDINGS if fails(name, context)] == [check]


def fails(check: str, context: Context) -> bool:
    try:
        all_checks()[check](context)
    except AssertionError:
        return True
    return False


OTHERS: list[tuple[str, str, Doctor]] = [
    ("param_policy_keep", "ended by SIGINT", lambda read: read.params.update({"policy.lr": 0.2})),
    ("param_policy_keep", "ended by SIGINT", lambda read: read.params.pop("policy.new")),
    (
        "param_policy_error",
        "ended by exception",
        lambda read: read.params.update({"policy.lr": 0.2}),
    ),
    ("resumed_after_crash", "ended-sigkill resumed", lambda read: read.points.pop(0)),
    (
        "resumed_after_crash",
        "ended-sigkill resumed",
        lambda read: read.points.append(read.points[0]),
    ),
    ("resumed_after_crash", "ended-sigkill resumed", lambda read: setattr(read, "runs", 2)),
    ("resumed_after_crash", "ended-sigkill resumed", lambda read: setattr(read, "status", None)),
    (
        "resumed_after_crash",
        "ended-sigkill resumed",
        lambda read: read.params.update({"ending.lr": 0.5}),
    ),
    (
        "added_after_finish",
        "ended by exception, added",
        lambda read: read.params.update({"ending.lr": 0.5}),
    ),
    ("added_after_finish", "ended by exception, added", lambda read: read.properties.clear()),
    ("added_after_finish", "ended by exception, added", lambda read: read.points.pop()),
    ("added_after_finish", "ended by exception, added", lambda read: setattr(read, "runs", 2)),
    (
        "fault_dies",
        "hang-process",
        lambda read: read.points.remove(
            next(point for point in read.points if point.name == "fault/dies")
        ),
    ),
]


@pytest.mark.parametrize(("check", "key", "change"), OTHERS)
def test_a_check_passes_and_then_sees_what_is_wrong(
    runner: Runner, check: str, key: str, change: Doctor
) -> None:
    all_checks()[check](Context(runner, "process"))

    assert fails(check, doctored(runner, key, change))


def test_a_stop_that_is_taken_twice_is_seen(runner: Runner) -> None:
    outcome: Outcome = Context(runner, "process").everything
    other = copy.copy(runner)
    other._outcomes = {"everything-process": outcome._replace(answers={"second stop": None})}

    assert not fails("ending_twice", Context(runner, "process"))
    assert fails("ending_twice", Context(other, "process"))


class Packaged(ShelfHarness):
    """The shelf, as if it came with an entry point."""

    backend = "local"


def test_a_missing_or_misnamed_entry_point_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Context(Runner(Packaged(), tmp_path), "process")
    assert not fails("entry_point", context)

    Packaged.backend = "shelf"
    assert fails("entry_point", context)

    monkeypatch.setattr(checks_packaging, "installed", lambda: {"shelf": None})
    assert fails("entry_point", context), "it is called local"


def test_a_reader_that_raises_fails_the_checks_that_need_it_and_says_why(tmp_path: Path) -> None:
    class Broken(ShelfHarness):
        def read_back(self, run: Run, folder: Path) -> ReadBack:
            raise OSError("the tracker is down")

    found = list(verdicts(Broken(), tmp_path, only={"artifacts"}, points=10, size=10))

    assert {verdict.result for verdict in found} == {"failed"}
    assert {verdict.reason for verdict in found} == {"OSError: the tracker is down"}
