"""What a plugin's author sees: checks cannot be dropped in silence, and failures say what to do."""

from __future__ import annotations

import textwrap

import pytest

from tracelet.testing import BackendContract
from tracelet.testing.checks import all_checks
from tracelet.testing.harnesses import MemoryHarness

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    pytester.makeini("[pytest]\nxfail_strict = true\n")
    pytester.makepyfile(
        test_mine="import pytest\n"
        "from tracelet.backends.base import Support\n"
        "from tracelet.backends.memory import MemoryBackend\n"
        "from tracelet.testing import BackendContract\n"
        "from tracelet.testing.harnesses import MemoryHarness\n"
        "import msgspec\n"
        "class Mine(MemoryBackend):\n"
        "    name = 'memory'\n"
        "    capabilities = msgspec.structs.replace(\n"
        "        MemoryBackend.capabilities, nan=Support.UNKNOWN)\n"
        "class TestMine(MemoryHarness, BackendContract):\n"
        "    many_points, large_size = 100, 1000\n" + textwrap.indent(textwrap.dedent(body), "    ")
    )
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def test_a_subclass_that_changes_nothing_is_whole(pytester: pytest.Pytester) -> None:
    run(pytester, "", "-k", "whole or metric_nan").assert_outcomes(passed=2)


def test_a_deleted_check_is_noticed(pytester: pytest.Pytester) -> None:
    result = run(pytester, "test_metric_nan = None", "-k", "whole or metric_nan")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_metric_nan is gone*"])


def test_a_check_that_is_overridden_in_silence_is_noticed(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_metric_nan(self, context): pass", "-k", "whole or metric_nan")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*test_metric_nan is overridden without*strict=True*"])


@pytest.mark.parametrize("arguments", ["strict=True", "reason='so'", "reason='', strict=True"])
def test_an_override_needs_a_reason_and_strictness(
    pytester: pytest.Pytester, arguments: str
) -> None:
    body = f"""
    @pytest.mark.xfail({arguments})
    def test_metric_nan(self, context):
        raise AssertionError
    """
    result = run(pytester, body, "-k", "whole or metric_nan")

    result.assert_outcomes(xfailed=1, failed=1)


def test_an_override_that_says_why_is_fine(pytester: pytest.Pytester) -> None:
    body = """
    @pytest.mark.xfail(reason="numbers only", strict=True)
    def test_metric_nan(self, context):
        super().test_metric_nan(context)
        raise AssertionError
    """
    run(pytester, body, "-k", "whole or metric_nan").assert_outcomes(passed=1, xfailed=1)


def test_an_announced_failure_that_passes_is_a_failure(pytester: pytest.Pytester) -> None:
    body = """
    @pytest.mark.xfail(reason="numbers only", strict=True)
    def test_metric_nan(self, context):
        super().test_metric_nan(context)
    """
    run(pytester, body, "-k", "whole or metric_nan").assert_outcomes(passed=1, failed=1)


def test_the_couriers_cannot_be_reduced_in_silence(pytester: pytest.Pytester) -> None:
    body = """
    def pytest_generate_tests(self, metafunc):
        if "context" in metafunc.fixturenames:
            metafunc.parametrize("context", ["thread"], indirect=True)
    """
    result = run(pytester, body, "-k", "whole")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pytest_generate_tests is overridden*"])


def test_what_keeps_the_contract_whole_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match="must not override test_the_contract_is_whole"):
        type(
            "TestMine",
            (MemoryHarness, BackendContract),
            {"test_the_contract_is_whole": None},
        )


def test_an_undeclared_capability_says_what_to_declare(pytester: pytest.Pytester) -> None:
    result = run(pytester, "backend = 'test_mine:Mine'", "-k", "metric_nan or declared")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*declare nan=Support.FULL, EMULATED or UNSUPPORTED*"])
    result.stdout.fnmatch_lines(["*nan means: NaN as a metric's value.*"])
    result.stdout.fnmatch_lines(["*do not declare nan*"])


def test_every_check_is_a_test_and_says_what_its_failure_means() -> None:
    for name, check in all_checks().items():
        test = getattr(BackendContract, f"test_{name}")
        assert test.__doc__ == check.function.__doc__
        assert len(test.__doc__ or "") > 20, name
