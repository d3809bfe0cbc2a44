"""Every point is in the event file once, whenever the worker is killed and whatever it leaves."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import reader
from conftest import folder_of, wait_for, worker_of
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from tracelet.backends.base import Property, TextLine
from tracelet.core.experiment import Experiment
from tracelet.errors import CheckpointLostError
from tracelet.records import MetricPoint, RunInfo
from tracelet_tensorboard.backend import TensorboardBackend

Start = Callable[..., Experiment]
POINTS = 3_000


def log(exp: Experiment, first: int, last: int) -> None:
    for iteration in range(first, last):
        exp.log_metrics({"loss": iteration / 7, "count": iteration}, iteration=iteration)
    exp.log_params(upto=last)
    exp.log(f"upto {last}")


def assert_everything_once(exp: Experiment, upto: int = POINTS) -> None:
    points = reader.exact_points(folder_of(exp))
    assert [(point.name, point.value, point.iteration) for point in points] == [
        point
        for iteration in range(upto)
        for point in (("loss", iteration / 7, iteration), ("count", iteration, iteration))
    ]
    assert reader.read_back(folder_of(exp)).params == {"upto": upto}


def kill_the_worker(exp: Experiment) -> None:
    worker = wait_for(lambda: worker_of(exp))
    os.kill(worker.pid, signal.SIGKILL)


def kill_before_it_opens(exp: Experiment) -> None:
    kill_the_worker(exp)


def kill_when_the_file_is_there(exp: Experiment) -> None:
    wait_for(lambda: reader.event_files(Path(exp.settings.backends["tensorboard"]["log_dir"])))
    kill_the_worker(exp)


def kill_while_it_writes(exp: Experiment) -> None:
    folder = folder_of(exp)
    (file,) = wait_for(lambda: reader.event_files(folder))
    log(exp, POINTS // 3, POINTS // 2)
    before = file.stat().st_size
    wait_for(lambda: file.stat().st_size > before)
    kill_the_worker(exp)


def kill_after_a_flush(exp: Experiment) -> None:
    assert exp.flush(60)
    kill_the_worker(exp)


def kill_again_and_again(exp: Experiment) -> None:
    for _ in range(4):
        worker = wait_for(lambda: worker_of(exp))
        os.kill(worker.pid, signal.SIGKILL)
        wait_for(lambda gone=worker: not gone.is_running())


@pytest.mark.parametrize(
    "kill",
    [
        kill_before_it_opens,
        kill_when_the_file_is_there,
        kill_while_it_writes,
        kill_after_a_flush,
        kill_again_and_again,
    ],
)
def test_everything_is_there_once_after_kill_9(
    start: Start, kill: Callable[[Experiment], None]
) -> None:
    exp = start()
    log(exp, 0, POINTS // 3)
    kill(exp)
    log(exp, POINTS // 2 if kill is kill_while_it_writes else POINTS // 3, POINTS)
    report = exp.stop(timeout=120)

    assert report.backends["tensorboard"].pending == 0
    assert report.backends["tensorboard"].rejected == 0
    assert_everything_once(exp)
    assert reader.texts(folder_of(exp), "tracelet/status") == ["running", "finished"]
    assert len(reader.event_files(folder_of(exp).parent)) == 1


def test_a_run_that_goes_on_is_one_run_with_its_last_parameters_and_ending(start: Start) -> None:
    exp = start(params={"lr": 0.1})
    exp.log_metric("loss", 0.5, iteration=0)
    exp.stop("failed")
    first = reader.hparam_values(folder_of(exp))
    again = start(resume=exp.run_id)
    again.log_params(lr=0.2)
    again.log_metric("loss", 0.25, iteration=1)
    assert again.flush(60)
    assert reader.hparams(folder_of(exp)) is None
    again.stop()

    folder = folder_of(again)
    assert folder == folder_of(exp)
    assert len(reader.event_files(folder.parent)) == 1
    assert first == {"lr": 0.1}
    assert reader.hparam_values(folder) == {"lr": 0.2}
    assert reader.outcome(folder) == 1
    statuses = reader.texts(folder, "tracelet/status")
    assert statuses == ["running", "failed", "running", "finished"]
    assert [point.value for point in reader.exact_points(folder)] == [0.5, 0.25]
    runs = EventMultiplexer().AddRunsFromDirectory(str(folder.parent)).Reload()
    assert list(runs.Runs()) == [exp.run_id]


def test_a_run_can_go_on_many_times(start: Start) -> None:
    exp = start(params={"part": 0})
    exp.stop()
    for part in range(1, 4):
        exp = start(resume=exp.run_id)
        exp.log_params(part=part)
        exp.log_metric("loss", part, iteration=part)
        exp.stop()

    assert reader.hparam_values(folder_of(exp)) == {"part": 3}
    assert [point.value for point in reader.exact_points(folder_of(exp))] == [1, 2, 3]


def test_a_folder_that_was_deleted_is_written_anew_when_the_run_goes_on(start: Start) -> None:
    exp = start()
    log(exp, 0, 100)
    exp.stop()
    shutil.rmtree(folder_of(exp))
    again = start(resume=exp.run_id)
    log(again, 100, 200)
    again.stop()

    assert_everything_once(again, upto=200)


def test_a_folder_that_is_deleted_while_the_run_goes_on_is_written_anew(start: Start) -> None:
    exp = start()
    log(exp, 0, 100)
    assert exp.flush(60)
    shutil.rmtree(folder_of(exp))
    log(exp, 100, 200)
    exp.stop(timeout=120)

    assert_everything_once(exp, upto=200)


# -- moments that no signal hits reliably: the backend itself, read with TensorBoard's readers ----


class Crashing:
    """A backend that can be left at any moment, and opened again with its last checkpoint."""

    def __init__(self, tmp_path: Path) -> None:
        self.log_dir = tmp_path / "logs"
        self.run = RunInfo(
            run_id="run", name="run", project="p", dir=str(tmp_path / "run"), started=1e9
        )
        self.backend = TensorboardBackend(log_dir=str(self.log_dir))
        self.open(None)

    def open(self, checkpoint: Any) -> None:
        self.backend = TensorboardBackend(log_dir=str(self.log_dir))
        self.run.checkpoint = checkpoint
        self.run.link = self.backend.open(self.run)

    @property
    def folder(self) -> Path:
        return self.log_dir / "run"

    @property
    def file(self) -> Path:
        (file,) = reader.event_files(self.folder)
        return file


def points(first: int, last: int) -> list[MetricPoint]:
    return [
        MetricPoint("loss", number / 3, number, "iteration", 1e9) for number in range(first, last)
    ]


@pytest.fixture
def crashing(tmp_path: Path) -> Crashing:
    return Crashing(tmp_path)


def test_what_is_behind_the_checkpoint_is_written_once(crashing: Crashing) -> None:
    crashing.backend.log_metrics(points(0, 50))
    crashing.backend.log_params({"lr": 0.1})
    crashing.backend.log_text([TextLine("first", "info", 1e9)])
    checkpoint = crashing.backend.flush()
    crashing.backend.log_metrics(points(50, 80))
    crashing.backend.log_params({"lr": 0.2})
    crashing.backend.log_text([TextLine("second", "info", 1e9)])
    crashing.backend.set_properties({"a": Property(1)})
    crashing.backend.flush()  # and the cursor was not saved
    crashing.open(checkpoint)
    crashing.backend.log_metrics(points(50, 90))
    crashing.backend.log_text([TextLine("second", "info", 1e9)])
    crashing.backend.close("finished")

    assert reader.exact_points(crashing.folder) == points(0, 90)
    found = reader.read_back(crashing.folder)
    assert (found.params, found.texts, found.properties) == ({"lr": 0.1}, ["first", "second"], {})


def test_a_write_that_was_torn_at_any_byte_leaves_no_trace(crashing: Crashing) -> None:
    crashing.backend.log_metrics(points(0, 3))
    checkpoint = crashing.backend.flush()
    valid = crashing.file.stat().st_size
    crashing.backend.log_metrics(points(3, 4))
    whole = crashing.file.read_bytes()
    for cut in range(valid, len(whole)):
        crashing.file.write_bytes(whole[:cut])
        crashing.open(checkpoint)
        crashing.backend.log_metrics(points(3, 5))
        assert reader.exact_points(crashing.folder) == points(0, 5)


def test_an_ending_that_the_courier_did_not_hear_of_is_written_again(crashing: Crashing) -> None:
    crashing.backend.log_metrics(points(0, 3))
    crashing.backend.log_params({"lr": 0.1})
    checkpoint = crashing.backend.flush()
    for _ in range(3):
        crashing.backend.close("failed")
        crashing.open(checkpoint)
    crashing.backend.log_params({"lr": 0.2})
    crashing.backend.close("killed")

    assert reader.hparam_values(crashing.folder) == {"lr": 0.2}
    assert reader.read_back(crashing.folder).status == "killed"
    assert reader.exact_points(crashing.folder) == points(0, 3)


def test_what_was_read_before_a_run_goes_on_stays_where_it_is(crashing: Crashing) -> None:
    crashing.backend.log_metrics(points(0, 3))
    checkpoint = crashing.backend.flush()
    crashing.backend.close("finished")
    size = crashing.file.stat().st_size
    crashing.open(checkpoint)
    crashing.backend.log_metrics(points(3, 6))

    assert crashing.file.stat().st_size > size
    assert len(reader.raw_events(crashing.folder)) == 3 + 3 + 1 + 1 + 3
    assert reader.exact_points(crashing.folder) == points(0, 6)


def test_a_file_that_has_become_shorter_is_reported_as_lost(crashing: Crashing) -> None:
    crashing.backend.log_metrics(points(0, 3))
    checkpoint = crashing.backend.flush()
    os.truncate(crashing.file, checkpoint["size"] - 1)

    with pytest.raises(CheckpointLostError, match="shorter"):
        crashing.open(checkpoint)


def test_a_text_that_has_been_damaged_is_reported_as_lost(crashing: Crashing) -> None:
    crashing.backend.log_params({"lr": 0.1})
    checkpoint = crashing.backend.flush()
    content = bytearray(crashing.file.read_bytes())
    content[-10] ^= 1
    crashing.file.write_bytes(content)

    with pytest.raises(CheckpointLostError, match="damaged"):
        crashing.open(checkpoint)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: os.truncate(file, 10)])
def test_a_file_that_somebody_destroys_meanwhile_is_reported_as_lost(
    crashing: Crashing, damage: Callable[[Path], None]
) -> None:
    crashing.backend.log_metrics(points(0, 3))
    damage(crashing.file)

    with pytest.raises(CheckpointLostError):
        crashing.backend.log_metrics(points(3, 6))


def test_a_write_that_failed_half_way_is_repaired_by_the_next(crashing: Crashing) -> None:
    crashing.backend.log_metrics(points(0, 3))
    with crashing.file.open("ab") as file:
        file.write(b"half of a record")
    crashing.backend.log_metrics(points(3, 6))

    assert reader.exact_points(crashing.folder) == points(0, 6)
