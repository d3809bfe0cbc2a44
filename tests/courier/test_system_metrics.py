"""System metrics: read by the courier while the run lives, for every backend, and never after."""

from __future__ import annotations

import sys
import threading
import time
import types
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
from user_scripts import Script, ended_view, journaled, local_lines
from waiting import eventually

import tracelet
from tracelet.courier import readings as reading
from tracelet.courier.readings import Gpus, Readings
from tracelet.journal import rundir
from tracelet.journal.rundir import RunDir
from tracelet.records import AnyRecord, Finished, Metric

NAMES = {
    *("cpu_percent", "memory_percent", "memory_used_mb"),
    *("process_cpu_percent", "process_memory_mb", "process_count"),
    *("disk_percent", "disk_free_mb"),
    *("network_received_mb_per_s", "network_sent_mb_per_s"),
}


def system_points(run_dir: Path) -> list[Metric]:
    return [one for one in journaled(run_dir) if type(one) is Metric and one.name[:7] == "system/"]


def behind_the_ending(records: list[AnyRecord]) -> list[AnyRecord]:
    ends = [number for number, record in enumerate(records) if type(record) is Finished]
    return records[ends[-1] + 1 :]


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_they_are_points_of_the_run_in_every_backend(courier: str) -> None:
    exp = tracelet.start_logging(backend=["local", "null"], courier=courier, system_metrics=0.05)
    assert exp.dir is not None
    run_dir = exp.dir
    eventually(lambda: len({point.time for point in system_points(run_dir)}) >= 3)
    exp.log_metric("loss", 0.5, 0)
    report = exp.stop()
    points = system_points(run_dir)
    assert {point.name.removeprefix("system/") for point in points} >= NAMES
    assert {point.axis for point in points} == {"seconds"}
    run = tracelet.load_run(run_dir)
    assert [point.iteration for point in points] == [int(p.time - run.started) for p in points]
    of_machine = [point.value for point in points if point.name.endswith("_percent")]
    assert all(isinstance(value, float) and value >= 0 for value in of_machine)
    assert {name: one.delivered for name, one in report.items()} == dict.fromkeys(
        ("local", "null"), len(points) + 1
    )
    assert sum(line["name"].startswith("system/") for line in local_lines(run_dir)) == len(points)
    assert not behind_the_ending(journaled(run_dir))


@pytest.mark.parametrize("interval", [False, None])
def test_a_run_without_them_or_shorter_than_their_interval_has_none(interval: Any) -> None:
    with tracelet.start_logging(system_metrics=interval) as exp:
        exp.log_metric("loss", 0.5, 0)
    assert exp.dir is not None
    assert exp.report is not None
    assert exp.report["local"].accepted == 1
    assert not system_points(exp.dir)


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_none_comes_behind_the_ending_however_often_they_are_read(
    courier: str, tmp_path: Path
) -> None:
    for number in range(5):
        exp = tracelet.start_logging(
            run_id=f"run-{number}", courier=courier, dir=tmp_path, system_metrics=0.001
        )
        assert exp.dir is not None
        run_dir = exp.dir
        eventually(lambda run_dir=run_dir: system_points(run_dir))
        report = exp.stop()
        records = journaled(run_dir)
        assert not behind_the_ending(records)
        assert report.complete
        assert report["local"].accepted == sum(type(one) is Metric for one in records)


def test_what_is_written_while_the_ending_waits_for_its_turn_comes_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exp = tracelet.start_logging()
    assert exp.dir is not None
    run_dir = RunDir(exp.dir)
    waits = threading.Event()
    take_turn = RunDir.ending_lock

    def ending(of: RunDir) -> AbstractContextManager[None]:
        waits.set()
        return take_turn(of)

    monkeypatch.setattr(rundir, "_LOCK_SECONDS", 60.0)
    with run_dir.ending_lock():
        monkeypatch.setattr(RunDir, "ending_lock", ending)
        stop = threading.Thread(target=exp.stop)
        stop.start()
        assert waits.wait(30)
        writer = run_dir.writer(chain="another")
        writer.append(Metric(time.time(), "system/cpu_percent", 1.0, 0, "seconds"))
        writer.close()
    stop.join()
    records = journaled(run_dir.path)
    assert any(type(record) is Metric for record in records)
    assert not behind_the_ending(records)


def test_they_end_with_a_program_that_is_killed(tmp_path: Path) -> None:
    text = """
        import threading, tracelet
        tracelet.start_logging(run_id="r", courier="process", system_metrics=0.01)
        threading.Event().wait()
    """
    script = Script(tmp_path, text)
    run_dir = tmp_path / ".tracelet" / "default" / "r"
    eventually((run_dir / "run.json").exists)
    eventually(lambda: system_points(run_dir))
    psutil.Process(script.pid).kill()
    assert script.wait() == -9
    ended = eventually(lambda: ended_view(run_dir))
    assert ended["status"] == "killed"
    assert not behind_the_ending(journaled(run_dir))
    assert ended["report"]["backends"]["local"]["delivered"] == len(system_points(run_dir))


