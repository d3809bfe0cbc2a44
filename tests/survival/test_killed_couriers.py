"""Whoever of the courier's processes is killed, and when: nothing is lost, nothing is doubled."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import backends_for_tests as bad
import psutil
import pytest
from backends_for_tests import stored, stored_points, target
from user_scripts import (
    Script,
    courier_processes,
    ended_view,
    journaled_points,
    local_count,
    local_points,
)
from waiting import eventually

import tracelet
from tracelet.backends.base import Backend
from tracelet.courier.cursor import CursorFile
from tracelet.journal.rundir import RunDir

pytestmark = pytest.mark.usefixtures("quick_retries")


def start(store: Path, *backends: type[Backend]) -> tracelet.Experiment:
    return tracelet.start_logging(
        run_id="r",
        backend=["local", *map(target, backends)],
        courier="process",
        backends={cls.name: {"store": str(store)} for cls in backends},
    )


def log_points(exp: tracelet.Experiment, first: int, last: int) -> list[int]:
    for iteration in range(first, last):
        exp.log_metric("loss", 0.5, iteration)
    return list(range(last))


def at_work(exp: tracelet.Experiment, backend: str | None = None) -> list[psutil.Process]:
    assert exp.dir is not None
    exp.flush(0)  # a courier that was killed is started again
    return courier_processes(exp.dir, backend)


def kill(exp: tracelet.Experiment, backend: str | None = None) -> int:
    """Kill the courier, or a worker, as soon as it is there; return its process id."""
    process = eventually(lambda: found[0] if len(found := at_work(exp, backend)) == 1 else None)
    process.kill()
    eventually(lambda: has_died(process))
    return process.pid


def has_died(process: psutil.Process) -> bool:
    """Whether a process is dead; a courier is a zombie until the training looks after it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_courier_does_not_leave_because_the_run_is_being_read(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Checkpointed)
    assert exp.dir is not None
    kill(exp)
    lock = RunDir(exp.dir).lock()
    assert lock.wait(60)  # as whoever reads the run does, for a moment
    log = exp.dir / "courier.log"
    eventually(lambda: at_work(exp) and "another process reads or delivers" in log.read_text())
    lock.release()
    points = log_points(exp, 0, 300)
    eventually(lambda: stored_points(tmp_path, "checkpointed") == points)
    assert exp.stop().complete


def test_flush_goes_on_after_the_death_of_the_courier(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Checkpointed)
    log_points(exp, 0, 300)
    assert exp.flush(60)
    kill(exp)
    points = log_points(exp, 300, 600)
    assert exp.flush(60)
    assert local_points(exp.dir) == points
    assert stored_points(tmp_path, "checkpointed") == points
    assert exp.stop().complete
    assert stored(tmp_path, "checkpointed", "open") == [False, True]


def test_stop_goes_on_after_the_death_of_the_courier(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Checkpointed)
    log_points(exp, 0, 300)
    kill(exp)
    points = log_points(exp, 300, 600)
    report = exp.stop()
    assert report.complete
    assert report["local"].delivered == report["checkpointed"].delivered == 600
    assert local_points(exp.dir) == points
    assert stored_points(tmp_path, "checkpointed") == points


def test_an_ending_that_nobody_waits_for_starts_a_courier_again(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Checkpointed)
    log_points(exp, 0, 300)
    assert exp.flush(60)
    kill(exp)
    points = log_points(exp, 300, 600)
    exp.stop(wait=False)
    eventually(lambda: exp.dir and ended_view(exp.dir))
    assert stored_points(tmp_path, "checkpointed") == points


@pytest.mark.parametrize(("ending", "status"), [("", "finished"), ("sys.exit(3)", "failed")])
def test_a_program_that_ends_starts_a_courier_again(
    tmp_path: Path, ending: str, status: str
) -> None:
    script = Script(
        tmp_path,
        f"""
        import psutil, sys, tracelet
        exp = tracelet.start_logging(run_id="r", backend=["local", "{target(bad.Recorder)}"],
                                     backends={{"recorder": {{"store": "{tmp_path}"}}}})
        exp.log_metric("loss", 0.5, 0)
        assert exp.flush(60)
        (courier,) = psutil.Process().children()
        courier.kill()
        courier.wait()
        exp.log_metric("loss", 0.5, 1)
        {ending}
        """,
    )
    script.wait()
    seen = eventually(lambda: ended_view(tmp_path / ".tracelet/default/r"))
    assert seen["status"] == status, script.output
    assert stored_points(tmp_path, "recorder") == [0, 1]
    eventually(lambda: stored(tmp_path, "recorder", "close") == [status])


def test_a_killed_worker_is_started_again_by_the_courier(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Checkpointed)
    log_points(exp, 0, 300)
    assert exp.flush(60)
    first = kill(exp, "checkpointed")
    points = log_points(exp, 300, 600)
    eventually(lambda: stored_points(tmp_path, "checkpointed") == points)
    (second,) = courier_processes(exp.dir, "checkpointed")
    assert second.pid != first
    assert exp.stop().complete
    assert stored_points(tmp_path, "checkpointed") == points
    assert local_points(exp.dir) == points


