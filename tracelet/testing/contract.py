"""The contract for pytest: inherit :class:`BackendContract`, and every check is one of your tests.

It is the one module of the kit that needs pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from tracelet.backends.registry import resolve
from tracelet.testing import (
    checks_artifacts,
    checks_descriptions,
    checks_endings,
    checks_faults,
    checks_metrics,
    checks_packaging,
    checks_params,
)
from tracelet.testing.checks import CheckFunction, all_checks
from tracelet.testing.context import Context
from tracelet.testing.harness import Harness
from tracelet.testing.runner import Runner


def _test_of(check: CheckFunction) -> Callable[[Any, Context], None]:
    found = all_checks()[check.__name__]

    def test(self: Any, context: Context) -> None:  # noqa: ARG001 - a method
        __tracebackhide__ = True
        found(context)

    test.__name__ = test.__qualname__ = f"test_{found.name}"
    test.__doc__ = check.__doc__
    return test


class BackendContract(Harness):
    """What every backend has to do, as tests that a plugin inherits.

    A check that a backend cannot pass is overridden with a reason, so that it is seen when it
    passes at last::

        @pytest.mark.xfail(reason="the tracker rounds to whole seconds", strict=True)
        def test_metric_times(self, context):
            super().test_metric_times(context)

    Deleting a check, or overriding it without that mark, fails ``test_the_contract_is_whole``.
    """

    many_points: ClassVar[int] = 100_000
    """How many points are many."""
    large_size: ClassVar[int] = 200_000_000
    """How many bytes are a large artifact."""
    hang_bound: ClassVar[float] = 5.0
    """The time bound of a call, in seconds, for the backend that hangs; past twice that it is
    ended. ``open`` must be quicker."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(
        cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Runner]:
        """Give what logs the runs of all checks; each is logged once."""
        harness = cls()
        with Runner(
            harness,
            tmp_path_factory.mktemp("contract"),
            points=harness.many_points,
            size=harness.large_size,
            hang_bound=harness.hang_bound,
        ) as runner:
            wanted = {item.name for item in request.session.items if item.parent is request.node}
            if "test_fault_hangs[process]" in wanted:
                Context(runner, "process").start_faults()
            yield runner

    @pytest.fixture
    def context(self, runner: Runner, request: pytest.FixtureRequest) -> Context:
        """Give a check the runs of the backend, and say how they are delivered."""
        return Context(runner, request.param)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make each check once for every way in which its runs are delivered."""
        check = all_checks().get(metafunc.definition.name.removeprefix("test_"))
        if check is not None and "context" in metafunc.fixturenames:
            in_process = resolve(self.backend).cls.capabilities.in_process
            couriers = check.couriers_for(in_process=in_process)
            metafunc.parametrize("context", couriers, indirect=True)

    def test_the_contract_is_whole(self) -> None:
        """A check was deleted, or overridden without a strict xfail that says why."""
        problems = []
        for name in (*(f"test_{check}" for check in all_checks()), "pytest_generate_tests"):
            mine = getattr(type(self), name, None)
            if mine is getattr(BackendContract, name):
                continue
            if not callable(mine):
                problems.append(f"{name} is gone")
            elif not _is_expected_to_fail(mine):
                problems.append(
                    f"{name} is overridden without @pytest.mark.xfail(reason=…, strict=True)"
                )
        assert not problems, "\n".join(problems)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "test_the_contract_is_whole" in cls.__dict__:
            raise TypeError(f"{cls.__name__} must not override test_the_contract_is_whole")

    # -- params --------------------------------------------------------------------------------

    test_param_types = _test_of(checks_params.param_types)
    test_param_nonfinite = _test_of(checks_params.param_nonfinite)
    test_param_none = _test_of(checks_params.param_none)
    test_param_empty = _test_of(checks_params.param_empty)
    test_param_nested = _test_of(checks_params.param_nested)
    test_param_unicode = _test_of(checks_params.param_unicode)
    test_param_long = _test_of(checks_params.param_long)
    test_param_many = _test_of(checks_params.param_many)
    test_param_names = _test_of(checks_params.param_names)
    test_param_name_collisions = _test_of(checks_params.param_name_collisions)
    test_param_overwritten = _test_of(checks_params.param_overwritten)
    test_param_repeated = _test_of(checks_params.param_repeated)
    test_param_branches = _test_of(checks_params.param_branches)
    test_param_policy_keep = _test_of(checks_params.param_policy_keep)
    test_param_policy_error = _test_of(checks_params.param_policy_error)

    # -- metrics -------------------------------------------------------------------------------

    test_metric_float64 = _test_of(checks_metrics.metric_float64)
    test_metric_nan = _test_of(checks_metrics.metric_nan)
    test_metric_infinity = _test_of(checks_metrics.metric_infinity)
    test_metric_integers = _test_of(checks_metrics.metric_integers)
    test_metric_numbers = _test_of(checks_metrics.metric_numbers)
    test_metric_iteration_zero = _test_of(checks_metrics.metric_iteration_zero)
    test_metric_iteration_negative = _test_of(checks_metrics.metric_iteration_negative)
    test_metric_iteration_large = _test_of(checks_metrics.metric_iteration_large)
    test_metric_iteration_decreasing = _test_of(checks_metrics.metric_iteration_decreasing)
    test_metric_iteration_repeated = _test_of(checks_metrics.metric_iteration_repeated)
    test_metric_axes = _test_of(checks_metrics.metric_axes)
    test_metric_names = _test_of(checks_metrics.metric_names)
    test_metric_names_beside = _test_of(checks_metrics.metric_names_beside)
    test_metric_times = _test_of(checks_metrics.metric_times)
    test_metric_order = _test_of(checks_metrics.metric_order)
    test_metric_many = _test_of(checks_metrics.metric_many)

    # -- artifacts -----------------------------------------------------------------------------

    test_artifact_file = _test_of(checks_artifacts.artifact_file)
    test_artifact_folder = _test_of(checks_artifacts.artifact_folder)
    test_artifact_nested = _test_of(checks_artifacts.artifact_nested)
    test_artifact_twice = _test_of(checks_artifacts.artifact_twice)
    test_artifact_copies = _test_of(checks_artifacts.artifact_copies)
    test_artifact_empty = _test_of(checks_artifacts.artifact_empty)
    test_artifact_names = _test_of(checks_artifacts.artifact_names)
    test_artifact_large = _test_of(checks_artifacts.artifact_large)
    test_artifact_changed_afterwards = _test_of(checks_artifacts.artifact_changed_afterwards)
    test_artifact_deleted_afterwards = _test_of(checks_artifacts.artifact_deleted_afterwards)
    test_artifact_nothing_else = _test_of(checks_artifacts.artifact_nothing_else)

    # -- descriptions --------------------------------------------------------------------------

    test_config_values = _test_of(checks_descriptions.config_values)
    test_config_file = _test_of(checks_descriptions.config_file)
    test_texts = _test_of(checks_descriptions.texts)
    test_tags = _test_of(checks_descriptions.tags)
    test_properties = _test_of(checks_descriptions.properties)
    test_identity = _test_of(checks_descriptions.identity)
    test_one_run = _test_of(checks_descriptions.one_run)
    test_report = _test_of(checks_descriptions.report)
    test_declared = _test_of(checks_descriptions.declared)

    # -- endings -------------------------------------------------------------------------------

    test_ending_finished = _test_of(checks_endings.ending_finished)
    test_ending_exception = _test_of(checks_endings.ending_exception)
    test_ending_keyboard_interrupt = _test_of(checks_endings.ending_keyboard_interrupt)
    test_ending_terminated = _test_of(checks_endings.ending_terminated)
    test_ending_killed = _test_of(checks_endings.ending_killed)
    test_ending_twice = _test_of(checks_endings.ending_twice)
    test_resumed_after_finish = _test_of(checks_endings.resumed_after_finish)
    test_resumed_after_crash = _test_of(checks_endings.resumed_after_crash)
    test_added_after_finish = _test_of(checks_endings.added_after_finish)
    test_two_runs_at_once = _test_of(checks_endings.two_runs_at_once)

    # -- faults --------------------------------------------------------------------------------

    test_fault_calls_fail = _test_of(checks_faults.fault_calls_fail)
    test_fault_open_fails = _test_of(checks_faults.fault_open_fails)
    test_fault_poisoned = _test_of(checks_faults.fault_poisoned)
    test_fault_hangs = _test_of(checks_faults.fault_hangs)
    test_fault_dies = _test_of(checks_faults.fault_dies)

    # -- packaging -----------------------------------------------------------------------------

    test_entry_point = _test_of(checks_packaging.entry_point)
    test_import_is_light = _test_of(checks_packaging.import_is_light)
    test_sdk_missing = _test_of(checks_packaging.sdk_missing)
    test_no_secrets = _test_of(checks_packaging.no_secrets)
    test_nothing_outside = _test_of(checks_packaging.nothing_outside)
    test_silent_stdout = _test_of(checks_packaging.silent_stdout)


def _is_expected_to_fail(test: Any) -> bool:
    return any(
        mark.name == "xfail" and mark.kwargs.get("strict") is True and mark.kwargs.get("reason")
        for mark in getattr(test, "pytestmark", [])
    )
