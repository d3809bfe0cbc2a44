"""The adapter against a SQLite database, read back with MLflow's own client."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow_live import PATIENCE, report_of, wait_for
from mlflow_reader import artifacts, read, runs_of

from tracelet.core.experiment import Experiment
from tracelet.core.run import load_run
from tracelet.errors import SettingsError
from tracelet.records import MetricPoint

Start = Callable[..., Experiment]


def run_id(exp: Experiment) -> str:
    wait_for(lambda: "mlflow" in exp.links)
    return exp.links["mlflow"].id


def test_a_run_is_in_mlflow_as_it_was_logged(start: Start, uri: str) -> None:
    exp = start("first run", project="vision", tags={"team": "ml"}, params={"lr": 1e-3})
    for iteration in range(50):
        exp.log_metric("train/loss", 1 / (iteration + 1), iteration=iteration)
    exp.log_metric("train/loss", math.nan, iteration=50)
    exp.log("hello\nworld")
    report = exp.stop()

    assert report.complete, report
    run = MlflowClient(uri).get_run(run_id(exp))
    assert (run.info.run_name, run.info.status) == ("first run", "FINISHED")
    assert (run.data.params, run.data.tags["team"]) == ({"lr": "0.001"}, "ml")
    assert run.data.tags["tracelet.run_id"] == exp.run_id
    assert run.data.tags["mlflow.source.type"] == "LOCAL"
    assert run.data.tags["mlflow.user"]
    back = read(uri, run_id(exp))
    assert back.project == "vision"
    assert [point.value for point in back.points[:50]] == [1 / (i + 1) for i in range(50)]
    assert [point.iteration for point in back.points] == list(range(51))
    assert math.isnan(back.points[50].value)
    assert (back.params, back.texts) == ({"lr": 1e-3}, ["hello\nworld"])
    assert (report["mlflow"].adjusted, back.adjusted) == (0, [])
    assert report["mlflow"].link is not None
    assert report["mlflow"].link.url is None


def test_nothing_is_written_into_the_working_directory(start: Start, runs: Path) -> None:
    exp = start()
    exp.log_params(a=1)
    exp.stop()

    assert list(Path.cwd().iterdir()) == []
    assert {path.name for path in runs.iterdir()} == {"mlflow.db", "mlflow-artifacts", "p"}


def test_a_relative_database_is_where_the_run_was_started(start: Start, tmp_path: Path) -> None:
    here = Path.cwd()
    exp = start(options={"tracking_uri": "sqlite:///here.db"})
    os.chdir(tmp_path)
    exp.log_artifact(__file__)
    exp.stop()

    assert read(f"sqlite:///{here}/here.db", run_id(exp)).status == "finished"
    assert {path.name for path in here.iterdir()} == {"here.db", "here.db.lock", "here-artifacts"}


def test_the_variable_holds_where_no_option_is_given(
    start: Start, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("variable", "option"):
        shutil.copyfile(database, tmp_path / f"{name}.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/variable.db")
    exp = start(project="from the variable")
    exp.stop()
    option = f"sqlite:///{tmp_path}/option.db"
    exp = start(options={"tracking_uri": option}, project="from the option")
    exp.stop()

    assert len(runs_of(f"sqlite:///{tmp_path}/variable.db", "from the variable")) == 1
    assert len(runs_of(option, "from the option")) == 1


def test_the_options_name_experiment_and_artifact_location(
    start: Start, uri: str, tmp_path: Path
) -> None:
    exp = start(options={"experiment": "mine", "artifact_location": f"{tmp_path}/my files"})
    exp.log_artifact(__file__, "test.py")
    exp.stop()

    (run,) = runs_of(uri, "mine")
    file = tmp_path / "my files" / run.info.run_id / "artifacts" / "test.py"
    assert file.read_bytes() == Path(__file__).read_bytes()
    assert read(uri, run.info.run_id).artifacts["test.py"] == file.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracking_url": "x"}, "tracking_url is not an option"),
        ({"tracking_uri": 5}, "tracking_uri is a str"),
        ({"tracking_uri": "./mlruns"}, "retired"),
        ({"tracking_uri": "file:///tmp/mlruns"}, "retired"),
    ],
)
def test_an_option_that_cannot_work_is_refused_at_the_start(
    start: Start, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        start(options=options)


def test_what_mlflow_cannot_hold_counts_as_adjusted_and_is_kept_exact(
    start: Start, uri: str
) -> None:
    odd = [math.inf, -math.inf, 2**53 + 1, 10**400, -0.0]
    exp = start()
    for iteration, value in enumerate(odd):
        exp.log_metric("odd", value, iteration=iteration, time=1e9 + iteration)
    exp.log_params(long="é" * 9000, short="x" * 6000)
    exp.set_tags({"long": "t" * 9000})
    report = exp.stop()

    back = read(uri, run_id(exp))
    assert report["mlflow"].adjusted == len(odd) + 2 == len(back.adjusted)
    kept = [
        (line["metric"], line["value"], line["iteration"], line["axis"], line["time"])
        for line in back.adjusted[: len(odd)]
    ]
    assert kept == [("odd", v, i, "iteration", 1e9 + i) for i, v in enumerate(odd)]
    assert math.copysign(1, kept[4][1]) < 0
    assert [line.get("param") or line.get("tag") for line in back.adjusted[5:]] == ["long", "long"]
    assert back.adjusted[6]["value"] == "t" * 9000
    assert back.params == {"long": "é" * 9000, "short": "x" * 6000}
    run = MlflowClient(uri).get_run(run_id(exp))
    assert run.data.params["short"] == "x" * 6000
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["long"].endswith(
        " [cut: 9,000 characters, all of them in parameters.json]"
    )
    assert run.data.tags["long"].endswith("in tracelet/adjusted.jsonl]")
    history = MlflowClient(uri).get_metric_history(run_id(exp), "odd")
    assert [point.value for point in history] == [
        sys.float_info.max,
        -sys.float_info.max,
        2.0**53,
        sys.float_info.max,
        0.0,
    ]


def test_points_of_one_iteration_and_value_are_all_there_in_order(start: Start, uri: str) -> None:
    exp = start()
    logged = []
    for value in (0.5, 0.5, 0.5, 2.0, -1.0, 0.5, math.nan, math.nan):
        for iteration in (3, 3, 1):
            exp.log_metric("same", value, iteration=iteration, time=1e9)
            logged.append((repr(value), iteration))
    report = exp.stop()

    back = read(uri, run_id(exp))
    assert [(repr(point.value), point.iteration) for point in back.points] == logged
    assert report["mlflow"].adjusted == 0


def test_names_and_axes_come_back(start: Start, uri: str) -> None:
    points = [
        MetricPoint("val/mean@1", 1.0, 0, "iteration", 1e9),
        MetricPoint("val/mean#1", 2.0, 0, "iteration", 1e9),
        MetricPoint("loss", 3.0, 100, "iteration", 1e9),
        MetricPoint("loss", 4.0, 1, "epoch", 1e9),
        MetricPoint("only by epoch", 5.0, -7, "epoch", 1e9),
        MetricPoint("w" * 300, 6.0, 2**40, "tokens seen", 1e9),
    ]
    exp = start()
    for point in points:
        exp.log_metric(
            point.name, point.value, iteration=point.iteration, axis=point.axis, time=point.time
        )
    exp.stop()

    back = read(uri, run_id(exp))
    assert sorted(back.points, key=lambda point: point.value) == points
    metrics = MlflowClient(uri).get_run(run_id(exp)).data.metrics
    assert {"val/mean_x40_1", "loss", "loss:by:epoch", "only by epoch"} < set(metrics)


def test_a_parameter_that_changes_keeps_its_first_text_and_gets_a_tag(
    start: Start, uri: str
) -> None:
    exp = start()
    exp.log_params(
        {"lr": 0.1, "same": 1, "back": "a", "gone": None, "a@b": True, "list": [1, None]}
    )
    exp.log_params({"lr": 0.01, "same": 1, "back": "b", "a@b": False})
    exp.log_params({"lr": "0.001", "back": "a"})
    exp.params.replace_all({"lr": "0.001", "back": "a", "a@b": False})
    report = exp.stop()

    run = MlflowClient(uri).get_run(run_id(exp))
    first = {"lr": "0.1", "same": "1", "back": "a", "gone": "None", "a_x40_b": "True"}
    assert run.data.params == {**first, "list": "[1, None]"}
    changed = {tag: text for tag, text in run.data.tags.items() if tag.startswith("param.")}
    assert changed == {
        "param.lr": "0.001",
        "param.back": "a",
        "param.a_x40_b": "False",
        "param.same": "(removed)",
        "param.gone": "(removed)",
        "param.list": "(removed)",
    }
    assert read(uri, run_id(exp)).params == {"lr": "0.001", "back": "a", "a@b": False}
    assert report["mlflow"].rejected == 0


def test_many_parameters_in_one_call_are_all_there(start: Start, uri: str) -> None:
    many = {f"p{number}": number for number in range(1001)}
    exp = start(params=many)
    exp.stop()

    assert len(MlflowClient(uri).get_run(run_id(exp)).data.params) == 1001
    assert read(uri, run_id(exp)).params == many


def test_tags_and_properties_do_not_meet_each_other_or_mlflow_s_own(start: Start, uri: str) -> None:
    tags = {
        "owner": "tag",
        "mlflow.runName": "not the name",
        "mlflow.parentRunId": "nobody",
        "mlflow.note.content": "# About",
        "tracelet.key": "x",
        "property.owner": "y",
        "param.lr": "z",
        "tag.owner": "w",
        "a@b": "é ✓",
        "empty": "",
    }
    exp = start("the name", tags=tags, params={"lr": 1})
    exp.set_user_properties(owner={"value": 5, "description": "who"}, score=0.5)
    exp.stop()

    back = read(uri, run_id(exp))
    assert (back.tags, back.name, back.params) == (tags, "the name", {"lr": 1})
    assert (back.properties["owner"].value, back.properties["owner"].description) == (5, "who")
    shown = MlflowClient(uri).get_run(run_id(exp)).data.tags
    assert (shown["property.owner"], shown["property.score"]) == ("5", "0.5")
    assert shown["mlflow.note.content"] == "# About"
    assert "mlflow.parentRunId" not in shown


def test_artifacts_are_under_their_destination_and_can_be_replaced(
    start: Start, uri: str, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    names = ["a#b%20?.txt", "größe ✓.bin", ".hidden", "..dots", "below/c.txt", "empty"]
    for name in names[:-1]:
        (folder / name).write_text(name)
    (folder / "empty").touch()
    exp = start()
    exp.log_artifact(folder, "deep/er")
    exp.log_artifact(folder / ".hidden", "..starts/with.txt")
    exp.log_artifact(folder / "empty", "twice.bin")
    exp.log_artifact(folder / ".hidden", "twice.bin")
    exp.connect_configuration({"depth": [1, 2]}, name="model config")
    report = exp.stop()

    run = MlflowClient(uri).get_run(run_id(exp))
    found = artifacts(MlflowClient(uri), run)
    assert found.pop("deep/er/a_x23_b_x25_20_x3f_.txt") == b"a#b%20?.txt"
    for name in names[1:]:
        assert found[f"deep/er/{name}"] == (folder / name).read_bytes()
    assert read(uri, run_id(exp)).artifacts["deep/er/a#b%20?.txt"] == b"a#b%20?.txt"
    assert found["twice.bin"] == b".hidden"
    assert found["_x2e_.starts/with.txt"] == b".hidden"
    assert read(uri, run_id(exp)).configs == {"model config": {"depth": [1, 2]}}
    assert report["mlflow"].adjusted == 2
    place = Path(run.info.artifact_uri.removeprefix("file://"))
    assert (place / "twice.bin").stat().st_mode & stat.S_IWUSR


@pytest.mark.parametrize(
    ("status", "expected"), [("finished", "FINISHED"), ("failed", "FAILED"), ("killed", "KILLED")]
)
def test_the_ending_is_the_status(start: Start, uri: str, status: Any, expected: str) -> None:
    exp = start()
    exp.stop(status)

    info = MlflowClient(uri).get_run(run_id(exp)).info
    assert info.status == expected
    assert info.end_time == int(load_run(exp.dir).ended * 1000) >= info.start_time


def test_a_resumed_run_goes_on_in_the_same_run_of_mlflow(start: Start, uri: str) -> None:
    exp = start(params={"lr": 1})
    exp.log_metric("loss", 0.5, iteration=0)
    exp.log("one")
    exp.log_metric("loss", math.inf, iteration=1)
    exp.stop("failed")
    resumed = start(resume=exp.run_id)
    assert wait_for(lambda: MlflowClient(uri).get_run(run_id(exp)).info.status == "RUNNING")
    resumed.log_metric("loss", 0.25, iteration=2)
    resumed.log_metric("loss", 7.0, iteration=7, axis="epoch")
    resumed.log_params(depth=2)
    resumed.log("two")
    resumed.stop()

    back = read(uri, run_id(exp))
    assert run_id(resumed) == run_id(exp)
    assert (back.status, back.runs, back.texts) == ("finished", 1, ["one", "two"])
    assert back.params == {"lr": 1, "depth": 2}
    on_iteration = [point.iteration for point in back.points if point.axis == "iteration"]
    assert on_iteration == [0, 1, 2]
    assert len(back.adjusted) == 1


def test_runs_of_a_group_have_one_parent(start: Start, uri: str) -> None:
    experiments = []
    for number in range(3):
        experiments.append(start(f"run {number}", group="sweep"))
        experiments[-1].stop()

    runs = {run.info.run_id: run for run in runs_of(uri, "p")}
    (parent,) = [run for run in runs.values() if "tracelet.is_group" in run.data.tags]
    assert (parent.info.run_name, parent.info.status) == ("sweep", "FINISHED")
    children = [runs[run_id(exp)] for exp in experiments]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert len(runs) == 4


def test_several_processes_open_one_fresh_database_and_group(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path.as_posix()}/fresh/mlflow.db"
    script = (
        "import sys, tracelet\n"
        f"config = {{'dir': {str(tmp_path / 'fresh')!r}, 'courier': 'process'}}\n"
        "exp = tracelet.start_logging(sys.argv[1], project='p', group='all', backend='mlflow',\n"
        "                             config=config)\n"
        "exp.log_metric('loss', float(sys.argv[1]), iteration=0)\n"
        f"report = exp.stop(timeout={PATIENCE})\n"
        "assert report.complete and report['mlflow'].last_error is None, report\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(3)
    ]

    assert [process.wait(PATIENCE) for process in processes] == [0, 0, 0]
    runs = runs_of(uri, "p")
    values = sorted(run.data.metrics["loss"] for run in runs if "loss" in run.data.metrics)
    assert (values, len(runs)) == ([0.0, 1.0, 2.0], 4)


def test_a_deleted_experiment_is_named_with_what_to_do(start: Start, uri: str) -> None:
    exp = start(project="gone")
    exp.stop()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("gone").experiment_id
    client.delete_experiment(experiment)

    late = start(project="gone")
    late.log_metric("loss", 0.5, iteration=0)
    error = wait_for(lambda: report_of(late).last_error)
    assert "'gone' was deleted in MLflow" in error
    assert "backends.mlflow.experiment" in error
    client.restore_experiment(experiment)
    assert late.stop().complete
    assert len(runs_of(uri, "gone")) == 2


def test_a_run_that_is_gone_is_delivered_anew(start: Start, uri: str, runs: Path) -> None:
    exp = start(params={"lr": 1})
    exp.log_metric("loss", 0.5, iteration=0)
    exp.log("a line")
    exp.stop()
    (run,) = runs_of(uri, "p")
    with sqlite3.connect(runs / "mlflow.db") as database:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"DELETE FROM {table}")
    database.close()

    resumed = start(resume=exp.run_id)
    resumed.log_metric("loss", 0.25, iteration=1)
    assert resumed.stop().complete
    (run,) = runs_of(uri, "p")
    back = read(uri, run.info.run_id)
    assert [point.value for point in back.points] == [0.5, 0.25]
    assert (back.params, back.texts, back.status) == ({"lr": 1}, ["a line"], "finished")


def test_the_client_is_at_hand_in_the_training_process(
    start: Start, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = start()
    exp.log_metric("loss", 0.5, iteration=3)
    assert exp.flush(PATIENCE)
    backend = exp.backend("mlflow")
    assert backend is not None
    assert backend.native.get_run(run_id(exp)).data.metrics == {"loss": 0.5}
    exp.stop()
    assert capsys.readouterr().out == ""


def test_a_process_of_its_own_delivers_the_same(start: Start, uri: str) -> None:
    exp = start(courier="process", params={"lr": 0.5})
    for iteration in range(2500):
        exp.log_metric("loss", 1 / (iteration + 1), iteration=iteration)
    assert exp.stop().complete

    back = read(uri, run_id(exp))
    assert [point.value for point in back.points] == [1 / (i + 1) for i in range(2500)]
    assert (back.params, back.status) == ({"lr": 0.5}, "finished")
