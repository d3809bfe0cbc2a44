"""What is parsed or composed belongs to the run that starts after it, not to one that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from programs import Program, run_programs
from user_scripts import run_script

import tracelet

BEGIN = """
import argparse, sys, tracelet
def made(**more):
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    for name, value in more.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser
def train(exp):
    exp.log_metric("loss", 1.0)
"""
CLICK = """
import sys, tracelet
import {library} as click
from {testing} import CliRunner
"""
COMMANDS = """
@click.group()
def cli(): pass
@cli.command("train")
@click.option("--lr", type=float)
def train(lr): tracelet.start_logging().log_metric("loss", lr)
@cli.command("evaluate")
@click.option("--fold", type=int)
def evaluate(fold): tracelet.start_logging().log_metric("loss", fold)
"""
ABSL = """
import sys, tracelet
from absl import flags
flags.DEFINE_float("lr", 0.1, "Rate.")
"""

LOOPS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "argparse in a loop": (
        """
parser = made()
for lr in "123":
    args = parser.parse_args(["--lr", lr])
    train(tracelet.start_logging())
""",
        [{"lr": 1.0}, {"lr": 2.0}, {"lr": 3.0}],
    ),
    "main that makes its parser is called again": (
        """
def main(*argv):
    args = made(seed=1).parse_args(argv)
    train(tracelet.start_logging())
main("--lr", "1"); main("--seed", "2"); main()
""",
        [{"lr": 1.0, "seed": 1}, {"lr": 0.1, "seed": 2}, {"lr": 0.1, "seed": 1}],
    ),
    "parse_known_args in a loop": (
        """
parser = made()
for lr in "12":
    args, rest = parser.parse_known_args(["--lr", lr, "-f", "kernel.json"])
    train(tracelet.start_logging())
""",
        [{"lr": 1.0}, {"lr": 2.0}],
    ),
    "two stages in a loop": (
        """
for lr in "12":
    first = made(config=0)
    known, rest = first.parse_known_args(["--config", lr, "--depth", lr])
    args = made(config=known.config, depth=3).parse_args(rest)
    train(tracelet.start_logging())
""",
        [{"lr": 0.1, "config": 1, "depth": 1}, {"lr": 0.1, "config": 2, "depth": 2}],
    ),
    "two stages, the run between them": (
        """
known, rest = made(config=0).parse_known_args(["--config", "1", "--depth", "2"])
exp = tracelet.start_logging()
args = made(config=1, depth=3).parse_args(rest)
train(exp)
""",
        [{"lr": 0.1, "config": 1, "depth": 2}],
    ),
    "the same arguments are asked for again and again": (
        """
exp = tracelet.start_logging()
for _ in range(3):
    made(seed=1).parse_args([])
    train(exp)
assert len(exp.params.history("Args/lr")) == 1
""",
        [{"lr": 0.1, "seed": 1}],
    ),
    "another parser during the run": (
        """
made(seed=1).parse_args(["--seed", "2"])
exp = tracelet.start_logging()
other = argparse.ArgumentParser(prog="tool")
other.add_argument("--width", type=int, default=3)
other.parse_known_args([])
train(exp)
""",
        [{"lr": 0.1, "seed": 2, "width": 3}],
    ),
    "one parse for all runs": (
        """
made().parse_args(["--lr", "5"])
for _ in range(2):
    train(tracelet.start_logging())
""",
        [{"lr": 5.0}, {"lr": 5.0}],
    ),
    "the next run has arguments that the last one had not": (
        """
made().parse_args([])
train(tracelet.start_logging())
made(seed=1).parse_args([])
other = argparse.ArgumentParser(prog="tool")
other.add_argument("--width", default=3)
other.parse_args([])
train(tracelet.start_logging())
""",
        [{"lr": 0.1}, {"lr": 0.1, "seed": 1, "width": 3}],
    ),
    "the last run is stopped between parse and start": (
        """
for lr in "12":
    made().parse_args(["--lr", lr])
    if tracelet.get_active_experiment() is not None:
        tracelet.stop_logging()
    train(tracelet.start_logging())
""",
        [{"lr": 1.0}, {"lr": 2.0}],
    ),
    "a run in a run": (
        """
made().parse_args(["--lr", "1"])
with tracelet.start_logging() as outer:
    for lr in "23":
        made().parse_args(["--lr", lr])
        with tracelet.Experiment() as inner:
            train(inner)
    train(outer)
""",
        [{"lr": 1.0}, {"lr": 2.0}, {"lr": 3.0}],
    ),
    "another thread logs while one parses and starts": (
        """
import threading
made().parse_args(["--lr", "1"])
exp = tracelet.start_logging()
parsed, logged = threading.Event(), threading.Event()
def other():
    made().parse_args(["--lr", "2"])
    parsed.set()
    logged.wait(60)
    train(tracelet.start_logging())
thread = threading.Thread(target=other)
thread.start()
parsed.wait(60)
train(exp)
logged.set()
thread.join()
""",
        [{"lr": 1.0}, {"lr": 2.0}],
    ),
    "absl in a loop": (
        ABSL
        + """
for lr in "12":
    flags.FLAGS(["train.py", "--lr", lr])
    train(tracelet.start_logging())