def test_they_go_on_when_the_run_does(tmp_path: Path) -> None:
    for resume in (None, "r"):
        exp = tracelet.start_logging(
            run_id=None if resume else "r",
            resume=resume,
            courier="process",
            dir=tmp_path,
            system_metrics=0.05,
        )
        assert exp.dir is not None
        run_dir = exp.dir
        before = len(system_points(run_dir))
        eventually(lambda run_dir=run_dir, before=before: len(system_points(run_dir)) > before)
        assert exp.stop().complete
    assert not behind_the_ending(journaled(run_dir))


def test_the_children_of_the_training_count_and_its_courier_does_not(tmp_path: Path) -> None:
    text = """
        import subprocess, threading, tracelet
        tracelet.start_logging(run_id="r", courier="process", system_metrics=0.05)
        subprocess.Popen(["sh", "-c", "tail -f train.py & wait"])
        threading.Event().wait()
    """
    script = Script(tmp_path, text)
    run_dir = tmp_path / ".tracelet" / "default" / "r"
    eventually((run_dir / "run.json").exists)

    def counts() -> list[object]:
        points = system_points(run_dir)
        return [point.value for point in points if point.name == "system/process_count"]

    eventually(lambda: counts()[-3:] == [3.0] * 3)
    for process in psutil.Process(script.pid).children(recursive=True):
        if "tail" in process.name():
            process.kill()
    psutil.Process(script.pid).kill()
    assert script.wait() == -9
    assert eventually(lambda: ended_view(run_dir))["status"] == "killed"


def test_work_is_seen_as_that_of_the_process(tmp_path: Path) -> None:
    readings = Readings(psutil.Process().pid, tmp_path)
    began = psutil.Process().cpu_times().user
    while psutil.Process().cpu_times().user < began + 0.05:
        pass
    found = readings.take()
    assert 0 < found["process_cpu_percent"] <= 100 * (psutil.cpu_count() or 1) * 1.5
    assert found["process_memory_mb"] > 1
    assert 0 < found["memory_percent"] <= 100


def test_a_process_that_is_gone_and_what_the_system_hides_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hidden(**_: Any) -> Any:
        raise PermissionError("not in this container")

    monkeypatch.setattr(psutil, "net_io_counters", hidden)
    readings = Readings(2**22 + 1, tmp_path)  # beyond the largest process id
    for _ in range(3):
        found = readings.take()
    assert not [name for name in found if name.startswith(("process", "network"))]
    assert "memory_percent" in found
    assert [entry.getMessage() for entry in caplog.records] == [
        "system metrics: network cannot be read: not in this container"
    ]


class NVMLError(Exception):
    """What NVIDIA's library raises for what a GPU cannot tell."""


def nvml(count: int) -> types.ModuleType:
    """Stand in for NVIDIA's library on a machine that has no GPU: two values, one of them unknown.

    The names and shapes are those of nvidia-ml-py.
    """
    module = types.ModuleType("pynvml")

    def unknown(*_: Any) -> Any:
        raise NVMLError("not supported")

    module.__dict__.update(
        NVMLError=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}abc",
        nvmlDeviceGetUtilizationRates=lambda index: types.SimpleNamespace(gpu=50 + index, memory=1),
        nvmlDeviceGetMemoryInfo=lambda _: types.SimpleNamespace(total=8e9, free=6e9, used=2e9),
        nvmlDeviceGetTemperature=lambda *_: 61,
        nvmlDeviceGetPowerUsage=unknown,
    )
    return module


@pytest.mark.parametrize(
    ("visible", "seen"),
    [(None, {0, 1, 2}), ("1", {1}), ("0,2", {0, 2}), ("GPU-1a", {1}), ("", set())],
)
def test_the_gpus_of_a_run_are_read(
    visible: str | None, seen: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "version"
    driver.touch()
    monkeypatch.setattr(reading, "_DRIVER", driver)
    monkeypatch.setitem(sys.modules, "pynvml", nvml(3))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = Gpus()
    assert dict(found.read()) == {
        name: value
        for index in seen
        for name, value in {
            f"gpu{index}_percent": 50 + index,
            f"gpu{index}_memory_percent": 25.0,
            f"gpu{index}_memory_used_mb": 2000.0,
            f"gpu{index}_celsius": 61,
        }.items()
    }
    found.close()
    assert dict(found.read()) == {}


def test_a_gpu_without_the_package_that_reads_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "version").touch()
    monkeypatch.setattr(reading, "_DRIVER", tmp_path / "version")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert dict(Gpus().read()) == {}
    assert "tracelet[gpu]" in caplog.text
