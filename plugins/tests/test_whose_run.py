"""Runs that are neither stopped nor in a block: each has its own arguments and its own ending."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from trackers import PATIENCE, TRACKERS, Trackers, wait_until_settled

import tracelet

READERS = ("local", "tensorboard", "mlflow")

HYDRA = """
import hydra, tracelet
@hydra.main(config_path=None, config_name="config", version_base="1.3")
def main(cfg):
    tracelet.start_logging("hydra", capture=["hydra"]).log_metric("loss", cfg.lr, 0)
    if cfg.lr == 2:
        raise ValueError("no")
from hydra.core.config_store import ConfigStore
ConfigStore.instance().store("config", {"lr": 0})
main()
"""
ARGPARSE = """
import argparse, tracelet
def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=int)
    args = parser.parse_args(argv)
    tracelet.start_logging("argparse", capture=["argparse"]).log_metric("loss", args.lr, 0)
    if args.lr == 2:
        raise ValueError("no")
for lr in "123":
    try:
        main(["--lr", lr])
    except ValueError as error:
        print(error)
"""
CLICK = """
import click, tracelet
from click.testing import CliRunner
@click.command()
@click.option("--lr", type=int)
def main(lr):
    tracelet.start_logging("click", capture=["click"]).log_metric("loss", lr, 0)
    if lr == 2:
        raise ValueError("no")
for lr in "123":
    CliRunner().invoke(main, ["--lr", lr])
"""
CELLS = """
import sys, tracelet
sys.ps1 = "In : "  # as IPython sets it
parse = '''
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=int, default={})
args = parser.parse_args([])
'''
train = '''
exp = tracelet.start_logging("cells", capture=["argparse"])
exp.log_metric("loss", args.lr, 0)
if args.lr == 2:
    raise ValueError("no")
'''
namespace = {"__name__": "__main__", "tracelet": tracelet}
for lr in (1, 2, 3):
    for cell in (parse.format(lr), train):
        try:
            exec(compile(cell, f"<cell {lr}>", "exec"), namespace)
        except ValueError:  # as a notebook shows it
            sys.last_type, sys.last_value, sys.last_traceback = sys.exc_info()
"""
PROGRAMS = {
    "hydra": (HYDRA, ("-m", "lr=1,2,3"), 1, "Hydra/lr"),
    "argparse": (ARGPARSE, (), 0, "Args/lr"),
    "click": (CLICK, (), 0, "Args/lr"),
    "cells": (CELLS, (), 0, "Args/lr"),
}


@pytest.fixture(scope="module")
def runs(folder: Path, trackers: Trackers) -> dict[str, list[tracelet.Run]]:
    """The runs of each program, the oldest first."""
    found = {}
    for name, (text, argv, code, _) in PROGRAMS.items():
        place = folder / name
        place.mkdir()
        (place / "train.py").write_text(text)
        settings = trackers.settings(READERS).replace("capture = false\n", "")
        (place / "tracelet.toml").write_text(settings)
        done = subprocess.run(
            [sys.executable, "train.py", *argv],
            cwd=place,
            env={**os.environ, **trackers.environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=3 * PATIENCE,
            check=False,
        )
        assert done.returncode == code, done.stdout.decode()
        directories = [file.parent for file in (place / "runs").glob("*/*/run.json")]
        for one in directories:
            wait_until_settled(one)
        found[name] = sorted(map(tracelet.load_run, directories), key=lambda run: run.started)
    return found


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", READERS)
def test_each_run_has_its_own_values_and_its_own_ending(
    trackers: Trackers, runs: dict[str, list[tracelet.Run]], name: str, program: str
) -> None:
    key = PROGRAMS[program][3]
    read = [trackers.read_back(name, run.dir) for run in runs[program]]
    assert [one.params[key] for one in read] == [1, 2, 3]
    assert [[(point.name, point.value) for point in one.points] for one in read] == [
        [("loss", value)] for value in (1, 2, 3)
    ]
    assert [one.status for one in read] == ["finished", "failed", "finished"]


PRUNED = """
import optuna, tracelet
def objective(trial):
    tracelet.start_logging("pruned").log_metric("loss", 1.0, 0)
    raise optuna.TrialPruned
study = optuna.create_study()
study.optimize(objective, n_trials=1)
assert study.trials[0].state.name == "PRUNED"
"""


@pytest.fixture(scope="module")
def pruned(folder: Path, trackers: Trackers) -> Path:
    """The directory of the run of a trial that was pruned."""
    place = folder / "pruned"
    place.mkdir()
    (place / "train.py").write_text(PRUNED)
    (place / "tracelet.toml").write_text(trackers.settings(TRACKERS))
    environment = {**os.environ, **trackers.environment()}
    subprocess.run(
        [sys.executable, "train.py"], cwd=place, env=environment, timeout=3 * PATIENCE, check=True
    )
    (run_dir,) = [file.parent for file in (place / "runs").glob("*/*/run.json")]
    wait_until_settled(run_dir)
    return run_dir


@pytest.mark.parametrize("name", TRACKERS)
def test_a_pruned_trial_is_finished_and_tagged_in_every_tracker(
    trackers: Trackers, pruned: Path, name: str
) -> None:
    read = trackers.read_back(name, pruned)
    assert read.status == "finished"
    assert read.tags["optuna.state"] == "pruned"
