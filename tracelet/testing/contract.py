"""The contract for pytest: inherit :class:`BackendContract`, and every check is one of your tests.

It is the one module of the kit that needs pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tracelet.backends.registry import resolve
from tracelet.testing.checks import Check, all_checks, announced
from tracelet.testing.context import Context
from tracelet.testing.harness import Harness
from tracelet.testing.runner import Runner


def _test_of(check: Check) -> Callable[[Any, Context], None]:
    def test(self: Any, context: Context) -> None:  # noqa: ARG001 - a method
        __tracebackhide__ = True
        check(context)

    test.__name__ = test.__qualname__ = f"test_{check.name}"
    test.__doc__ = check.function.__doc__
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
            elif not announced(mine):
                problems.append(
                    f"{name} is overridden without @pytest.mark.xfail(reason=…, strict=True)"
                )
        assert not problems, "\n".join(problems)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "test_the_contract_is_whole" in cls.__dict__:
            raise TypeError(f"{cls.__name__} must not override test_the_contract_is_whole")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Tell type checkers that there is a test for each check."""


for _check in all_checks().values():
    setattr(BackendContract, f"test_{_check.name}", _test_of(_check))
