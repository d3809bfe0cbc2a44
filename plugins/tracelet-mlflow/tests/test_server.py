"""The adapter against a real ``mlflow server``, over HTTP, which passes artifacts on."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from mlflow_live import PATIENCE, Server, report_of, wait_for
from mlflow_reader import artifacts, read, runs_of

from tracelet.core.experiment import Experiment

Start = Callable[..., Experiment]


def test_a_run_is_on_the_server_as_it_was_logged(
    start: Start, server: Server, tmp_path: Path
) -> None:
    names = ["plain.txt", "a#b.txt", "100%25.txt", "why?.txt", "größe ✓.txt", "plus+and&.txt"]
    for name in names:
        (tmp_path / name).write_text(name)
    exp = start("first", {"tracking_uri": server.uri}, project="over http", group="all")
    for iteration in range(2500):
        exp.log_metric("train/loss", 1 / (iteration + 1), iteration=iteration)
    for value in (math.nan, math.inf, 0.5, 0.5, 0.5):
        exp.log_metric("odd@[1]", value, iteration=-3)
    exp.log_params({f"p{number}": number for number in range(250)}, long="x" * 9000)
    exp.log_params(p0="changed")
    for name in names:
        exp.log_artifact(tmp_path / name, f"deep/er/{name}")
    exp.log("hello")
    report = exp.stop()

    link = exp.links["mlflow"]
    back = read(server.uri, link.id)
    (experiment,) = {run.info.experiment_id for run in runs_of(server.uri, "over http")}
    assert link.url == f"{server.uri}/#/experiments/{experiment}/runs/{link.id}"
    assert [p.value for p in back.points if p.name == "train/loss"] == [
        1 / (i + 1) for i in range(2500)
    ]
    odd = [repr(point.value) for point in back.points if point.name == "odd@[1]"]
    assert odd == ["nan", "1.7976931348623157e+308", "0.5", "0.5", "0.5"]
    assert back.params["p0"] == "changed"
    assert back.params["long"] == "x" * 9000
    assert len(back.params) == 251
    assert {back.artifacts[f"deep/er/{name}"].decode() for name in names} == set(names)
    assert (back.texts, back.status, back.group) == (["hello"], "finished", "all")
    run = MlflowClient(server.uri).get_run(link.id)
    assert run.data.params["long"].endswith("all of them in parameters.json]")
    assert "deep/er/a_x23_b.txt" in artifacts(MlflowClient(server.uri), run)
    assert report["mlflow"].adjusted == 1 + 1 + 3
    assert report.complete


def test_credentials_are_not_in_the_link(start: Start, server: Server) -> None:
    uri = server.uri.replace("://", "://user:hunter2@")
    exp = start(options={"tracking_uri": uri})
    exp.stop()

    assert exp.links["mlflow"].url is not None
    assert exp.links["mlflow"].url.startswith(f"{server.uri}/#/")
    run = MlflowClient(server.uri).get_run(exp.links["mlflow"].id)
    assert "hunter2" not in str(run.to_dictionary())


def test_a_server_that_is_down_gets_everything_when_it_is_back(
    start: Start, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights" * 1000)
    exp = start("through an outage", {"tracking_uri": server.uri}, project="outage")
    exp.log_metric("loss", 1.0, iteration=0)
    assert exp.flush(PATIENCE)
    server.stop()
    try:
        for iteration in range(1, 1500):
            exp.log_metric("loss", 1 / (iteration + 1), iteration=iteration)
        exp.log_params(lr=0.5)
        exp.log_artifact(tmp_path / "model.bin")
        down = wait_for(lambda: report_of(exp).last_error)
        assert down.startswith("MlflowException: API request to ")
    finally:
        server.start()
    report = exp.stop()

    assert report.complete, report
    back = read(server.uri, exp.links["mlflow"].id)
    assert [point.value for point in back.points] == [1 / (i + 1) for i in range(1500)]
    assert back.params == {"lr": 0.5}
    assert back.artifacts["model.bin"] == b"weights" * 1000
    assert back.runs == 1