def test_the_workers_of_a_killed_courier_end(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Recorder, bad.Checkpointed)
    exp.log_metric("loss", 0.5, 0)
    for name in ("recorder", "checkpointed"):
        eventually(lambda name=name: courier_processes(exp.dir, name))
    assert exp.flush(60)  # they have nothing to do, and so nothing to say
    kill(exp)
    for name in ("recorder", "checkpointed"):
        eventually(lambda name=name: not courier_processes(exp.dir, name))
    exp.stop()
    assert not courier_processes(exp.dir)


def test_the_courier_outlives_words_that_a_dead_worker_did_not_read(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Checkpointed)
    last = 0
    log_points(exp, 0, 10)
    assert exp.flush(60)
    (courier,) = courier_processes(exp.dir)
    for last in range(20, 70, 10):
        (worker,) = eventually(lambda: courier_processes(exp.dir, "checkpointed"))
        worker.kill()
        for _ in range(20):
            exp.flush(0)  # which wakes the courier, and the courier its workers
        log_points(exp, last - 10, last)
        assert exp.flush(60)
    assert [process.pid for process in courier_processes(exp.dir)] == [courier.pid]
    assert exp.stop().complete
    assert stored_points(tmp_path, "checkpointed") == list(range(last))


def test_stop_goes_on_after_the_death_of_courier_and_worker(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Checkpointed)
    points = log_points(exp, 0, 300)
    kill(exp, "checkpointed")
    kill(exp)
    assert exp.stop().complete
    assert local_points(exp.dir) == points
    assert stored_points(tmp_path, "checkpointed") == points


@pytest.mark.parametrize("victims", [["courier"], ["worker"], ["courier", "worker"]], ids="+".join)
def test_killing_at_any_moment_of_a_delivery(tmp_path: Path, victims: list[str]) -> None:
    chance = random.Random(11)
    exp = start(tmp_path, bad.Checkpointed, bad.Replayed)
    last = 0
    for _ in range(5):
        log_points(exp, last, last + 2000)
        last += 2000
        # The moment: when a part, drawn by lot, of what is there now has been delivered.
        part = last - chance.randrange(2000)
        eventually(lambda part=part: at_work(exp) and local_count(exp.dir) >= part)
        for victim in victims:
            kill(exp, "checkpointed" if victim == "worker" else None)
    report = exp.stop()
    points = list(range(last))
    assert report.complete
    assert journaled_points(exp.dir) == points
    assert local_points(exp.dir) == points
    assert stored_points(tmp_path, "checkpointed") == points
    assert stored_points(tmp_path, "replayed") == points
    for name in ("local", "checkpointed", "replayed"):
        assert report[name].accepted == report[name].delivered == last


def test_killing_the_courier_while_it_writes_the_local_files(tmp_path: Path) -> None:
    """What the local backend wrote beyond its cursor is cut off before it is written again."""
    exp = tracelet.start_logging(run_id="r", courier="process")
    last = 0
    for _ in range(5):
        log_points(exp, last, last + 20_000)
        last += 20_000
        exp.log_params(last=last)
        exp.log(f"at {last}")
        before = local_count(exp.dir)
        eventually(lambda before=before: at_work(exp) and local_count(exp.dir) > before)
        kill(exp)
    assert exp.stop().complete
    assert local_points(exp.dir) == list(range(last))
    log = (exp.dir / "log.txt").read_text().splitlines()
    assert [line.split()[-1] for line in log] == [str(20_000 * n) for n in range(1, 6)]


def test_a_reading_goes_on_when_training_and_courier_are_dead(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import os, pathlib, signal, tracelet
        exp = tracelet.start_logging(run_id="r", courier="process", params={"lr": 0.1})
        exp.log_metric("loss", 0.5, 0)
        exp.flush(60)
        pathlib.Path("ready").touch()
        while not pathlib.Path("courier-is-dead").exists():
            pass
        for iteration in range(1, 10_000):
            exp.log_metric("loss", 0.5, iteration)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    eventually((tmp_path / "ready").exists)
    run_dir = tmp_path / ".tracelet/default/r"
    (courier,) = courier_processes(run_dir)
    courier.kill()
    (tmp_path / "courier-is-dead").touch()
    assert script.wait() == -signal.SIGKILL
    assert local_points(run_dir) == [0]
    run = tracelet.load_run(run_dir)
    assert run.status == "killed"
    assert local_points(run_dir) == list(range(10_000))
    assert run.report.complete
    view = ended_view(run_dir)
    assert view is not None
    assert view["status"] == "killed"
    # And once is enough.
    tracelet.load_run(run_dir)
    assert local_points(run_dir) == list(range(10_000))


def test_a_damaged_cursor_means_delivering_anew_and_nothing_twice(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r", courier="process")
    log_points(exp, 0, 100)
    assert exp.flush(60)
    kill(exp)
    file = CursorFile(exp.dir / "cursors", "local").file.path
    file.write_bytes(file.read_bytes()[:20])
    points = log_points(exp, 100, 200)
    assert exp.stop().complete
    assert local_points(exp.dir) == points


def test_local_files_that_were_deleted_are_written_anew(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r", courier="process", params={"lr": 0.1})
    log_points(exp, 0, 100)
    assert exp.flush(60)
    kill(exp)
    (exp.dir / "metrics.jsonl").unlink()
    points = log_points(exp, 100, 200)
    assert exp.stop().complete
    assert local_points(exp.dir) == points
