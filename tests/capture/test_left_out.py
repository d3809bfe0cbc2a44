"""What ``capture_arguments`` leaves out is not in the command line either, and the rest is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from programs import Done, Program, run_programs
from user_scripts import run_script

import tracelet

ARGPARSE = """
import argparse, tracelet
{early}
parser = argparse.ArgumentParser()
parser.add_argument("--patient-name", "-p")
parser.add_argument("--lr", type=float)
parser.add_argument("-v", action="store_true")
parser.add_subparsers(dest="what").add_parser("train").add_argument("-o")
parser.parse_args()
{late}
"""
CLICK = """
import click, tracelet
@click.group()
@click.option("-v", is_flag=True)
def cli(v): pass
@cli.command()
@click.option("--lr", type=float)
@click.option("-o")
@click.option("--patient-name", "-p")
def train(**given): {late}
cli()
"""
ABSL = """
import tracelet
from absl import app, flags
flags.DEFINE_string("patient_name", None, "Who.", short_name="p")
flags.DEFINE_float("lr", None, "How fast.")
def main(argv): {late}
app.run(main)
"""


class Case(NamedTuple):
    program: Program
    argv: list[str]


def case(text: str, chosen: Any, given: str, shown: str, *, early: bool = False) -> Case:
    start = f"tracelet.start_logging(capture_arguments={chosen})"
    parts = {"early": start if early else "", "late": "pass" if early else f"{start}.stop()"}
    return Case(Program(text.format(**parts), tuple(given.split())), shown.split())


NAME = {"patient_name": False}
ONLY = {"lr": True}
GIVEN = "--lr 0.5 -p ann -v train -o out"
CASES = {
    "nothing": case(ARGPARSE, True, GIVEN, GIVEN),
    "one": case(ARGPARSE, NAME, GIVEN, "--lr 0.5 -p [redacted] -v train -o out"),
    "one of a section": case(ARGPARSE, {"Args/patient_name": False}, "-pann", "-p[redacted]"),
    "all but one": case(
        ARGPARSE, ONLY, GIVEN, "--lr 0.5 -p [redacted] -v [redacted] -o [redacted]"
    ),
    "all": case(ARGPARSE, False, "--lr 0.5 -v", "--lr [redacted] -v"),
    "what another has, too": case(ARGPARSE, NAME, "-p 0.5 --lr 0.5", "-p 0.5 --lr 0.5"),
    "one, parsed later": case(
        ARGPARSE, NAME, "--patient-name 12 --lr 3", "--patient-name [redacted] --lr 3", early=True
    ),
    "all but one, parsed later": case(
        ARGPARSE, ONLY, "--patient-name=12 --lr 3", "--patient-name=[redacted] --lr 3", early=True
    ),
    "all, parsed later": case(ARGPARSE, False, "--lr 0.5 -v", "--lr [redacted] -v", early=True),
    "nothing, of click": case(CLICK, True, "-v train -o out", "-v train -o out"),
    "one of click": case(
        CLICK, NAME, "-v train -p ann --lr 0.5", "-v train -p [redacted] --lr 0.5"
    ),
    "one of absl": case(ABSL, NAME, "-p ann --lr=0.5", "-p [redacted] --lr=0.5"),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    directory = tmp_path_factory.mktemp("left-out")
    names = {name: re.sub(r"\W+", "-", name) for name in CASES}
    found = run_programs(directory, {names[name]: case.program for name, case in CASES.items()})
    return {name: found[names[name]] for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_left_out_is(name: str, done: dict[str, Done]) -> None:
    assert done[name].exit_code == 0, done[name].output
    (run,) = done[name].runs
    assert run.facts["argv"][1:] == CASES[name].argv


HYDRA = """
import hydra, tracelet
@hydra.main(config_path=None, version_base="1.3")
def main(cfg):
    tracelet.start_logging(dir={!r}, capture=["hydra"], capture_arguments={}).stop()
main()
"""


@pytest.mark.parametrize(
    ("chosen", "given", "shown"),
    [
        (True, "-m +lr=1,2 +who=ann", "-m +lr=1,2 +who=ann"),
        ({"who": False}, "-m +lr=1,2 +who=ann", "-m +lr=1,2 +who=[redacted]"),
        ({"lr": True}, "-m +lr=1,2 +who=ann", "-m +lr=1,2 +who=[redacted]"),
        (False, "+lr=1 +who=ann", "+lr=[redacted] +who=[redacted]"),
    ],
)
def test_left_out_of_hydra_is(chosen: Any, given: str, shown: str, tmp_path: Path) -> None:
    run_script(tmp_path, HYDRA.format(str(tmp_path / ".tracelet"), chosen), *given.split())
    assert [run.facts["argv"][1:] for run in tracelet.runs()] == [shown.split()] * (
        2 if "-m" in given else 1
    )
