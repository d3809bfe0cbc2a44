"""A whole run on a server: what the requests carry, read back from the server that got them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from clearml_reader import point_of, sessions
from clearml_server import ClearmlServer
from conftest import Start, last_error, use_server, wait_for, worker_of

import tracelet
from tracelet.backends.base import TextLine
from tracelet.core.experiment import Experiment
from tracelet.records import MetricPoint
from tracelet_clearml.backend import ClearmlBackend
from tracelet_clearml.task import stamp

ONLINE: dict[str, Any] = {"offline": False}


def finished(exp: Experiment, *status: Any) -> tracelet.BackendReport:
    report = exp.stop(*status)["clearml"]
    assert (report.pending, report.rejected) == (0, 0), report
    return report


def points(server: ClearmlServer, exp: Experiment) -> list[tuple[Any, ...]]:
    found = [point_of(event) for event in server.scalars(exp.links["clearml"].id)]
    return [(point.name, point.value, point.iteration, point.axis) for point in found]


def test_a_whole_run(server: ClearmlServer, start: Start, tmp_path: Path) -> None:
    exp = start(
        "resnet", ONLINE, group="sweep", tags={"team": "ml"}, params={"Args/lr": 0.1, "old": 1}
    )
    exp.log_params({"Args": {"layers": [1, None]}})
    exp.set_parameters({"Args/lr": 0.2})
    logged = [("train/loss", 0.5, 3), ("train/loss", 0.25, 1), ("train/loss", 0.25, 1)]
    for name, value, iteration in logged:
        exp.log_metric(name, value, iteration)
    exp.log_metric("train/loss", math.nan, 4)
    exp.log_metric("val", 0.7, 2, axis="epoch", time=1.75e9)
    exp.log("hello", level="warning")
    exp.connect_configuration({"net": {"depth": 3}}, name="model")
    exp.set_user_properties({"name": "score", "value": 0.5, "description": "the mean"})
    for content in (b"first", b"second", b""):
        (tmp_path / "file").write_bytes(content)
        exp.log_artifact(tmp_path / "file", "models/a b#.pt" if content else "empty")
    report = finished(exp)
    assert report.adjusted == 1

    link = exp.links["clearml"]
    task = server.tasks[link.id]
    assert link.url == f"{server.url}/projects/{task['project']}/experiments/{link.id}/output/log"
    assert (task["name"], server.projects[task["project"]]) == ("resnet", "vision")
    assert (task["status"], task["type"]) == ("completed", "training")
    assert task["tags"] == ["group:sweep", "team:ml"]
    group = server.tasks[task["parent"]]
    assert (group["name"], group["status"], group["type"]) == ("sweep", "completed", "custom")
    shown = {
        section: {name: (item["value"], item["type"]) for name, item in items.items()}
        for section, items in task["hyperparams"].items()
    }
    assert shown["Args"] == {"lr": ("0.2", "float")}
    assert not shown.get("General")
    assert shown["properties"] == {"score": ("0.5", "float")}
    assert task["hyperparams"]["properties"]["score"]["description"] == "the mean"
    assert json.loads(task["configuration"]["model"]["value"]) == {"net": {"depth": 3}}
    assert json.loads(task["configuration"]["tracelet"]["value"])["status"] == "finished"
    assert points(server, exp)[:3] == [(*point, "iteration") for point in logged]
    assert points(server, exp)[4] == ("val", 0.7, 2, "epoch")
    assert server.scalars(link.id)[4]["timestamp"] == 1.75e12
    nan = server.scalars(link.id)[3]
    assert (nan["metric"], nan["variant"], nan["value"], nan["iter"]) == (
        "train (NaN)",
        "loss",
        1.0,
        4,
    )
    (line,) = server.log[link.id]
    assert (line["msg"], line["level"], line["worker"]) == ("hello", "warning", os.uname().nodename)
    stored = {item["key"]: server.uploaded(item["uri"]) for item in task["execution"]["artifacts"]}
    assert math.isnan(float(json.loads(stored.pop("tracelet/adjusted.jsonl"))["value"]["$float"]))
    assert stored == {"models/a b#.pt": b"second", "empty": b""}
    assert task["script"]["entry_point"] not in ("", "-m")
    assert "courier" not in json.dumps(task["script"])


def test_the_server_is_told_how_a_run_ended(server: ClearmlServer, start: Start) -> None:
    endings: dict[Any, str] = {"finished": "completed", "failed": "failed", "killed": "stopped"}
    for status, shown in endings.items():
        exp = start(status, ONLINE, courier="thread")
        finished(exp, status)
        task = server.tasks[exp.links["clearml"].id]
        assert task["status"] == shown
        assert exp.dir is not None
        assert task["status_message"] == f"ended {stamp(tracelet.load_run(exp.dir).ended or 0.0)}"
        assert server.calls.count(f"tasks.{shown}") == 1


def test_a_run_goes_on_in_its_task(server: ClearmlServer, start: Start) -> None:
    exp = start("run", ONLINE, params={"lr": 1}, tags={"a": "1"}, courier="thread")
    exp.log_metric("loss", 1.0, 0)
    finished(exp)
    again = start("run", ONLINE, resume=exp.run_id, tags={"b": "2"}, courier="thread")
    again.log_metric("loss", 0.5, 0)
    finished(again, "failed")
    assert again.links == exp.links
    assert len(server.tasks) == 1
    task = server.tasks[exp.links["clearml"].id]
    assert (task["status"], task["tags"]) == ("failed", ["a:1", "b:2"])
    assert [point[1] for point in points(server, exp)] == [1.0, 0.5]


def test_a_worker_that_is_killed_sends_every_point_once(
    server: ClearmlServer, start: Start
) -> None:
    exp = start("run", ONLINE)
    for number in range(5000):
        exp.log_metric("loss", float(number), number // 2)
    assert exp.dir is not None
    worker = wait_for(lambda: worker_of(exp.dir))
    wait_for(lambda: server.calls.count("events.add_batch") >= 2)
    worker.kill()
    finished(exp)
    assert sorted(value for _, value, *_ in points(server, exp)) == list(range(5000))


def test_a_busy_server_is_asked_again_and_nothing_is_there_twice(
    server: ClearmlServer, start: Start
) -> None:
    server.failing = 2
    exp = start("run", ONLINE)
    exp.log_metric("loss", 1.0, 0)
    assert exp.flush(60)
    server.failing = 1
    exp.log_metric("loss", 0.5, 0)
    exp.log("once")
    finished(exp)
    assert [point[1] for point in points(server, exp)] == [1.0, 0.5]
    assert [line["msg"] for line in server.log[exp.links["clearml"].id]] == ["once"]


def test_a_task_whose_id_was_never_learned_is_begun_again(
    server: ClearmlServer, tmp_path: Path
) -> None:
    run = tracelet.RunInfo(run_id="r", name="run", project="vision", dir=str(tmp_path), started=0.0)
    point = MetricPoint("loss", 1.0, 0, "iteration", 1.0)
    links = []
    for _ in range(2):  # the worker dies, and its cursor was not saved
        backend = ClearmlBackend(offline=False)
        links.append(backend.open(run))
        backend.log_metrics([point])
        backend.log_text([TextLine("once", "info", 1.0)])
    assert links[0] == links[1]
    (task,) = server.tasks.values()
    assert task["status"] == "in_progress"
    assert len(server.scalars(task["id"])) == len(server.log[task["id"]]) == 1


@pytest.mark.parametrize("then", ["points", "parameters"])
def test_a_task_that_was_deleted_meanwhile_is_made_anew(
    server: ClearmlServer, start: Start, then: str
) -> None:
    exp = start("run", ONLINE, params={"lr": 1}, courier="thread")
    exp.log_metric("loss", 1.0, 0)
    assert exp.flush(60)
    server.tasks.clear()
    server.events.clear()
    if then == "points":
        exp.log_metric("loss", 0.5, 1)
    else:
        exp.log_params({"lr": 2})
    finished(exp)
    (task,) = server.tasks.values()
    assert task["hyperparams"]["General"]["lr"]["value"] == {"points": "1", "parameters": "2"}[then]
    values = [event["value"] for event in server.scalars(task["id"])]
    assert values == {"points": [1.0, 0.5], "parameters": [1.0]}[then]


def test_a_run_on_a_server_that_goes_on_offline_is_whole_there_and_back(
    server: ClearmlServer, start: Start, tmp_path: Path
) -> None:
    exp = start("run", ONLINE, params={"lr": 1}, courier="thread")
    exp.log_metric("loss", 1.0, 0)
    finished(exp)
    again = start("run", {"offline": True}, resume=exp.run_id, courier="thread")
    again.log_metric("loss", 0.5, 1)
    finished(again)
    (folder,) = sessions(tmp_path)
    assert folder.params() == {"lr": 1}
    assert [point.value for point in folder.points()] == [1.0, 0.5]
    back = start("run", ONLINE, resume=exp.run_id, courier="thread")
    back.log("the third line")
    finished(back)
    assert len(server.tasks) == 1
    assert [point[1] for point in points(server, back)] == [1.0, 0.5]


def test_without_a_configuration_the_data_waits_and_the_line_that_makes_one_is_said(
    start: Start,
) -> None:
    exp = start("run", ONLINE)
    exp.log_metric("loss", 1.0, 0)
    wait_for(lambda: "clearml-init" in str(last_error(exp)))
    report = exp.stop(timeout=0.1)["clearml"]
    assert (report.pending, report.delivered) == (1, 0)


def test_a_server_that_is_not_there_is_said_and_the_data_waits(
    server: ClearmlServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_server(monkeypatch, "http://127.0.0.1:9")
    exp = start("run", ONLINE)
    exp.log_metric("loss", 1.0, 0)
    wait_for(lambda: last_error(exp))
    assert "127.0.0.1" in str(last_error(exp))
    assert exp.stop(timeout=0.1)["clearml"].pending == 1
