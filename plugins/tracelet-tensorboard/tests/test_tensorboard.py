"""What a run is in TensorBoard, read with TensorBoard's own readers."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import reader
from conftest import folder_of
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

import tracelet
from tracelet.backends.base import Property
from tracelet.core.experiment import Experiment
from tracelet.errors import SettingsError

Start = Callable[..., Experiment]


def float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def test_points_are_shown_as_float32_and_kept_exactly_beside_it(start: Start) -> None:
    values = [1 / 3, 0.1, 5e-324, -0.0, 16777217.0, 1e-300]
    with start() as exp:
        for iteration, value in enumerate(values):
            exp.log_metric("loss", value, iteration=iteration, time=1000.125 + iteration)

    scalars = reader.accumulated(folder_of(exp)).Scalars("loss")
    assert [event.value for event in scalars] == [float32(value) for value in values]
    points = reader.exact_points(folder_of(exp))
    assert [struct.pack("<d", point.value) for point in points] == [
        struct.pack("<d", value) for value in values
    ]
    expected = [(iteration, 1000.125 + iteration) for iteration in range(len(values))]
    assert [(event.step, event.wall_time) for event in scalars] == expected
    assert [(point.iteration, point.time) for point in points] == expected


def test_values_that_float32_cannot_hold_are_shown_as_infinite(start: Start) -> None:
    values = [1e300, -1e300, 10**400, -(10**400)]
    with start() as exp:
        for value in values:
            exp.log_metric("large", value)

    scalars = reader.accumulated(folder_of(exp)).Scalars("large")
    assert [event.value for event in scalars] == [math.inf, -math.inf] * 2
    assert [point.value for point in reader.exact_points(folder_of(exp))] == values


def test_nan_and_the_infinities_are_kept(start: Start) -> None:
    with start() as exp:
        for value in (math.nan, math.inf, -math.inf):
            exp.log_metric("loss", value)

    for found in (
        [event.value for event in reader.accumulated(folder_of(exp)).Scalars("loss")],
        [point.value for point in reader.exact_points(folder_of(exp))],
    ):
        assert math.isnan(found[0])
        assert found[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("value", [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**100, True])
def test_integers_of_any_size_are_kept(start: Start, value: int) -> None:
    with start() as exp:
        exp.log_metric("count", value)

    (point,) = reader.exact_points(folder_of(exp))
    assert point.value == int(value)
    assert type(point.value) is int


def test_iterations_of_any_sign_and_order_are_kept(start: Start) -> None:
    iterations = [0, 5, 3, 3, -7, 2**40, 1, 1]
    with start() as exp:
        for iteration in iterations:
            exp.log_metric("loss", 0.5, iteration=iteration)

    scalars = reader.accumulated(folder_of(exp)).Scalars("loss")
    assert [event.step for event in scalars] == iterations
    assert [point.iteration for point in reader.exact_points(folder_of(exp))] == iterations


def test_each_axis_of_a_metric_has_a_chart_of_its_own(start: Start) -> None:
    with start() as exp:
        exp.log_metric("loss", 0.5, iteration=100)
        exp.log_metric("loss", 0.25, iteration=1, axis="epoch")
        exp.log_metric("loss", 0.125, iteration=2, axis="50%/of all")

    shown = reader.shown_points(folder_of(exp))
    assert [(tag, value, step) for tag, value, step, _ in shown] == [
        ("loss", 0.5, 100),
        ("loss [epoch]", 0.25, 1),
        ("loss [50%/of all]", 0.125, 2),
    ]
    points = reader.exact_points(folder_of(exp))
    assert [(point.name, point.axis, point.iteration) for point in points] == [
        ("loss", "iteration", 100),
        ("loss", "epoch", 1),
        ("loss", "50%/of all", 2),
    ]


def test_any_text_is_a_name_of_a_metric(start: Start) -> None:
    names = [
        "val/mean@1", "loss[0]", "loss", "loss/train", "a b", "größe ✓", "x" * 300, "//",
        "tracelet/status", "_tracelet_/iteration/loss", "_hparams_/session_start_info",
    ]  # fmt: skip
    with start() as exp:
        for number, name in enumerate(names):
            exp.log_metric(name, number)

    points = reader.exact_points(folder_of(exp))
    assert [(point.name, point.value) for point in points] == list(
        zip(names, range(11), strict=True)
    )
    shown = [tag for tag, *_ in reader.shown_points(folder_of(exp))]
    assert shown == [*names[:8], *(f"metrics/{name}" for name in names[8:])]
    assert reader.texts(folder_of(exp), "tracelet/status")[-1] == "finished"


def test_many_points_of_many_metrics_are_in_the_order_they_were_logged(start: Start) -> None:
    with start() as exp:
        for iteration in range(5_000):
            exp.log_metrics({"a": iteration / 3, "longer/name": -iteration}, iteration=iteration)

    points = reader.exact_points(folder_of(exp))
    assert [(point.name, point.value, point.iteration) for point in points] == [
        point
        for iteration in range(5_000)
        for point in (("a", iteration / 3, iteration), ("longer/name", -iteration, iteration))
    ]
    assert len(reader.accumulated(folder_of(exp)).Scalars("a")) == 5_000


def test_no_dashboard_lists_the_private_tags(start: Start) -> None:
    with start() as exp:
        exp.log_metric("loss", 0.5)

    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder_of(exp).parent)).Reload()
    for plugin in ("scalars", "text", "hparams"):
        tags = multiplexer.PluginRunToTagToContent(plugin)[exp.run_id]
        assert not [tag for tag in tags if tag.startswith("_tracelet_")]


PARAMS: dict[str, Any] = {
    "lr": 1e-3,
    "epochs": 7,
    "nesterov": True,
    "name": "adam",
    "digits": "42",
    "none": None,
    "list": [1, "a", None, [2.5]],
    "empty": {},
    "large": 2**53 + 1,
    "nan": math.nan,
    "with space@[0]": "naïve ✓\nsecond line",
}


def test_parameters_are_typed_in_the_text_and_shown_as_hparams(start: Start) -> None:
    with start(params=PARAMS) as exp:
        pass

    text = reader.table(folder_of(exp), "tracelet/parameters")
    assert math.isnan(text["nan"])
    assert {**text, "nan": None} == {**PARAMS, "nan": None}
    assert [type(text[key]) for key in PARAMS] == [type(value) for value in PARAMS.values()]
    assert reader.hparam_values(folder_of(exp)) == {
        "lr": 0.001,
        "epochs": 7.0,
        "nesterov": True,
        "name": "adam",
        "digits": "42",
        "none": "null",
        "list": '[1, "a", null, [2.5]]',
        "empty": "{}",
        "large": "9007199254740993",
        "nan": "NaN",
        "with space@[0]": "naïve ✓\nsecond line",
    }


def test_each_delivered_change_of_the_parameters_is_a_text(start: Start) -> None:
    with start(params={"lr": 0.1, "shape": "resnet"}) as exp:
        assert exp.flush(60)
        exp.log_params(lr=0.01)
        assert exp.flush(60)
        with pytest.warns(tracelet.TraceletWarning, match="shape"):
            exp.log_params(shape={"name": "vit"})

    found = [json.loads(text) for text in reader.texts(folder_of(exp), "tracelet/parameters")]
    assert found == [
        {"lr": 0.1, "shape": "resnet"},
        {"lr": 0.01, "shape": "resnet"},
        {"lr": 0.01, "shape.name": "vit"},
    ]
    assert reader.hparam_values(folder_of(exp)) == {"lr": 0.01, "shape.name": "vit"}


def test_the_hparams_are_in_the_one_file_of_the_one_folder_of_a_run(start: Start) -> None:
    with start(params={"lr": 0.1}) as exp:
        exp.log_metric("loss", 0.5)

    (file,) = reader.event_files(folder_of(exp).parent)
    assert file.parent == folder_of(exp)
    assert folder_of(exp).name == exp.run_id
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder_of(exp).parent)).Reload()
    assert list(multiplexer.Runs()) == [exp.run_id]


def test_a_running_run_has_a_status_and_no_hparams_yet(start: Start) -> None:
    exp = start(params={"lr": 0.1})
    assert exp.flush(60)

    assert reader.hparams(folder_of(exp)) is None
    assert reader.texts(folder_of(exp), "tracelet/status") == ["running"]
    exp.stop()


@pytest.mark.parametrize(("status", "outcome"), [("finished", 1), ("failed", 2), ("killed", 2)])
def test_the_ending_is_success_or_failure_for_hparams_and_exact_as_text(
    start: Start, status: Any, outcome: int
) -> None:
    exp = start()
    exp.stop(status)

    assert reader.outcome(folder_of(exp)) == outcome
    assert reader.session_end(folder_of(exp)).end_time_secs == tracelet.load_run(exp.dir).ended
    assert reader.texts(folder_of(exp), "tracelet/status") == ["running", status]


def test_what_else_a_run_has_is_there(start: Start, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(b"a: 1\r\nb: [2]\n")
    with start("named", group="g", tags={"team": "ml"}) as exp:
        exp.log("one **bold** line")
        exp.log("two\n\nlines <b>", level="warning")
        exp.set_user_properties(note={"value": 3, "description": "three"}, plain="x")
        exp.connect_configuration({"layers": [1, 2.5, None], "name": "✓"}, name="model")
        exp.connect_configuration(tmp_path / "own.yaml", name="data/set")

    found = reader.read_back(folder_of(exp))
    assert (found.name, found.project, found.group) == ("named", "p", "g")
    assert found.tags == {"team": "ml"}
    assert found.texts == ["one **bold** line", "two\n\nlines <b>"]
    assert found.properties == {"note": Property(3, "three"), "plain": Property("x")}
    assert found.configs == {
        "model": {"layers": [1, 2.5, None], "name": "✓"},
        "data/set": b"a: 1\r\nb: [2]\n",
    }
    assert found.adjusted == []


def test_a_large_configuration_is_shown_in_part_and_kept_whole(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "large.txt").write_text("line ✓\n" * 50_000)
    with start() as exp:
        exp.connect_configuration(tmp_path / "large.txt", name="large")

    (shown,) = reader.texts(folder_of(exp), "tracelet/configurations/large")
    assert len(shown) < 110_000
    assert reader.read_back(folder_of(exp)).configs == {
        "large": (tmp_path / "large.txt").read_bytes()
    }


def test_artifacts_are_beside_the_event_file_as_they_were_at_the_call(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "model.bin"
    with start(capture=False) as exp:
        file.write_bytes(b"first")
        exp.log_artifact(file, "models/a.bin")
        file.write_bytes(b"second")
        exp.log_artifact(file, "models/b.bin")
        exp.log_artifact(file, "replaced")
        file.write_bytes(b"")
        exp.log_artifact(file, "replaced")
        file.unlink()

    assert reader.files_below(folder_of(exp) / "artifacts") == {
        "models/a.bin": b"first",
        "models/b.bin": b"second",
        "replaced": b"",
    }
    noted = [json.loads(text) for text in reader.texts(folder_of(exp), "tracelet/artifacts")]
    assert [(one["path"], one["size"]) for one in noted] == [
        ("models/a.bin", 5), ("models/b.bin", 6), ("replaced", 6), ("replaced", 0),
    ]  # fmt: skip


def test_a_file_that_was_not_copied_is_no_link_to_the_users_file(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(b"content")
    with start() as exp:
        exp.log_artifact(file, copy=False)

    stored = folder_of(exp) / "artifacts" / "data.bin"
    file.write_bytes(b"changed")
    assert stored.read_bytes() == b"content"
    assert not stored.is_symlink()


def test_the_space_of_a_blob_is_shared(start: Start, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"content")
    with start() as exp:
        exp.log_artifact(tmp_path / "model.bin")

    assert (folder_of(exp) / "artifacts" / "model.bin").stat().st_nlink == 2


def test_the_runs_of_a_project_are_together_by_default(tmp_path: Path) -> None:
    config = {"dir": tmp_path / "runs"}
    for name in ("one", "two"):
        with tracelet.start_logging(name, "vision", "tensorboard", config=config) as exp:
            exp.log_metric("loss", 0.5)
        assert folder_of(exp) == tmp_path / "runs" / "vision" / "tensorboard" / str(exp.run_id)
    assert len(tracelet.runs(project="vision", dir=tmp_path / "runs")) == 2


def test_a_relative_log_dir_is_meant_from_where_the_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"dir": tmp_path / "runs", "backends": {"tensorboard": {"log_dir": "here"}}}
    exp = tracelet.start_logging("run", backend="tensorboard", config=config)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    exp.stop()

    assert folder_of(exp) == tmp_path / "here" / str(exp.run_id)
    assert reader.raw_events(folder_of(exp))


def test_runs_of_two_projects_with_one_id_do_not_mix(start: Start) -> None:
    folders = []
    for project in ("one", "two"):
        with start(project=project, run_id="baseline") as exp:
            exp.log_metric("loss", len(folders))
        folders.append(folder_of(exp))

    assert [folder.name for folder in folders] == ["baseline", "baseline-2"]
    for number, folder in enumerate(folders):
        assert [point.value for point in reader.exact_points(folder)] == [number]


def test_two_runs_at_once_do_not_mix(tmp_path: Path, log_dir: Path) -> None:
    config = {"dir": tmp_path / "runs", "backends": {"tensorboard": {"log_dir": str(log_dir)}}}
    runs = [Experiment(name, config, "tensorboard").start() for name in ("a", "b")]
    for iteration in range(100):
        for number, exp in enumerate(runs):
            exp.log_metric("loss", number, iteration=iteration)
    for exp in runs:
        exp.stop()

    for number, exp in enumerate(runs):
        assert [point.value for point in reader.exact_points(folder_of(exp))] == [number] * 100


@pytest.mark.parametrize("log_dir", [3, "s3://bucket/logs", ["logs"]])
def test_a_log_dir_that_is_no_directory_here_is_refused_before_anything_is_written(
    tmp_path: Path, log_dir: Any
) -> None:
    config = {"dir": tmp_path / "runs", "backends": {"tensorboard": {"log_dir": log_dir}}}
    with pytest.raises(SettingsError, match="log_dir"):
        tracelet.start_logging("run", backend="tensorboard", config=config)
    assert not (tmp_path / "runs").exists()


def test_the_training_process_imports_no_sdk(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, tracelet\n"
        "with tracelet.start_logging('run', backend='tensorboard') as exp:\n"
        "    exp.log_metric('loss', 0.5)\n"
        "    assert exp.flush(60)\n"
        "assert not {'tensorboard', 'google.protobuf', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, str(script)], check=True, cwd=tmp_path)