""",
        [{"lr": 1.0}, {"lr": 2.0}],
    ),
}
LOOPS["the runner of click"] = (
    CLICK.format(library="click", testing="click.testing")
    + COMMANDS
    + "for argv in (['train', '--lr', '1'], ['evaluate', '--fold', '2'], ['train', '--lr', '3']):\n"
    "    assert CliRunner().invoke(cli, argv).exit_code == 0\n",
    [
        {"command": "train", "lr": 1.0},
        {"command": "evaluate", "fold": 2},
        {"command": "train", "lr": 3.0},
    ],
)
LOOPS["commands of click of their own"] = (
    CLICK.format(library="click", testing="click.testing")
    + COMMANDS
    + "train(['--lr', '1'], standalone_mode=False)\n"
    "evaluate(['--fold', '2'], standalone_mode=False)\n",
    [{"lr": 1.0}, {"fold": 2}],
)
LOOPS["the runner of typer"] = (
    CLICK.format(library="typer", testing="typer.testing")
    + "app = click.Typer()\n@app.command()\ndef main(lr: float):\n"
    "    tracelet.start_logging().log_metric('loss', lr)\n"
    "for lr in '12':\n    assert CliRunner().invoke(app, [lr]).exit_code == 0\n",
    [{"lr": 1.0}, {"lr": 2.0}],
)


def test_each_run_has_what_was_parsed_before_its_start(tmp_path: Path) -> None:
    done = run_programs(
        tmp_path, {name: Program(BEGIN + text) for name, (text, _) in LOOPS.items()}
    )
    for name, (_, wanted) in LOOPS.items():
        assert done[name].exit_code == 0, done[name].output
        found = [
            {key.partition("/")[2]: value for key, value in run.params.flat().items()}
            for run in done[name].runs
        ]
        assert found == wanted, name
        assert "has parsed or composed again" not in done[name].output, done[name].output
        histories = [run.params.history(key) for run in done[name].runs for key in run.params]
        assert {len(history) for history in histories} == {1}, name
        assert {run.status for run in done[name].runs} == {"finished"}


CELLS = """
import sys, tracelet
cells = open("cells").read().split("# cell\\n")
namespace = {"__name__": "__main__", "tracelet": tracelet}
for number, cell in enumerate(cells):
    exec(compile(cell, f"<cell {number}>", "exec"), namespace)
"""


def test_notebook_cells_that_are_run_again(tmp_path: Path) -> None:
    parse = "import argparse\nparser = argparse.ArgumentParser()\n"
    parse += "parser.add_argument('--lr', type=float, default={lr})\n{more}args = parser.{call}\n"
    start = "exp = tracelet.start_logging()\nconfig = exp.connect(config)\n"
    train = "exp.log_metric('loss', args.lr)\n"
    cells = [
        "config = {'depth': 1}\n" + parse.format(lr=1, more="", call="parse_args([])"),
        start,
        train,
        "config['depth'] = 2\n" + parse.format(lr=2, more="", call="parse_args(args=[])"),
        start,
        train,
        "config['depth'] = 3\n"
        + parse.format(
            lr=3, more="parser.add_argument('--seed', default=4)\n", call="parse_args('')"
        ),
        start,
        train,
    ]
    (tmp_path / "cells").write_text("# cell\n".join(cells))
    said = run_script(tmp_path, CELLS, environment={"TRACELET_CAPTURE": "argparse"})
    runs = sorted(tracelet.runs(), key=lambda run: run.started)
    assert [run.params.flat() for run in runs] == [
        {"Args/lr": 1, "depth": 1},
        {"Args/lr": 2, "depth": 2},
        {"Args/lr": 3, "Args/seed": 4, "depth": 3},
    ]
    assert "depth of the run that this ends stays as it was" in said


AGAIN = {
    "something is logged": ("tracelet.start_logging()", "exp.log_metric('loss', 1.0)"),
    "the block ends": ("tracelet.start_logging().__enter__()", "exp.__exit__(None, None, None)"),
    "the program ends": ("tracelet.start_logging()", "pass"),
}


@pytest.mark.parametrize("end", AGAIN)
def test_what_is_parsed_again_and_no_other_run_starts_is_merged_with_a_warning_when(
    end: str, tmp_path: Path
) -> None:
    start, then = AGAIN[end]
    script = f"{BEGIN}\nmade().parse_args([])\nexp = {start}\nmade().parse_args(['--lr', '2'])\n"
    said = run_script(tmp_path, f"{script}print(exp.params.flat())\n{then}\n", environment=ARGPARSE)
    assert said.splitlines()[0] == "{'Args/lr': 0.1}"
    (run,) = tracelet.runs()
    assert run.params.flat() == {"Args/lr": 2.0}
    assert [change.value for change in run.params.history("Args/lr")] == [0.1, 2.0]
    assert said.count("has begun no other run, so these belong to it now: lr") == 1


ARGPARSE = {"TRACELET_CAPTURE": "argparse"}


def test_what_is_parsed_before_a_stop_and_by_no_run_is_said_at_the_end(tmp_path: Path) -> None:
    script = f"{BEGIN}\nmade().parse_args([])\nexp = tracelet.start_logging()\n"
    said = run_script(
        tmp_path, f"{script}made().parse_args(['--lr', '2'])\nexp.stop()\n", environment=ARGPARSE
    )
    assert tracelet.load_run().params.flat() == {"Args/lr": 0.1}
    assert f"before the run {tracelet.load_run().run_id} was stopped belongs to no run" in said


def test_a_value_that_another_parser_would_change_is_not_changed_silently(tmp_path: Path) -> None:
    """The name is that of the script's own parser; for one of a module it is qualified then."""
    (tmp_path / "beside.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser(prog='beside')\n"
        "parser.add_argument('--lr', type=float, default=7.0)\nparser.parse_args([])\n"
    )
    said = run_script(
        tmp_path,
        BEGIN + "import beside\nexp = tracelet.start_logging()\nmade().parse_args([])\n"
        "assert exp.params['Args/lr'] == 7.0\ntrain(exp)\n",
        environment=ARGPARSE,
    )
    assert tracelet.load_run().params.flat() == {"Args/lr": 0.1, "Args/beside.lr": 7.0}
    assert "these belong to it now: lr, beside.lr" in said
