"""What a program writes for TensorBoard, in its run too, with the writers that programs use."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary import Writer
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from user_scripts import run_script

import tracelet

pytestmark = pytest.mark.filterwarnings("ignore:NaN or Inf found:Warning")


@pytest.fixture
def exp(tmp_path: Path) -> Iterator[tracelet.Experiment]:
    """A run that intercepts, with nothing of the program itself."""
    with tracelet.start_logging(dir=tmp_path / "runs", capture=["tensorboard"]) as exp:
        yield exp


def points(exp: tracelet.Experiment) -> dict[str, list[tuple[float, int]]]:
    """Value and iteration of every point; the run ends, if it has not yet."""
    if exp.is_running:
        exp.stop()
    assert exp.dir is not None
    metrics = tracelet.load_run(exp.dir).metrics
    return {
        name: [(point.value, point.iteration) for point in several]
        for name, several in metrics.items()
    }


def texts(exp: tracelet.Experiment) -> list[str]:
    assert exp.dir is not None
    return [
        line.partition("INFO    ")[2] for line in (exp.dir / "log.txt").read_text().splitlines()
    ]


@pytest.mark.parametrize("opened", ["before", "after"])
def test_scalars_of_a_summary_writer_are_exact_whenever_it_was_opened(
    tmp_path: Path, opened: str
) -> None:
    writer = tensorboardX.SummaryWriter(str(tmp_path / "tb")) if opened == "before" else None
    exp = tracelet.start_logging(dir=tmp_path / "runs", capture=["tensorboard"])
    writer = writer or tensorboardX.SummaryWriter(str(tmp_path / "tb"))
    for step in (0, 10, 5):
        writer.add_scalar("train/loss", 0.1 * step, step, walltime=1_700_000_000.25 + step)
    writer.add_scalar(tag="keyword", scalar_value=3, global_step=7)
    writer.add_scalar("no_step", 1.5)
    writer.add_scalar("beyond_32_bits", 1e300, 1)
    writer.add_scalar("nan", math.nan, 1)
    writer.close()
    found = points(exp)
    assert math.isnan(found.pop("nan")[0][0])
    assert found == {
        "train/loss": [(0.0, 0), (1.0, 10), (0.5, 5)],
        "keyword": [(3, 7)],
        "no_step": [(1.5, 0)],
        "beyond_32_bits": [(1e300, 1)],
    }
    assert exp.dir is not None
    times = [point.time for point in tracelet.load_run(exp.dir).metrics["train/loss"]]
    assert times == [1_700_000_000.25, 1_700_000_010.25, 1_700_000_005.25]


def test_scalars_of_tensorboard_s_own_writer_are_exact(
    exp: tracelet.Experiment, tmp_path: Path
) -> None:
    for part in ("train", "val"):
        writer = Writer(str(tmp_path / "tb" / part))
        writer.add_scalar("loss", 0.1, 3)
        writer.add_scalar(tag="loss", data=0.3, step=5)
        writer.close()
    assert points(exp) == {"loss": [(0.1, 3), (0.3, 5)], "val/loss": [(0.1, 3), (0.3, 5)]}


def test_numbers_in_arrays_are_exact(exp: tracelet.Experiment, tmp_path: Path) -> None:
    with tensorboardX.SummaryWriter(str(tmp_path / "tb")) as writer:
        writer.add_scalar("array", np.array(0.1), 1)
        writer.add_scalar("one", np.array([0.2]), 2)
        writer.add_scalar("integer", np.int64(2**24 + 1), 3)
        writer.add_scalars("chart", {"train": np.array(0.3)}, 4)
    assert points(exp) == {
        "array": [(0.1, 1)],
        "one": [(0.2, 2)],
        "integer": [(2**24 + 1, 3)],
        "chart/train": [(0.3, 4)],
    }


def test_series_of_one_chart_are_metrics_below_its_name(
    exp: tracelet.Experiment, tmp_path: Path
) -> None:
    with tensorboardX.SummaryWriter(str(tmp_path / "tb")) as writer:
        for step in range(2):
            writer.add_scalars("acc/top", {"train": 0.1, "val/easy": 0.2 + step}, step)
    assert points(exp) == {
        "acc/top/train": [(0.1, 0), (0.1, 1)],
        "acc/top/val/easy": [(0.2, 0), (1.2, 1)],
    }


def test_two_runs_at_once_have_the_same(exp: tracelet.Experiment, tmp_path: Path) -> None:
    other = tracelet.Experiment(config={"dir": tmp_path / "runs", "capture": ["tensorboard"]})
    with other, tensorboardX.SummaryWriter(str(tmp_path / "tb")) as writer:
        writer.add_scalar("loss", 0.1, 3)
        writer.add_scalars("chart", {"p": 0.2, "q": 0.3}, 4)
    expected = {"loss": [(0.1, 3)], "chart/p": [(0.2, 4)], "chart/q": [(0.3, 4)]}
    assert points(exp) == points(other) == expected


def test_hyperparameters_are_parameters_with_their_types(
    exp: tracelet.Experiment, tmp_path: Path
) -> None:
    with tensorboardX.SummaryWriter(str(tmp_path / "tb")) as writer:
        for lr in (0.1, 0.2):
            values = {"lr": lr, "depth": 18, "name": "vit", "fast": True, "api_token": "hunter2x"}
            writer.add_hparams(values, {"accuracy": lr * 2}, global_step=3)
    assert exp.params.flat() == {
        "hparams/lr": 0.2,
        "hparams/depth": 18,
        "hparams/name": "vit",
        "hparams/fast": True,
        "hparams/api_token": "[redacted]",
    }
    assert points(exp) == {"accuracy": [(0.2, 3), (0.4, 3)]}


def test_texts_are_lines_of_the_log(exp: tracelet.Experiment, tmp_path: Path) -> None:
    with tensorboardX.SummaryWriter(str(tmp_path / "tb")) as writer:
        writer.add_text("note", "it begins", 4)
    exp.stop()
    assert texts(exp) == ["note (step 4): it begins"]


def test_what_is_no_number_stays_in_the_event_file(
    exp: tracelet.Experiment, tmp_path: Path
) -> None:
    with tensorboardX.SummaryWriter(str(tmp_path / "tb")) as writer:
        writer.add_histogram("weights", [0.0, 1.0, 2.0], 1)
        writer.add_pr_curve("pr", [0, 1, 1], [0.1, 0.9, 0.8], 1)
    assert points(exp) == {}


def test_the_same_tag_in_another_folder_is_another_metric(
    exp: tracelet.Experiment, tmp_path: Path
) -> None:
    for part in ("train", "val"):
        with tensorboardX.SummaryWriter(str(tmp_path / "tb" / part)) as writer:
            writer.add_scalar("loss", 0.5, 1)
    with tensorboardX.SummaryWriter(str(tmp_path / "tb" / "train")) as writer:
        writer.add_scalar("loss", 0.25, 2)
    assert points(exp) == {"loss": [(0.5, 1), (0.25, 2)], "val/loss": [(0.5, 1)]}


def test_tensorboard_s_own_writers_are_intercepted(
    exp: tracelet.Experiment, tmp_path: Path
) -> None:
    events = EventFileWriter(str(tmp_path / "events"))
    summaries = [
        (Summary(value=[Summary.Value(tag="loss", simple_value=0.5)]), 1),
        (Summary(value=[Summary.Value(tag="loss", simple_value=0.25)]), 2),
        (text_pb("note", "hello"), 3),
        (hparams_pb({"lr": 0.1, "name": "vit", "fast": True}, trial_id="a"), 0),
    ]
    for summary, step in summaries:
        events.add_event(Event(wall_time=time.time(), step=step, summary=summary))
    events.close()
    own = Writer(str(tmp_path / "own"))
    own.add_scalar("accuracy", 0.75, 5)
    own.close()
    assert exp.params.flat() == {"hparams/lr": 0.1, "hparams/name": "vit", "hparams/fast": True}
    assert points(exp) == {"loss": [(0.5, 1), (0.25, 2)], "accuracy": [(0.75, 5)]}
    assert texts(exp) == ["note (step 3): hello"]


def test_a_run_intercepts_only_if_it_was_asked_to_and_only_while_it_lives(tmp_path: Path) -> None:
    before = dict(vars(tensorboardX.SummaryWriter)), dict(vars(EventFileWriter))
    writer = tensorboardX.SummaryWriter(str(tmp_path / "tb"))
    asked = tracelet.Experiment("asked", dir=tmp_path / "runs", capture=["tensorboard"]).start()
    other = tracelet.Experiment("other", dir=tmp_path / "runs").start()
    writer.add_scalar("loss", 0.5, 1)
    asked.stop()
    writer.add_scalar("loss", 0.25, 2)
    writer.close()
    assert points(asked) == {"loss": [(0.5, 1)]}
    assert points(other) == {}
    assert before == (dict(vars(tensorboardX.SummaryWriter)), dict(vars(EventFileWriter)))


def test_what_cannot_be_logged_is_one_warning_and_the_writer_writes_on(
    exp: tracelet.Experiment, tmp_path: Path
) -> None:
    with tensorboardX.SummaryWriter(str(tmp_path / "tb")) as writer:
        broken = Event(step=1, summary=Summary(value=[Summary.Value(tag="", simple_value=1.0)]))
        events = EventFileWriter(str(tmp_path / "events"))
        with pytest.warns(tracelet.TraceletWarning, match="tensorboard"):
            events.add_event(broken)
        events.add_event(broken)
        events.close()
        writer.add_scalar("loss", 0.5, 1)
    assert points(exp) == {"loss": [(0.5, 1)]}


def test_writers_that_are_imported_during_the_run_are_intercepted(tmp_path: Path) -> None:
    text = """
        import sys, tracelet
        with tracelet.start_logging(run_id="r", capture=["tensorboard"]):
            assert not {"tensorboard", "tensorboardX"} & sys.modules.keys()
            from tensorboardX import SummaryWriter
            with SummaryWriter("tb") as writer:
                writer.add_scalar("loss", 0.1, 4)
            from tensorboard.summary import Writer
            writer = Writer("own")
            writer.add_scalar("accuracy", 0.75, 5)
            writer.close()
    """
    run_script(tmp_path, text)
    metrics = tracelet.load_run(tmp_path / ".tracelet" / "default" / "r").metrics
    assert [(point.value, point.iteration) for point in metrics["loss"]] == [(0.1, 4)]
    assert [(point.value, point.iteration) for point in metrics["accuracy"]] == [(0.75, 5)]
