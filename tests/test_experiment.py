"""What is logged comes back as it was meant: values, iterations, axes, texts, tags, artifacts."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from user_scripts import local_lines, view
from waiting import eventually

import tracelet
from tracelet import Experiment, MetricPoint
from tracelet.backends.memory import MemoryBackend


@pytest.fixture
def exp() -> Iterator[Experiment]:
    with tracelet.start_logging("net", "vision") as running:
        yield running


def points(exp: Experiment, name: str = "loss") -> list[MetricPoint]:
    return tracelet.load_run(exp.dir).metrics[name]


def values(exp: Experiment, name: str = "loss") -> list[Any]:
    return [point.value for point in points(exp, name)]


def iterations(exp: Experiment, name: str = "loss") -> list[int]:
    return [point.iteration for point in points(exp, name)]


# ----------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.1, 0.1),
        (1e-320, 1e-320),
        (0.1 + 0.2, 0.30000000000000004),
        (-0.0, -0.0),
        (3, 3),
        (2**53 + 1, 2**53 + 1),
        (10**30, 10**30),
        (True, 1),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), 1),
        (np.array(0.5), 0.5),
        (np.array([[0.5]]), 0.5),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
    ],
)
def test_a_number_comes_back_as_it_was(exp: Experiment, given: Any, expected: float) -> None:
    exp.log_metric("loss", given)
    exp.log_metrics({"loss": given})
    for value in values(exp):
        assert value == expected
        assert type(value) is type(expected)
        assert math.copysign(1, value) == math.copysign(1, expected)


@pytest.mark.parametrize("given", [math.nan, np.nan, np.float32("nan"), Decimal("nan")])
def test_nan_is_a_value(exp: Experiment, given: Any) -> None:
    exp.log_metric("loss", given, 3)
    (point,) = points(exp)
    assert math.isnan(point.value)
    assert point.iteration == 3
    exp.flush(60)
    assert [line["value"] for line in local_lines(exp.dir)] == ["NaN"]


@pytest.mark.parametrize(
    "name", ["loss", "train/loss", "a.b", "mean@1", "Δ loss (s)", "名前", "x" * 2000, '"\n\\', " "]
)
def test_any_text_is_a_name(exp: Experiment, name: str) -> None:
    exp.log_metric(name, 0.5, 0)
    exp.log_metrics({name: 1.5}, 1)
    exp.track(name).append(value=2.5, iteration=2)
    assert values(exp, name) == [0.5, 1.5, 2.5]
    exp.flush(60)
    assert [line["name"] for line in local_lines(exp.dir)] == [name] * 3


def test_a_lone_surrogate_in_a_name_is_shown_and_not_lost(exp: Experiment) -> None:
    exp.log_metric("loss\udc80", 0.5)
    assert list(tracelet.load_run(exp.dir).metrics) == ["loss\\udc80"]


def test_the_time_of_a_point(exp: Experiment) -> None:
    exp.log_metric("loss", 0.5, time=1_700_000_000.25)
    exp.log_metrics({"loss": 0.5}, time=1_700_000_001)
    assert [point.time for point in points(exp)] == [1_700_000_000.25, 1_700_000_001.0]


# ------------------------------------------------------------------------------------- iterations


def test_without_any_iteration_each_metric_counts_for_itself(exp: Experiment) -> None:
    for _ in range(3):
        exp.log_metric("loss", 0.5)
    exp.log_metric("accuracy", 0.5)
    exp.log_metrics({"loss": 0.5, "accuracy": 0.5})
    assert iterations(exp) == [0, 1, 2, 3]
    assert iterations(exp, "accuracy") == [0, 1]


def test_an_iteration_that_is_given_wins_and_0_is_one(exp: Experiment) -> None:
    exp.set_iteration(5)
    exp.log_metric("loss", 0.5)
    exp.log_metric("loss", 0.5, iteration=0)
    exp.log_metric("loss", 0.5, 100)
    exp.log_metrics({"loss": 0.5}, iteration=7)
    exp.log_metrics({"loss": 0.5}, iteration=0)
    exp.log_metric("loss", 1, iteration=0)  # not a float: the longer way
    exp.log_metrics({"loss": 0.5})
    assert iterations(exp) == [5, 0, 100, 7, 0, 0, 5]
    assert exp.iteration == 5


def test_the_current_iteration_can_be_0(exp: Experiment) -> None:
    assert exp.iteration is None
    exp.set_iteration(0)
    exp.log_metric("loss", 0.5)
    exp.log_metric("loss", 0.5)
    assert iterations(exp) == [0, 0]
    assert exp.iteration == 0


def test_decreasing_repeated_and_negative_iterations_are_kept(exp: Experiment) -> None:
    given = [5, 3, 3, -1, 2**62, -(2**63), 0]
    for iteration in given:
        exp.log_metric("loss", 0.5, iteration)
    assert iterations(exp) == given


@pytest.mark.parametrize("three", [3, 3.0, np.int64(3), np.float64(3.0), np.array(3), Decimal(3)])
def test_a_whole_number_of_any_kind_is_an_iteration(exp: Experiment, three: Any) -> None:
    exp.log_metric("loss", 0.5, three)
    exp.set_iteration(three)
    exp.log_metric("loss", 0.5)
    assert iterations(exp) == [3, 3]
    assert type(exp.iteration) is int


def test_axes_count_for_themselves_and_the_current_iteration_is_not_theirs(
    exp: Experiment,
) -> None:
    exp.set_iteration(50)
    exp.log_metric("loss", 0.5, axis="epoch")
    exp.log_metric("loss", 0.5, axis="epoch")
    exp.log_metric("loss", 0.5, 9, axis="epoch")
    exp.log_metric("loss", 0.5)
    exp.log_metric("loss", 0.5, axis=bytes("iteration", "ascii").decode())
    assert [(point.axis, point.iteration) for point in points(exp)] == [
        ("epoch", 0),
        ("epoch", 1),
        ("epoch", 9),
        ("iteration", 50),
        ("iteration", 50),
    ]


def test_a_track_is_a_metric(exp: Experiment) -> None:
    track = exp.track("loss")
    track.append(value=0.9, epoch=3)
    track.append(0.8, iteration=4, time=5.0)
    track.append(value=0.7)
    assert [(point.value, point.axis, point.iteration) for point in points(exp)] == [
        (0.9, "epoch", 3),
        (0.8, "iteration", 4),
        (0.7, "iteration", 5),
    ]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_counter_goes_on_behind_the_last_point(exp: Experiment, *, resumed: bool) -> None:
    """Whether the call was the short way or the long one, and whether the run was resumed."""
    exp.log_metric("a", 0.5, 10)
    exp.log_metric("b", 1, 10)
    exp.log_metric("b", 1, -3, axis="epoch")
    exp.log_metrics({"a": 0.5, "b": 1}, iteration=4)
    exp.log_metric("end", 0.5, 2**63 - 1)
    if resumed:
        exp.stop()
        exp = tracelet.start_logging(resume=exp.run_id, project=exp.project)
    for _ in range(2):
        exp.log_metric("a", 0.5)
        exp.log_metric("b", 1)
        exp.log_metric("b", 1, axis="epoch")
    exp.log_metric("end", 0.5)
    exp.log_metric("first", 0.5)
    assert iterations(exp, "a") == [10, 4, 5, 6]
    assert iterations(exp, "b") == [10, -3, 4, 5, -2, 6, -1]
    assert iterations(exp, "end") == [2**63 - 1] * 2
    assert iterations(exp, "first") == [0]


def test_many_threads_count_together(exp: Experiment) -> None:
    def log() -> None:
        for _ in range(200):
            exp.log_metric("loss", 0.5, 1)

    threads = [threading.Thread(target=log) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(points(exp)) == 1600


# ------------------------------------------------------------------------- texts, tags and the rest


def test_the_log(exp: Experiment) -> None:
    exp.log("begin")
    exp.log("two\nlines", level="WARNING")
    exp.log(42, level="error")  # type: ignore[arg-type]
    lines = tracelet.load_run(exp.dir).texts
    assert [(line.text, line.level) for line in lines] == [
        ("begin", "info"),
        ("two\nlines", "warning"),
        ("42", "error"),
    ]
    exp.flush(60)
    assert (exp.dir / "log.txt").read_text().splitlines()[0].endswith(" INFO    begin")


def test_tags() -> None:
    with tracelet.start_logging(tags={"team": "ml", "stage": 1}) as exp:
        exp.set_tags({"stage": 2}, owner="ann")
        exp.set_tag("done", True)
    expected = {"team": "ml", "stage": "2", "owner": "ann", "done": "True"}
    assert dict(tracelet.load_run(exp.dir).tags) == expected
    assert view(exp.dir)["tags"] == expected


def test_parameters_from_the_start_and_later() -> None:
    with tracelet.start_logging(params={"model": {"depth": 18}}) as exp:
        exp.log_params({"model": {"width": 64}}, lr=1e-3)
        exp.log_param("seed", 42)
        assert exp.params["model.depth"] == 18
        assert exp.parameters() is exp.params
    expected = {"model.depth": 18, "model.width": 64, "lr": 1e-3, "seed": 42}
    run = tracelet.load_run(exp.dir)
    assert dict(run.params) == expected
    assert run.params.nested() == {
        "model": {"depth": 18, "width": 64},
        "lr": 1e-3,
        "seed": 42,
    }


def test_a_run_is_described(exp: Experiment) -> None:
    assert (exp.name, exp.project, exp.status, exp.is_running) == ("net", "vision", "running", True)
    assert exp.dir == Path.cwd() / ".tracelet" / "vision" / str(exp.run_id)
    assert str(exp.run_id).startswith("net-")
    eventually(lambda: exp.links)
    assert exp.links["local"].url == exp.dir.as_uri()
    assert "net" in repr(exp)
    run = tracelet.load_run(exp.run_id)
    assert (run.name, run.project, run.run_id, run.status) == (
        "net",
        "vision",
        exp.run_id,
        "running",
    )
    assert run.backends == ["local"]


def test_the_dataframe_has_every_point(exp: Experiment) -> None:
    exp.log_metrics({"loss": 0.5, "accuracy": 1}, iteration=3)
    exp.log_metric("loss", math.inf, 4, axis="epoch")
    frame = tracelet.load_run(exp.dir).to_dataframe()
    assert list(frame.columns) == ["name", "value", "iteration", "axis", "time"]
    pd.testing.assert_frame_equal(
        frame.drop(columns="time"),
        pd.DataFrame(
            {
                "name": ["loss", "accuracy", "loss"],
                "value": [0.5, 1.0, math.inf],
                "iteration": [3, 3, 4],
                "axis": ["iteration", "iteration", "epoch"],
            }
        ),
        check_dtype=False,
    )


def test_runs_are_listed_newest_first_and_by_project() -> None:
    for project, run_id in (("a", "a1"), ("b", "b1"), ("a", "a2")):
        with tracelet.start_logging("net", project, run_id=run_id):
            pass
    assert [run.run_id for run in tracelet.runs()] == ["a2", "b1", "a1"]
    assert [run.run_id for run in tracelet.runs(project="a")] == ["a2", "a1"]
    assert tracelet.load_run(project="b").run_id == "b1"
    assert tracelet.load_run(exp_name="net").run_id == "a2"
    assert tracelet.load_run("a1").project == "a"


# -------------------------------------------------------------------------------------- artifacts


def test_an_artifact_is_what_it_was_at_the_call(exp: Experiment, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"first")
    exp.log_artifact(file, "models/first.bin")
    file.write_bytes(b"second")
    exp.log_artifact(str(file), "models/second.bin")
    file.unlink()
    artifacts = tracelet.load_run(exp.dir).artifacts
    assert {path: file.read_bytes() for path, file in artifacts.items()} == {
        "models/first.bin": b"first",
        "models/second.bin": b"second",
    }
    exp.flush(60)
    assert (exp.dir / "artifacts/models/first.bin").read_bytes() == b"first"


def test_the_same_destination_again_has_the_later_content(exp: Experiment, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    for content in (b"first", b"second"):
        file.write_bytes(content)
        exp.log_artifact(file)
        exp.flush(60)
    assert tracelet.load_run(exp.dir).artifacts["model.bin"].read_bytes() == b"second"
    assert (exp.dir / "artifacts/model.bin").read_bytes() == b"second"


def test_the_same_content_is_stored_once(exp: Experiment, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x" * 100_000)
        exp.log_artifact(tmp_path / name)
    blobs = [file for file in (exp.dir / "blobs").rglob("*") if file.is_file()]
    assert len(blobs) == 1


def test_a_directory_is_all_its_files(exp: Experiment, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep/er/b.txt").write_text("b")
    (folder / "empty.txt").touch()
    (folder / "broken").symlink_to("nowhere")
    for destination in ("models", None):
        with pytest.warns(tracelet.TraceletWarning, match="checkpoint/broken"):
            exp.log_artifact(folder, destination)
    artifacts = tracelet.load_run(exp.dir).artifacts
    assert {path: file.read_text() for path, file in artifacts.items()} == {
        f"{place}/{name}": content
        for place in ("models", "checkpoint")
        for name, content in (("a.txt", "a"), ("deep/er/b.txt", "b"), ("empty.txt", ""))
    }


def test_a_file_can_be_trusted_to_stay(exp: Experiment, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(b"x" * 1000)
    exp.log_artifact(file, "data/large.bin", copy=False)
    assert not (exp.dir / "blobs").exists()
    assert tracelet.load_run(exp.dir).artifacts["data/large.bin"] == file
    exp.flush(60)
    assert (exp.dir / "artifacts/data/large.bin").read_bytes() == file.read_bytes()


# ------------------------------------------------------------------------------------ memory, null


def test_the_memory_backend_has_everything_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    backend = MemoryBackend()
    with tracelet.start_logging(backend=backend, params={"lr": 0.1}, tags={"a": "b"}) as exp:
        exp.log_metric("loss", math.nan, 3, axis="epoch", time=5.0)
        exp.log_artifact(file)
        exp.log("text")
        assert exp.flush(60)
        assert exp.backend("memory") is backend
        (point,) = backend.points
        assert (point.name, point.iteration, point.axis, point.time) == ("loss", 3, "epoch", 5.0)
        assert math.isnan(point.value)
        assert backend.params == {"lr": 0.1}
        assert backend.tags == {"a": "b"}
        assert backend.artifacts == {"model.bin": b"weights"}
        assert [line.text for line in backend.texts] == ["text"]
        assert backend.status is None
    assert backend.status == "finished"


def test_the_null_backend_takes_everything() -> None:
    with tracelet.start_logging(backend="null") as exp:
        exp.log_metric("loss", 0.5)
        exp.log_params(lr=0.1)
    assert exp.report is not None
    assert exp.report["null"].delivered == 2


def test_several_backends_and_the_one_that_is_defined_here() -> None:
    class Mine(MemoryBackend):
        name = "mine"

    with tracelet.start_logging(backend=["local", Mine, "null"]) as exp:
        exp.log_metric("loss", 0.5)
        assert exp.flush(60)
        mine = exp.backend("mine")
        assert isinstance(mine, Mine)
        assert len(mine.points) == 1
    assert list(exp.report or ()) == ["local", "mine", "null"]


def test_what_a_tracker_says_is_no_command_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Rude(MemoryBackend):
        name = "rude"

        def log_metrics(self, batch: Any) -> None:
            raise ValueError("\x1b[2J\u65e5\u672c")

    with tracelet.start_logging(backend=Rude) as exp:
        exp.log_metric("loss", 0.5)
    said = capsys.readouterr().err
    assert r"\x1b[2J" in said
    assert "\x1b" not in said
    assert "\u65e5\u672c" in said


def test_an_experiment_is_used_directly() -> None:
    from tracelet.core.experiment import Experiment, ExperimentConfig

    exp = Experiment(name="direct", config=ExperimentConfig(project="p", tags={"a": "b"}))
    assert (exp.status, exp.run_id, exp.dir) == (None, None, None)
    assert exp.start() is exp
    assert exp.start() is exp, "again is harmless"
    exp.log_metric("loss", 0.5)
    assert exp.stop().complete
    assert tracelet.load_run(project="p").tags == {"a": "b"}


@pytest.mark.parametrize("status", ["finished", "failed", "killed"])
def test_an_ending_can_be_given(status: Any) -> None:
    exp = tracelet.start_logging()
    tracelet.stop_logging(status)
    assert exp.status == tracelet.load_run(exp.dir).status == view(exp.dir)["status"] == status
