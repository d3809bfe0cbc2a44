"""What W&B's offline file holds of a run: where things are, and what the SDK must not add."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import finished, run_below

from tracelet.core.experiment import Experiment
from tracelet.errors import SettingsError

Start = Callable[..., Experiment]


@pytest.fixture
def start(start: Start) -> Start:
    """Start a run that a thread delivers: a process would import the SDK anew each time."""
    return partial(start, courier="thread")


def test_a_run_has_its_name_id_project_group_job_type_and_notes(start: Start, folder: Path) -> None:
    options = {"job_type": "train", "notes": "first try", "group": "unused"}
    exp = start("näme", options, project="vision/cats", group="sweep-1")
    finished(exp)
    found = run_below(folder).run
    assert (found.display_name, found.run_id) == ("näme", exp.run_id)
    assert (found.project, found.run_group) == ("vision_cats", "sweep-1")
    assert (found.job_type, found.notes) == ("train", "first try")
    link = exp.links["wandb"]
    assert link.id == exp.run_id
    assert link.url == run_below(folder).file.parent.as_uri()


def test_the_option_is_the_group_of_a_run_without_one(start: Start, folder: Path) -> None:
    finished(start(options={"group": "mine"}))
    assert run_below(folder).run.run_group == "mine"


def test_history_has_the_axis_of_each_row_and_config_of_each_metric(
    start: Start, folder: Path
) -> None:
    exp = start()
    exp.log_metrics({"train/loss": 0.5, "train/acc": 0.1}, iteration=7)
    exp.log_metric("train/loss", 0.25, iteration=3)
    exp.log_metric("val/loss", 0.4, iteration=1, axis="epoch")
    exp.log_metric("epoch", 2, iteration=9)
    finished(exp)
    run = run_below(folder)
    shown = [{k: v for k, v in row.items() if k[0] != "_"} for row in run.rows]
    assert shown == [
        {"iteration": 7, "train/loss": 0.5, "train/acc": 0.1},
        {"iteration": 3, "train/loss": 0.25},
        {"epoch": 1, "val/loss": 0.4},
        {"iteration": 9, "metric:epoch": 2},
    ]
    assert {"*": "iteration", "val/loss": "epoch"}.items() <= run.steps.items()
    assert run.hidden == {"iteration", "epoch", "_times"}
    assert [point.name for point in run.points()][-1] == "epoch"
    assert not {"_times", "_wandb.runtime"} & run.summary.keys()


def test_w_and_b_s_own_tool_reads_the_same(start: Start, folder: Path) -> None:
    exp = start(params={"model": {"depth": 18}})
    for number, value in enumerate([0.5, math.nan, math.inf, -math.inf, 2**53 + 1]):
        exp.log_metric("loss", value, iteration=-number)
    finished(exp, status="failed")
    run = run_below(folder)
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run.file)]
    done = subprocess.run(command, check=True, capture_output=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [one["history"]["item"] for one in said if one["type"] == "history"]
    assert [(row["iteration"], float(row["loss"])) for row in rows] == [
        (row["iteration"], pytest.approx(row["loss"], rel=0, nan_ok=True)) for row in run.rows
    ]
    assert [one["exit"]["exit_code"] for one in said if one["type"] == "exit"] == [1]


def test_names_of_w_and_b_are_kept_apart_from_metrics(start: Start, folder: Path) -> None:
    exp = start()
    names = ["_step", "_runtime", "_timestamp", "_times", "_wandb", "iteration", "metric:x", "a*"]
    for number, name in enumerate(names):
        exp.log_metric(name, number + 0.5, iteration=number, time=1.7e9 + number)
    finished(exp)
    points = run_below(folder).points()
    assert [(p.name, p.value, p.iteration, p.time) for p in points] == [
        (name, number + 0.5, number, 1.7e9 + number) for number, name in enumerate(names)
    ]


def test_numbers_beyond_64_bits_are_adjusted_and_others_exact(start: Start, folder: Path) -> None:
    exp = start()
    values = [2**63 - 1, -(2**63), 2**63 + 1, 10**400, 0.1, 5e-324, math.inf]
    for number, value in enumerate(values):
        exp.log_metric("x", value, iteration=number)
    report = exp.stop()["wandb"]
    assert (report.delivered, report.adjusted) == (7, 2)
    read = run_below(folder).read_back()
    assert [p.value for p in read.points] == [*values[:2], 2.0**63, math.inf, *values[4:]]
    assert [line["value"] for line in read.adjusted] == values[2:4]


def test_config_is_nested_and_says_what_was_removed(start: Start, folder: Path) -> None:
    exp = start(params={"model": {"depth": 18, "name": "resnet"}, "old": 1, "--x": 2})
    exp.log_params({"model": {"depth": 50}})
    exp.params.replace_all({"model.depth": 50, "model.name": "resnet", "--x": 2, "nan": math.nan})
    finished(exp)
    run = run_below(folder)
    assert run.config["model"] == {"depth": 50, "name": "resnet"}
    assert run.config["old"] is None
    assert run.own["removed"] == ["old"]
    assert run.config["nan"] == "NaN"
    params = {"model.depth": 50, "model.name": "resnet", "--x": 2, "nan": "NaN"}
    assert run.params() == params
    (line,) = run.read_back().adjusted
    assert line["param"] == "nan"
    assert math.isnan(line["value"])


def test_a_text_that_means_an_artifact_to_w_and_b_is_a_text(start: Start, folder: Path) -> None:
    finished(start(params={"data": "wandb-artifact://x/y/z:v0"}))
    run = run_below(folder)
    assert run.config["data"] == " wandb-artifact://x/y/z:v0"
    assert run.read_back().adjusted[0]["value"] == "wandb-artifact://x/y/z:v0"


def test_a_configuration_object_and_parameters_can_have_one_name(
    start: Start, folder: Path
) -> None:
    exp = start()
    exp.connect_configuration({"lr": 1.0}, name="optimizer")
    exp.connect_configuration({"layers": [1, 2]}, name="net")
    exp.log_params({"optimizer": {"momentum": 0.9}})
    finished(exp)
    run = run_below(folder)
    assert run.config["net"] == {"layers": [1, 2]}
    assert run.config["optimizer"] == {"momentum": 0.9}
    assert run.configs() == {"optimizer": {"lr": 1.0}, "net": {"layers": [1, 2]}}
    assert run.params() == {"optimizer.momentum": 0.9}


def test_tags_and_properties_are_where_people_look(start: Start, folder: Path) -> None:
    exp = start(options={"notes": "first"}, tags={"team": "ml", "long": "x" * 70})
    exp.set_user_properties(score=0.9)
    exp.set_user_properties({"name": "backbone", "value": "great", "description": "the net"})
    report = exp.stop()["wandb"]
    run = run_below(folder)
    assert list(run.run.tags) == ["team:ml", "long:" + "x" * 59]
    assert report.adjusted == 1
    assert run.own["tags"] == {"team": "ml", "long": "x" * 70}
    assert run.summary["properties/score"] == 0.9
    assert run.run.notes == "first\nscore: 0.9\nbackbone: great (the net)"


@pytest.mark.parametrize("status", ["finished", "failed", "killed"])
def test_the_exit_code_and_config_say_how_it_ended(start: Start, folder: Path, status: Any) -> None:
    finished(start(), status=status)
    run = run_below(folder)
    assert run.exit_code == {"finished": 0, "failed": 1, "killed": 255}[status]
    assert run.own["status"] == status
    assert run.own["started"] <= run.own["ended"] <= time.time()


def test_the_variables_of_the_sdk_hold_where_no_option_is_given(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "by-variable"))
    monkeypatch.setenv("WANDB_RUN_GROUP", "by-variable")
    monkeypatch.setenv("WANDB_NOTES", "by variable")
    monkeypatch.setenv("WANDB_RUN_ID", "someone-else")
    monkeypatch.setenv("WANDB_RESUME", "must")
    exp = start(courier="process", options={"dir": None, "mode": None})
    exp.set_user_properties(score=1)
    finished(exp)
    run = run_below(tmp_path / "by-variable")
    assert run.run.notes == "by variable\nscore: 1"
    assert (run.run.run_group, run.run.run_id) == ("by-variable", exp.run_id)


def test_an_unknown_mode_or_option_is_refused_at_the_start(start: Start) -> None:
    with pytest.raises(SettingsError, match="online, offline, disabled"):
        start(options={"mode": "shared"})
    with pytest.raises(SettingsError, match=r"backends\.wandb\.nope"):
        start(options={"nope": 1})


def test_what_comes_after_the_end_is_in_the_same_run(start: Start, folder: Path) -> None:
    exp = start(courier="process", params={"lr": 1})
    exp.log_metric("loss", 1.0, 0)
    finished(exp)
    again = start(courier="process", resume=exp.run_id, project="p")
    again.log_metric("loss", 0.5, 1)
    finished(again, status="failed")
    read = run_below(folder).read_back()
    assert [(p.value, p.iteration) for p in read.points] == [(1.0, 0), (0.5, 1)]
    assert (read.params, read.status) == ({"lr": 1}, "failed")


def test_a_run_can_be_opened_again_in_one_process(start: Start, folder: Path) -> None:
    exp = start()
    exp.log_metric("loss", 1.0, 0)
    exp.log("once")
    finished(exp)
    again = start(resume=exp.run_id, project="p")
    again.log_metric("loss", 0.5, 1)
    finished(again)
    read = run_below(folder).read_back()
    assert [p.iteration for p in read.points] == [0, 1]
    assert read.texts == ["once"]
