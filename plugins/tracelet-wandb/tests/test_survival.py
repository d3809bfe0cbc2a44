"""Whatever dies while a run is delivered, W&B has one run, and every point is in it once."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import run_below, wait_for, worker_of

import tracelet
from tracelet.core.experiment import Experiment

POINTS = 4000
Start = Callable[..., Experiment]


def log_all(exp: Experiment, tmp_path: Path) -> None:
    exp.log_params({"model": {"depth": 18}})
    (tmp_path / "weights").write_bytes(b"weights")
    exp.log_artifact(tmp_path / "weights", "models/a.pt")
    exp.log("only once")
    for iteration in range(POINTS):
        exp.log_metric("loss", iteration / 3, iteration)
    exp.log_params({"model": {"width": 64}})


def check_all(folder: Path, report: object) -> None:
    assert isinstance(report, tracelet.DeliveryReport)
    told = report["wandb"]
    assert told.accepted == told.delivered == POINTS + 4, told
    read = run_below(folder).read_back()
    assert [point.iteration for point in read.points] == list(range(POINTS))
    assert read.params == {"model.depth": 18, "model.width": 64}
    assert read.artifacts.keys() == {"models/a.pt", "log.txt"}
    assert read.artifacts["models/a.pt"] == b"weights"
    assert read.texts == ["only once"]
    assert read.status == "finished"


def written(folder: Path) -> int:
    """How many bytes of the run are in its file now."""
    return sum(_size(file) for file in folder.glob("**/offline-run-*/*.wandb"))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def services_of(process: psutil.Process) -> list[psutil.Process]:
    """The SDK's service processes of a worker."""
    try:
        return [one for one in process.children(recursive=True) if one.name() == "wandb-core"]
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize("seed", range(6))
def test_a_worker_that_is_killed_at_any_moment(
    start: Start, folder: Path, tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)
    exp = start()
    log_all(exp, tmp_path)
    assert exp.dir is not None
    for _ in range(choose.randint(1, 3)):
        enough = choose.choice([0, 1, choose.randrange(1, 400_000), choose.randrange(1, 1_500_000)])
        worker = wait_for(lambda: worker_of(exp.dir))
        wait_for(lambda: written(folder) >= enough or not worker.is_running())  # noqa: B023
        if worker.is_running():
            os.kill(worker.pid, signal.SIGKILL)
        wait_for(lambda: not worker.is_running())  # noqa: B023
    check_all(folder, exp.stop())


def test_a_worker_that_is_killed_while_it_starts(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    exp = start()
    log_all(exp, tmp_path)
    worker = wait_for(lambda: worker_of(exp.dir))
    wait_for(lambda: services_of(worker))
    os.kill(worker.pid, signal.SIGKILL)
    check_all(folder, exp.stop())


@pytest.mark.parametrize("seed", range(2))
def test_a_service_of_the_sdk_that_dies(
    start: Start, folder: Path, tmp_path: Path, seed: int
) -> None:
    enough = random.Random(seed).randrange(1, 500_000)
    exp = start()
    log_all(exp, tmp_path)
    worker = wait_for(lambda: worker_of(exp.dir))
    (service,) = wait_for(lambda: services_of(worker))
    wait_for(lambda: written(folder) >= enough or not service.is_running())
    if service.is_running():
        os.kill(service.pid, signal.SIGKILL)
    check_all(folder, exp.stop())


def test_a_worker_that_is_killed_when_a_finished_run_goes_on(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    first = start()
    log_all(first, tmp_path)
    check_all(folder, first.stop())
    again = start(resume=first.run_id, project="p")
    again.log_params({"model": {"width": 64}})
    worker = wait_for(lambda: worker_of(again.dir))
    wait_for(lambda: services_of(worker))
    os.kill(worker.pid, signal.SIGKILL)
    again.log_metric("loss", 0.5, POINTS)
    told = again.stop()["wandb"]
    assert told.pending == told.rejected == 0
    read = run_below(folder).read_back()
    assert [point.iteration for point in read.points] == list(range(POINTS + 1))
    assert read.texts == ["only once"]
