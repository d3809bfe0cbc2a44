"""``tracelet check`` runs the checks without pytest, and its exit code says whether all passed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pluggy
import pytest
from typer.testing import CliRunner, Result

from tracelet import hookspecs
from tracelet.backends import registry
from tracelet.cli.app import app
from tracelet.errors import InvalidValueError, UnknownBackendError
from tracelet.hookspecs import hookimpl
from tracelet.testing import Harness
from tracelet.testing.checks import all_checks
from tracelet.testing.harnesses import MemoryHarness, find_harness

SMALL = ("--points", "100", "--size", "1000")

MINE = """
from tracelet.backends.memory import MemoryBackend
from tracelet.testing.harnesses import MemoryHarness

class NoNan(MemoryBackend):
    name = "memory"
    def log_metrics(self, batch):
        super().log_metrics([point for point in batch if point.value == point.value])

class Mark:
    name, kwargs = "xfail", {"strict": True, "reason": "numbers only"}

class Mine(MemoryHarness):
    backend = "mine:NoNan"

class Announced(Mine):
    def test_metric_nan(self, context): ...
    test_metric_nan.pytestmark = [Mark]

class AnnouncedInVain(MemoryHarness):
    def test_metric_nan(self, context): ...
    test_metric_nan.pytestmark = [Mark]
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return str(file)


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments, *SMALL])


def test_a_backend_that_keeps_the_contract_gives_0_and_a_line_a_check() -> None:
    result = check("memory")

    assert result.exit_code == 0, result.output
    for name in all_checks():
        assert name in result.stdout
    assert "failed" not in result.stdout


def test_a_name_that_no_backend_has_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownBackendError, match="'memori'; did you mean 'memory'"):
        find_harness("memori")


def test_a_backend_that_breaks_it_gives_1_and_says_what_and_where_to_look(mine: str) -> None:
    result = check(f"{mine}:Mine")

    assert result.exit_code == 1
    assert "missing: nan = nan at iteration 1" in result.stdout
    assert "a diverged training would look fine" in result.stdout


def test_json_has_every_verdict(mine: str) -> None:
    result = check(f"{mine}:Mine", "--json")

    found = {one["check"]: one for one in json.loads(result.stdout)}
    assert set(found) == set(all_checks())
    failed = {name for name, one in found.items() if one["result"] == "failed"}
    assert failed == {"metric_nan"}
    assert found["ending_killed"]["result"] == "does not apply"


def test_a_failure_that_is_announced_is_none(mine: str) -> None:
    result = check(f"{mine}:Announced")

    assert result.exit_code == 0
    assert "expected" in result.stdout


def test_an_announced_failure_that_passes_is_a_failure(mine: str) -> None:
    result = check(f"{mine}:AnnouncedInVain")

    assert result.exit_code == 1
    assert "it passes, and is announced to fail: numbers only" in result.stdout


def test_what_was_logged_can_be_kept_and_a_terminal_shows_what_is_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal is one
    result = check("memory", "--keep", str(tmp_path / "kept"))

    assert "logging the runs" in result.stderr
    assert list((tmp_path / "kept" / "runs").glob("*/everything-thread/run.json"))


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    result = check("memory", "--keep", str(tmp_path))

    assert isinstance(result.exception, InvalidValueError)
    assert str(tmp_path) in str(result.exception)


@pytest.mark.parametrize("name", ["memroy", "no_such_module.py:Mine", "tracelet.testing:ReadBack"])
def test_a_name_that_nothing_can_be_read_back_for_is_a_clear_error(name: str) -> None:
    with pytest.raises(UnknownBackendError):
        find_harness(name)


def test_a_plugin_says_how_its_tracker_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plugged(MemoryHarness):
        backend = "plugged"

    class Plugin:
        @hookimpl
        def tracelet_register_harness(self) -> type[Harness]:
            return Plugged

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(Plugin())
    monkeypatch.setattr(registry, "plugins", lambda: manager)

    assert isinstance(find_harness("plugged"), Plugged)


def test_pytest_is_not_imported() -> None:
    program = (
        "import sys\n"
        "from tracelet.cli.app import app\n"
        "try:\n"
        f"    app(['check', 'memory', *{SMALL!r}])\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "assert 'pytest' not in sys.modules and '_pytest' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_the_command_line_does_not_load_the_checks_until_they_are_wanted() -> None:
    program = (
        "import sys, tracelet.cli.app\n"
        "sys.exit([m for m in sys.modules if m.startswith('tracelet.testing')] != [])"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
