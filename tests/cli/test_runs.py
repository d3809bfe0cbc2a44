"""``tracelet runs``."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from user_scripts import Script
from waiting import eventually

import tracelet

Cli = Callable[..., Any]

FOREVER = """
import signal, tracelet
exp = tracelet.start_logging("endless", "examples", backend="local")
exp.log_metric("loss", 0.5)
exp.flush()
open("started", "w").close()
signal.pause()
"""


def log(name: str, project: str = "examples") -> tracelet.Run:
    with tracelet.start_logging(name, project) as exp:
        exp.log_metric("loss", 0.5)
    assert exp.dir is not None
    return tracelet.load_run(exp.dir)


def test_runs_are_listed_newest_first(cli: Cli) -> None:
    ids = [log(name).run_id for name in ("one", "two", "three")]

    listing = cli("runs")

    assert listing.code == 0
    words = listing.out.split()
    assert [word for word in words if word in ids] == ids[::-1]
    assert listing.fits()


def test_a_long_id_is_whole_and_on_a_narrow_terminal_on_a_line_of_its_own(cli: Cli) -> None:
    ids = {log(name).run_id for name in ("short", "resnet50-imagenet-with-augmentation-" * 2)}

    piped = cli("runs").out.splitlines()
    assert {line.split()[0] for line in piped[2:]} == ids
    assert all(line.endswith("local") for line in piped[2:])

    terminal = cli("runs", FORCE_COLOR="1", TERM="dumb")  # of 80 columns
    shown = terminal.out.splitlines()
    assert all(len(line) <= 80 or line.strip() in ids for line in shown)
    assert [line.split()[-1] for line in shown if "finished" in line] == ["local", "local"]
    assert {line.split()[0] for line in shown} >= ids


def test_json_is_one_list(cli: Cli) -> None:
    runs = [log("one"), log("two", "other")]

    listing = cli("runs", "--json")

    assert [row["run_id"] for row in listing.json] == [run.run_id for run in runs[::-1]]
    newest = listing.json[0]
    assert newest["project"] == "other"
    assert newest["status"] == "finished"
    assert newest["dir"] == str(runs[1].dir)
    assert newest["report"]["backends"]["local"]["delivered"] == 1
    assert listing.err == ""


def test_each_project_has_its_own_table(cli: Cli) -> None:
    first, _, last = log("one"), log("two", "other"), log("three")

    lines = [line.strip().split(" ")[0] for line in cli("runs").out.splitlines()]

    assert lines[:2] == ["examples", "run"]
    assert lines[2:4] == [last.run_id, first.run_id]
    assert lines[4] == "other"


def test_project_and_limit_choose(cli: Cli) -> None:
    log("one")
    two = log("two", "other")
    log("three", "other")
    log("four", "other")

    assert len(cli("runs", "--project", "other", "--json").json) == 3
    limited = cli("runs", "--limit", 1)
    assert len([line for line in limited.out.splitlines() if "finished" in line]) == 1
    assert "3 older runs" in limited.err
    assert two.run_id not in limited.out


def test_runs_are_found_in_another_directory(cli: Cli, tmp_path: Path) -> None:
    with tracelet.start_logging("elsewhere", dir=tmp_path / "here") as exp:
        pass

    assert cli("runs", "--json").json == []
    assert [row["run_id"] for row in cli("runs", "--dir", "here", "--json").json] == [exp.run_id]


def test_a_project_without_runs_is_answered_with_the_nearest(cli: Cli) -> None:
    log("one", "vision")

    for command in ("runs", "show"):
        assert "; did you mean 'vision'?" in cli(command, "--project", "vison").err


def test_no_runs_are_no_error(cli: Cli) -> None:
    empty = cli("runs")

    assert (empty.code, empty.out) == (0, "")
    assert "no runs in" in empty.err
    assert "the project 'vision'" in cli("runs", "--project", "vision").err
    assert cli("runs", "--json").json == []


def test_a_killed_run_is_listed_as_killed(cli: Cli, tmp_path: Path) -> None:
    script = Script(tmp_path, FOREVER)
    eventually((tmp_path / "started").exists)
    assert cli("runs", "--json").json[0]["status"] == "running"
    assert "running" in cli("runs").out

    script.signal(signal.SIGKILL)
    script.wait()

    row = cli("runs", "--json").json[0]
    assert row["status"] == "killed"
    assert row["report"]["backends"]["local"]["pending"] == 0
    assert "killed" in cli("runs").out


def test_a_killed_run_that_nobody_can_write_to_is_listed_as_killed(
    cli: Cli, tmp_path: Path
) -> None:
    start = 'import os, tracelet\nexp = tracelet.start_logging(run_id="r")\n'
    script = Script(tmp_path, start + "exp.log_metric('loss', 1)\nexp.set_tags(a='b')\nos._exit(0)")
    script.wait()
    lock = tmp_path / ".tracelet/default/r/courier.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()  # as for one who may not: root may everything

    (row,) = cli("runs", "--json").json
    assert (row["status"], row["reason"], row["tags"]) == (
        "killed",
        "the process is gone",
        {"a": "b"},
    )
    assert row["ended"] >= row["started"]


def test_a_directory_that_is_no_run_is_passed_by(cli: Cli, tmp_path: Path) -> None:
    run = log("one")
    other = tmp_path / ".tracelet" / "examples" / "other"
    other.mkdir()
    (other / "run.json").write_text("{}")

    assert [row["run_id"] for row in cli("runs", "--json").json] == [run.run_id]
