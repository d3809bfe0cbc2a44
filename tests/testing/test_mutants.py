"""Each check fails for the backend that breaks what it is about, and for no other."""

from __future__ import annotations

from pathlib import Path

import mutants_files  # noqa: F401 - each registers its own
import mutants_honest  # noqa: F401
import mutants_metrics  # noqa: F401
import mutants_params  # noqa: F401
import pytest
from mutants import HONEST, MUTANTS, Mutant
from mutants_others import HasAnSdk

from tracelet.core.run import Run
from tracelet.testing import ReadBack
from tracelet.testing.checks import all_checks
from tracelet.testing.harnesses import MemoryHarness
from tracelet.testing.live import live_backend
from tracelet.testing.verdicts import verdicts

pytestmark = pytest.mark.usefixtures("quick_retries")


def harness_of(mutant: type[Mutant]) -> MemoryHarness:
    class MutantHarness(MemoryHarness):
        backend = f"{mutant.__module__}:{mutant.__name__}"

        def read_back(self, run: Run, folder: Path) -> ReadBack:
            read = super().read_back(run, folder)
            stored = live_backend(run, "memory")
            assert isinstance(stored, Mutant)
            read.runs = stored.runs
            return read

    return MutantHarness()


def failures_of(mutant: type[Mutant], folder: Path) -> dict[str, str]:
    found = verdicts(harness_of(mutant), folder, points=1000, size=100_000)
    return {verdict.check: verdict.reason or "" for verdict in found if verdict.result == "failed"}


@pytest.mark.parametrize("mutant", [Mutant, HasAnSdk])
def test_a_backend_with_nothing_wrong_passes_every_check(
    mutant: type[Mutant], tmp_path: Path
) -> None:
    assert failures_of(mutant, tmp_path) == {}


@pytest.mark.parametrize("mutant", HONEST)
def test_a_loss_that_is_declared_fails_nothing(mutant: type[Mutant], tmp_path: Path) -> None:
    assert failures_of(mutant, tmp_path) == {}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_mutant_fails_exactly_its_checks(mutant: type[Mutant], tmp_path: Path) -> None:
    found = failures_of(mutant, tmp_path)

    assert set(found) == mutant.fails, found
    assert all(found.values()), "each failure says what is wrong"


ALONE = {
    "param_policy_keep",
    "param_policy_error",
    "ending_exception",
    "ending_keyboard_interrupt",
    "ending_terminated",
    "ending_killed",
    "ending_twice",
    "resumed_after_crash",
    "added_after_finish",
    "fault_dies",
    "entry_point",
}
"""The checks that no backend of this process can fail; their mutants are in test_alone.py."""


def test_every_check_has_a_mutant() -> None:
    caught = {check for mutant in MUTANTS for check in mutant.fails}

    assert caught | ALONE == set(all_checks())
    assert not caught & ALONE
