"""Whoever reads a run is told its true status at once, and waits for local files within a bound."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from backends_for_tests import Held, target
from user_scripts import Script, local_points
from waiting import eventually

import tracelet
from tracelet.courier import reconcile
from tracelet.courier.exit_status import write_missing_ending
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir

TRAINING = """
import os, signal, sys, tracelet
exp = tracelet.start_logging(run_id="r", courier="{courier}")
for iteration in range({points}):
    exp.log_metric("loss", 0.5, iteration)
"""
LONGER_THAN_A_TEST = 1000.0


@pytest.fixture
def killed(tmp_path: Path) -> RunDir:
    """A run of which the journal has more than the local files."""
    training = TRAINING.format(courier="thread", points=100)
    script = Script(tmp_path, f"{training}os.kill(os.getpid(), signal.SIGKILL)")
    assert script.wait() == -signal.SIGKILL
    return RunDir(tmp_path / ".tracelet/default/r")


@pytest.fixture
def reading() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


ENDINGS = {
    "os.kill(os.getpid(), signal.SIGKILL)": "killed",
    "sys.exit(3)": "failed",
    "": "finished",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_that_its_courier_still_delivers_has_its_status_and_its_local_files(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PATIENCE_SECONDS", LONGER_THAN_A_TEST)
    backend = f'backend=["local", "{target(Held)}"]'
    options = f'config={{"backends": {{"held": {{"store": "{tmp_path}", "gate": "never"}}}}}}'
    training = TRAINING.format(courier="process", points=20_000)
    training = training.replace('run_id="r"', f'run_id="r", {backend}, {options}')
    # Its courier is there.
    seen = '\nexp.log("begun")\nwhile not (exp.dir / "log.txt").exists(): pass\nfor'
    script = Script(tmp_path, training.replace("\nfor", seen) + ending)
    script.wait()
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    assert run.status == ENDINGS[ending], script.output
    assert (run.report["local"].delivered, run.report["local"].pending) == (20_001, 0)
    assert run.report["held"].pending > 0
    assert local_points(run.dir) == list(range(20_000))


def test_the_status_is_true_though_nobody_delivers(
    killed: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PATIENCE_SECONDS", 0.0)
    lock = killed.lock()
    assert lock.acquire()
    run = tracelet.load_run(killed.path)
    assert (run.status, run.reason) == ("killed", "the process is gone")
    assert run.ended is not None
    assert run.ended >= run.started
    assert run.report["local"].accepted == 100
    assert RunState(killed).update().status == "running", "nothing was written"
    lock.release()
    assert tracelet.load_run(killed.path).report["local"].pending == 0


def test_readers_wait_for_the_one_who_delivers(
    killed: RunDir, monkeypatch: pytest.MonkeyPatch, reading: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(reconcile, "_PATIENCE_SECONDS", LONGER_THAN_A_TEST)
    lock = killed.lock()
    assert lock.acquire()
    runs = [reading.submit(tracelet.load_run, killed.path) for _ in range(3)]
    reconcile.bring_up_to_date(killed, RunState(killed).update())
    for run in runs:  # while the lock is held
        assert run.result().status == "killed"
        assert run.result().report["local"].delivered == 100
    lock.release()


def test_an_ending_that_is_written_while_a_reader_looks_is_no_sign_of_life(
    killed: RunDir, monkeypatch: pytest.MonkeyPatch, reading: ThreadPoolExecutor
) -> None:
    look, waits = reconcile.unwritten_ending, threading.Event()

    def written_meanwhile(run_dir: RunDir, state: RunState) -> object:
        write_missing_ending(run_dir, RunState(run_dir).update())
        return look(run_dir, state)

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: waits.set())
    monkeypatch.setattr(reconcile, "_PATIENCE_SECONDS", LONGER_THAN_A_TEST)
    monkeypatch.setattr(reconcile, "unwritten_ending", written_meanwhile)
    monkeypatch.setattr(reconcile, "time", clock)
    lock = killed.lock()
    assert lock.acquire()
    run = reading.submit(tracelet.load_run, killed.path)
    eventually(lambda: waits.is_set() or run.done())
    assert not run.done()
    reconcile.bring_up_to_date(killed, RunState(killed).update())
    assert run.result().report["local"].delivered == 100
    lock.release()


def test_a_reader_does_not_wait_for_a_run_of_its_own_process_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconcile, "_PATIENCE_SECONDS", LONGER_THAN_A_TEST)
    with tracelet.start_logging(run_id="r") as exp:
        exp.log_metric("loss", 0.5, 0)
        assert exp.dir is not None
        assert tracelet.load_run(exp.dir).status == "running"


def test_a_reader_waits_for_the_exit_code_of_a_process_that_is_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(reconcile, "_PATIENCE_SECONDS", LONGER_THAN_A_TEST)
    looked = threading.Event()
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: looked.set())
    monkeypatch.setattr(reconcile, "time", clock)
    training = TRAINING.format(courier="thread", points=1)
    gate = 'lambda: [0 for _ in iter(lambda: os.path.exists("gate"), True)]'
    script = Script(tmp_path, f"import atexit, os; atexit.register({gate})\n{training}sys.exit(3)")
    run_dir = RunDir(tmp_path / ".tracelet/default/r")
    eventually(lambda: run_dir.run_json.exists() and RunState(run_dir).update().pending_exit)
    run: Future[tracelet.Run] = reading.submit(tracelet.load_run, run_dir.path)
    assert looked.wait(30), run.result().status
    (tmp_path / "gate").touch()
    assert script.wait() == 3
    assert run.result().status == "failed"


def test_a_run_whose_cursors_were_deleted_is_delivered_anew(killed: RunDir) -> None:
    assert tracelet.load_run(killed.path).report["local"].delivered == 100
    shutil.rmtree(killed.cursors.path)
    assert tracelet.load_run(killed.path).report["local"].delivered == 100
    assert local_points(killed.path) == list(range(100))
