"""The command line as a whole: help, version, mistakes, and the courier by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backends_for_tests import Light, stored_points, target
from user_scripts import run_script

import tracelet

Cli = Callable[..., Any]
COMMANDS = ("runs", "show", "sync", "replay", "backends", "config", "courier")


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    assert cli("--version") == (0, f"tracelet {tracelet.__version__}\n", "")


def test_help_names_every_command_in_80_columns(cli: Cli) -> None:
    shown = cli("--help")

    assert shown.code == 0
    assert shown.fits()
    assert not [line for line in shown.out.splitlines()[1:] if line.endswith("...")]
    listed = shown.out.partition("Commands:")[2].strip().splitlines()
    assert set(COMMANDS) <= {line.split()[0] for line in listed}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(cli: Cli, command: str) -> None:
    shown = cli(command, "--help")

    assert shown.code == 0
    assert shown.fits()
    assert "--json" in shown.out


@pytest.mark.parametrize(
    "arguments",
    [("nope",), ("runs", "--nope"), ("runs", "--limit", "0"), ("replay",), ("sync", "-t", "soon")],
)
def test_wrong_usage_is_exit_code_2_and_nothing_on_stdout(
    cli: Cli, arguments: tuple[str, ...]
) -> None:
    wrong = cli(*arguments)

    assert (wrong.code, wrong.out) == (2, "")
    assert "Error" in wrong.err


def test_colour_is_for_terminals_only(cli: Cli) -> None:
    assert "\x1b" not in cli("show", "nope").err
    assert "\x1b" in cli("show", "nope", FORCE_COLOR="1").err
    assert "\x1b" not in cli("show", "nope", FORCE_COLOR="1", NO_COLOR="1", TERM="dumb").err


def test_a_working_directory_that_was_deleted_is_no_crash(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracelet.start_logging(run_id="r", dir=tmp_path / "runs"):
        pass
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert cli("--version").code == 0
    assert cli("show", "r", "--dir", tmp_path / "runs").code == 0
    assert "no runs in here" in cli("runs", "--dir", "here").err
    assert "the working directory was deleted" in cli("runs").err


def test_a_home_that_nobody_has_is_no_crash(cli: Cli) -> None:
    wrong = cli("runs", TRACELET_DIR="~nobody-at-all/runs")

    assert (wrong.code, len(wrong.err.splitlines())) == (2, 1)
    assert "setting 'dir' (environment TRACELET_DIR) must be a path" in wrong.err
    assert "no runs in" in cli("runs", "--dir", "~nobody-at-all/runs").err
    assert "no run '~nobody-at-all'" in cli("show", "~nobody-at-all").err


def test_a_reader_that_goes_away_is_no_error(cli: Cli, tmp_path: Path) -> None:
    with tracelet.start_logging("long", params={f"p{i}": "x" * 70 for i in range(5000)}):
        pass
    text = """
    import subprocess, sys
    command = subprocess.Popen(
        [sys.executable, "-m", "tracelet", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    command.stdout.readline()
    command.stdout.close()
    print(command.stderr.read().decode())
    command.stderr.close()
    command.wait()
    """

    assert "Traceback" not in run_script(tmp_path, text)


@pytest.mark.parametrize("command", ["runs --json", "show", "compare --csv r"])
@pytest.mark.parametrize(("output", "code"), [(">/dev/full", 2), (">&-", 0)])
def test_an_output_that_takes_nothing_is_no_crash(output: str, code: int, command: str) -> None:
    with tracelet.start_logging(run_id="r"):
        pass
    shell = ["sh", "-c", f'exec "$0" -m tracelet {command} {output}', sys.executable]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == code
    assert done.stderr == ("tracelet: [Errno 28] No space left on device\n" if code else "")


def test_a_courier_by_hand_delivers_and_reports(cli: Cli, tmp_path: Path) -> None:
    text = f"""
    import os, tracelet
    exp = tracelet.start_logging(
        "stranded", backend=["{target(Light)}", "memory"], courier="thread",
        config={{"backends": {{"light": {{"store": {str(tmp_path)!r}}}}}}},
    )
    exp.log_metric("loss", 0.5, iteration=7)
    os.kill(os.getpid(), 9)
    """
    with pytest.raises(AssertionError, match="exit code -9"):
        run_script(tmp_path, text)
    run = tracelet.runs()[0]

    done = cli("courier", run.dir, "--json")

    assert done.code == 0, done.err
    assert done.json["backends"]["light"]["pending"] == 0
    assert stored_points(tmp_path, "light")[-1] == 7


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_courier_needs_a_run(cli: Cli, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = cli("courier", tmp_path / "nothing", *arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


def test_a_second_courier_says_so_and_leaves(cli: Cli) -> None:
    with tracelet.start_logging("busy") as exp:
        done = cli("courier", exp.dir, "--json")

    assert done.code == 2
    assert "another courier delivers" in done.err
