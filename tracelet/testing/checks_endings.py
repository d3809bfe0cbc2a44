"""Endings: however a run ends, nothing is lost, and the tracker says how it ended."""

from __future__ import annotations

from tracelet.backends.base import Support
from tracelet.records import Status
from tracelet.testing.checks import check
from tracelet.testing.context import Context
from tracelet.testing.expect import all_delivered, fail_if, points_match, runs_match, values_match
from tracelet.testing.runner import Outcome
from tracelet.testing.values import ENDING_PARAMS, Point, ending_points


def _ended(context: Context, outcome: Outcome, status: Status) -> None:
    """Check an ending, and that everything before it is there."""
    _status(context, outcome, status)
    _points_match(context, outcome, ending_points(range(50)))
    values_match(context, outcome, "param", ENDING_PARAMS)
    all_delivered(outcome)


def _status(context: Context, outcome: Outcome, status: Status) -> None:
    if outcome.run.status != status:
        raise AssertionError(f"the journal says {outcome.run.status}, and the run was {status}")
    support = context.support("statuses")
    if support is Support.UNSUPPORTED or outcome.read.status == status:
        return
    kept = any(line.get("status") == status for line in outcome.read.adjusted)
    if not (support is Support.EMULATED and kept):
        raise AssertionError(
            f"the tracker says {outcome.read.status!r}, and the run was {status}; the backend "
            f"declares statuses={support.name}. Look at close()"
        )


def _points_match(context: Context, outcome: Outcome, expected: list[Point]) -> None:
    points_match(context, outcome, None, expected, also="float64", ordered=False)


@check(thread=True)
def ending_finished(context: Context) -> None:
    """A run that was stopped is not ``finished`` in the tracker."""
    _status(context, context.everything, "finished")


@check(alone=True)
def ending_exception(context: Context) -> None:
    """A run that an exception ended is not ``failed``, or lacks what was logged before."""
    _ended(context, context.ended("exception"), "failed")


@check(alone=True)
def ending_keyboard_interrupt(context: Context) -> None:
    """A run that Ctrl-C ended is not ``killed``, or lacks what was logged before."""
    _ended(context, context.ended("SIGINT"), "killed")


@check(alone=True)
def ending_terminated(context: Context) -> None:
    """A run that SIGTERM ended is not ``killed``, or lacks what was logged before."""
    _ended(context, context.ended("SIGTERM"), "killed")


@check(alone=True)
def ending_killed(context: Context) -> None:
    """A run that SIGKILL ended is not ``killed``, or lacks what was logged before.

    The courier goes on when the process is gone: look at ``courier.log`` in the run's directory.
    """
    _ended(context, context.ended("SIGKILL"), "killed")


@check(thread=True)
def ending_twice(context: Context) -> None:
    """A second ``stop()`` or a call after it is not refused, or the run is open again."""
    answers = context.everything.answers
    fail_if([f"{what}: {error}" for what, error in answers.items() if error != "NotRunningError"])


@check()
def resumed_after_finish(context: Context) -> None:
    """A run that was resumed lacks what it had, has it twice, or became a second run.

    ``open`` gets ``run.link``, which it returned before: open that run again, do not make one. What
    was delivered does not come again, unless ``restart="replay"`` is declared.
    """
    context.outcome("short")  # read back before it goes on
    _resumed(context, context.resumed(f"short-{context.courier}"))


@check(alone=True)
def resumed_after_crash(context: Context) -> None:
    """A run that was killed and resumed lacks what it had, has it twice, or became a second run."""
    context.ended("SIGKILL")
    _resumed(context, context.resumed("ended-sigkill"))


def _resumed(context: Context, outcome: Outcome) -> None:
    runs_match(outcome, "for one that was resumed")
    _points_match(context, outcome, [*ending_points(range(80)), Point("resumed", 1.0, 0)])
    expected = {**ENDING_PARAMS, "ending.lr": 0.25}
    values_match(context, outcome, "param", expected, "param_overwrite")
    _status(context, outcome, "finished")


@check(alone=True)
def added_after_finish(context: Context) -> None:
    """What was set on a run that had ended is not in the tracker, or the run lost something by it.

    That is done with ``tracelet.load_run``. The backend is opened again with ``run.link``, gets
    what was set, and is closed with the ending that the run had.
    """
    context.ended("exception")
    outcome = context.added("exception")
    runs_match(outcome, "for one that was added to")
    _status(context, outcome, "failed")
    _points_match(context, outcome, ending_points(range(50)))
    expected = {**ENDING_PARAMS, "ending.lr": 0.125, "Added/model.depth": 18}
    values_match(context, outcome, "param", expected, "param_overwrite")
    values_match(context, outcome, "property", {"verdict": 0.75}, "properties")
    all_delivered(outcome)


@check()
def two_runs_at_once(context: Context) -> None:
    """Two runs of one process mix, or one of them lacks something.

    Use client objects with explicit run ids, never an SDK's global state.
    """
    outcome = context.outcome("two")
    other_job = context.runner.job("two", f"{outcome.job.run_id}-other", context.courier)
    for number, one in enumerate((outcome, context.runner.look(other_job, {}))):
        points = [Point("mixed", at + 1000 * number, at) for at in range(50)]
        points_match(context, one, None, points, ordered=False)
        run_id = one.job.run_id
        values_match(context, one, "param", {"which": run_id, f"only.{number}": True})
        values_match(context, one, "tag", {"which": run_id}, "tags")
        runs_match(one, f"for {run_id}")
        problems = []
        if f"only.{1 - number}" in one.read.params:
            problems.append(f"the run {run_id} has a parameter of the other")
        if any("two-" in text and text != run_id for text in one.read.texts):
            problems.append(f"the run {run_id} has a line of the other: {one.read.texts}")
        fail_if(problems)
