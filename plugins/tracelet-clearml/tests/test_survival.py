"""Whatever dies while a run is delivered, the session folder has every point once, and is whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from clearml_reader import Session, sessions
from conftest import Start, end_processes, last_error, wait_for, worker_of

from tracelet.backends.base import TextLine
from tracelet.core.experiment import Experiment
from tracelet.records import MetricPoint, RunInfo
from tracelet_clearml.backend import ClearmlBackend

POINTS = 20_000


def log_all(exp: Experiment, tmp_path: Path) -> None:
    exp.log_params({"model": {"depth": 18}, "old": 1}, lr=0.1)
    (tmp_path / "weights").write_bytes(b"weights")
    exp.log_artifact(tmp_path / "weights", "models/a.pt")
    exp.log("only once")
    for iteration in range(POINTS):
        exp.log_metric("loss", iteration / 3 if iteration % 1000 else float("nan"), iteration)
    exp.set_tags({"stage": "late"})
    exp.set_parameters({"model.depth": 50})


def check_all(tmp_path: Path, exp: Experiment) -> None:
    told = exp.stop(timeout=120)["clearml"]
    assert told.accepted == told.delivered, told
    assert (told.rejected, told.adjusted) == (0, POINTS // 1000), told
    (found,) = sessions(tmp_path)
    read = found.read_back()
    assert [point.iteration for point in read.points] == list(range(POINTS))
    assert read.params == {"model.depth": 50}
    assert read.artifacts == {"models/a.pt": b"weights"}
    assert read.texts == ["only once"]
    assert read.tags == {"stage": "late"}
    assert len(read.adjusted) == POINTS // 1000
    assert read.status == "finished"


def written(tmp_path: Path) -> int:
    """How many bytes of points are in the folder now."""
    return sum(file.stat().st_size for file in tmp_path.glob("**/offline-*/metrics.jsonl"))


@pytest.mark.parametrize("seed", range(4))
def test_a_worker_that_is_killed_at_any_moment(start: Start, tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    exp = start(run_id="run")
    assert exp.dir is not None
    log_all(exp, tmp_path)
    for _ in range(choose.randint(1, 2)):
        enough = choose.choice([0, 1, choose.randrange(1, POINTS * 130)])
        worker = wait_for(lambda: worker_of(exp.dir))
        wait_for(lambda: written(tmp_path) >= enough or not worker.is_running())  # noqa: B023
        if worker.is_running():
            os.kill(worker.pid, signal.SIGKILL)
        wait_for(lambda: not worker.is_running())  # noqa: B023
    check_all(tmp_path, exp)


def tear_the_points(folder: Path) -> None:
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'[{"timestamp": 1, "type": "tr')


def empty_the_task(folder: Path) -> None:
    (folder / "task.json").write_bytes(b"")


def cut_the_log(folder: Path) -> None:
    (folder / "log.jsonl").write_bytes(b"")


@pytest.mark.parametrize("damage", [tear_the_points, empty_the_task, cut_the_log, shutil.rmtree])
def test_a_folder_that_was_damaged_is_whole_again_when_the_run_goes_on(
    start: Start, tmp_path: Path, damage: object
) -> None:
    exp = start("run", params={"lr": 1}, tags={"a": "1"}, courier="thread")
    exp.log_metric("loss", 1.0, 0)
    exp.log("once")
    exp.stop()
    (found,) = sessions(tmp_path)
    damage(found.folder)  # type: ignore[operator]
    again = start("run", resume=exp.run_id, courier="thread")
    again.log_metric("loss", 0.5, 1)
    report = again.stop("failed")["clearml"]
    assert (report.pending, report.rejected) == (0, 0)
    read = Session(found.folder).read_back()
    assert [(point.value, point.iteration) for point in read.points] == [(1.0, 0), (0.5, 1)]
    assert (read.params, read.tags, read.texts) == ({"lr": 1}, {"a": "1"}, ["once"])
    assert read.status == "failed"


def test_a_run_that_waits_for_a_server_can_go_to_a_session_folder(
    start: Start, tmp_path: Path
) -> None:
    exp = start("run", {})
    exp.log_metric("loss", 1.0, 0)
    run_dir = exp.dir
    assert run_dir is not None
    wait_for(lambda: last_error(exp))
    exp.stop(timeout=0.1)
    wait_for(lambda: not end_processes(run_dir))  # it would go on with what it was given
    again = start("run", {"offline": True}, resume=exp.run_id, courier="thread")
    assert again.stop()["clearml"].pending == 0
    (found,) = sessions(tmp_path)
    assert [point.value for point in found.points()] == [1.0]


def test_a_batch_that_was_not_counted_comes_again_and_is_there_once(tmp_path: Path) -> None:
    run = RunInfo(run_id="r", name="run", project="vision", dir=str(tmp_path), started=0.0)
    points = [MetricPoint("loss", float("nan"), number, "iteration", 1.0) for number in range(3)]

    def opened(checkpoint: Any) -> ClearmlBackend:
        backend = ClearmlBackend(offline=True)
        backend.scratch = tmp_path / "scratch"
        run.checkpoint = checkpoint
        backend.open(run)
        return backend

    adjusted = tmp_path / "scratch/tracelet/adjusted.jsonl"
    first = opened(None)
    first.log_metrics(points[:1])
    checkpoint, size = first.flush(), adjusted.stat().st_size
    first.log_metrics(points[1:])
    first.log_text([TextLine("once", "info", 1.0)])
    os.truncate(adjusted, size)  # the worker of the first died here, and the courier did this
    second = opened(checkpoint)
    second.log_metrics(points[1:])
    second.log_text([TextLine("once", "info", 1.0)])
    second.log_leftovers()
    second.flush()
    second.close("finished")
    (found,) = sessions(tmp_path)
    read = found.read_back()
    assert [point.iteration for point in read.points] == [0, 1, 2]
    assert [line["iteration"] for line in read.adjusted] == [0, 1, 2]
    assert read.texts == ["once"]
