"""``tracelet sync``."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backends_for_tests import Down, Recorder, Refusing, stored, stored_points, target
from user_scripts import Script, courier_processes
from waiting import eventually

import tracelet
from tracelet.courier.cursor import CursorFile

Cli = Callable[..., Any]

TRAINING = """
import json, pathlib, signal, sys, tracelet
backends, options, name = json.loads(sys.argv[1])
exp = tracelet.start_logging(name, "examples", backend=backends, config={"backends": options})
for iteration in range(100):
    exp.log_metric("loss", 1 / (iteration + 1), iteration=iteration)
exp.flush(0)
pathlib.Path(f"{name}.dir").write_text(str(exp.dir))
signal.pause()
"""


@pytest.fixture
def train(tmp_path: Path) -> Iterator[Callable[..., tuple[Script, Path]]]:
    """Start a training that logs 100 points and then waits; give it and its run's directory."""
    scripts = []

    def train(*backends: str, name: str = "training", **options: Any) -> tuple[Script, Path]:
        arguments = json.dumps([backends, options, name])
        script = Script(tmp_path, TRAINING, arguments, name=f"{name}.py")
        scripts.append(script)
        file = tmp_path / f"{name}.dir"
        eventually(lambda: script.has_ended or (file.exists() and file.read_text()))
        assert not script.has_ended, script.output
        return script, Path(file.read_text())

    yield train
    for script in scripts:
        script.signal(signal.SIGKILL)
        script.wait()


def kill(script: Script, run_dir: Path) -> None:
    """Kill a training and its courier, which ends its workers: nobody is left to deliver."""
    for process in courier_processes(run_dir):
        process.kill()
    script.signal(signal.SIGKILL)
    script.wait()
    names = (None, Down.name, Recorder.name, Refusing.name)
    eventually(lambda: not any(courier_processes(run_dir, name) for name in names))


@pytest.fixture
def stranded(tmp_path: Path, train: Callable[..., tuple[Script, Path]]) -> Path:
    """The directory of a killed run of which nothing has reached one of its two backends."""
    options = {"down": {"store": str(tmp_path), "gate": str(tmp_path / "gate")}}
    script, run_dir = train("local", target(Down), **options)
    eventually(lambda: CursorFile(run_dir / "cursors", "down").load().last_error)
    kill(script, run_dir)
    return run_dir


def test_nothing_to_do_is_said(cli: Cli) -> None:
    with tracelet.start_logging("complete"):
        pass

    done = cli("sync")

    assert (done.code, done.out) == (0, "")
    assert "nothing is pending" in done.err
    assert cli("sync", "--json").json == []


def test_a_dead_run_is_delivered_once_its_backend_is_back(
    cli: Cli, tmp_path: Path, stranded: Path
) -> None:
    (tmp_path / "gate").touch()

    done = cli("sync")

    assert done.code == 0, done.err
    assert "down   100 of 100 delivered" in done.out
    assert "local  100 of 100 delivered" in done.out
    assert done.fits() or str(stranded) in done.out
    assert stored_points(tmp_path, "down") == list(range(100))
    assert stored(tmp_path, "down", "close")[-1] == "killed"
    assert tracelet.load_run(stranded).report.complete
    assert "nothing is pending" in cli("sync").err


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), 9)"])
def test_a_backend_that_lacks_nothing_but_the_ending_is_told(
    cli: Cli, tmp_path: Path, ending: str
) -> None:
    text = f"""
    import os, tracelet
    exp = tracelet.start_logging(run_id="r", courier="thread", backend="{target(Recorder)}",
                                 backends={{"recorder": {{"store": "{tmp_path}"}}}})
    exp.log_metric("loss", 0.5, 0)
    assert exp.flush(60)
    {ending}
    """
    Script(tmp_path, text).wait()
    assert stored(tmp_path, "recorder", "close") == []

    assert cli("sync").code == 0

    assert stored(tmp_path, "recorder", "close") == ["killed" if ending else "finished"]
    assert stored_points(tmp_path, "recorder") == [0]
    assert "nothing is pending" in cli("sync").err


def test_a_backend_that_is_still_down_is_reported_in_time(
    cli: Cli, tmp_path: Path, stranded: Path
) -> None:
    done = cli("sync", stranded.name, "--timeout", 0.5, "--json")

    assert done.code == 1
    (run,) = done.json
    assert run["run_id"] == stranded.name
    assert run["status"] == "killed"
    assert run["outcome"] == "pending"
    down = run["report"]["backends"]["down"]
    assert (down["accepted"], down["delivered"], down["pending"]) == (100, 0, 100)
    assert "no connection" in down["last_error"]
    assert courier_processes(stranded) == []

    shown = cli("sync", "--timeout", 0.5)
    assert shown.code == 1
    assert "0 of 100 delivered, 100 pending" in shown.out
    assert "TransientError: no connection" in shown.out
    assert "1 run not delivered yet" in shown.err


def test_backend_chooses(cli: Cli, tmp_path: Path, stranded: Path) -> None:
    assert cli("sync", "--backend", "local").code == 0
    assert cli("sync", stranded, "--backend", "local").code == 0

    none = cli("sync", stranded.name, "--backend", "recorder")

    assert none.code == 2
    assert f"tracelet replay {stranded.name} --backend recorder" in none.err
    assert cli("sync", "--backend", "recorder").code == 0


def test_options_of_the_run_win_over_those_of_the_settings(
    cli: Cli, tmp_path: Path, stranded: Path
) -> None:
    (tmp_path / "gate").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    done = cli("sync", TRACELET_BACKENDS__DOWN__STORE=str(elsewhere))

    assert done.code == 0, done.err
    assert stored_points(tmp_path, "down") == list(range(100))
    assert list(elsewhere.iterdir()) == []


def test_a_courier_that_waits_to_try_again_is_woken(
    cli: Cli, tmp_path: Path, train: Callable[..., tuple[Script, Path]]
) -> None:
    options = {"store": str(tmp_path), "gate": str(tmp_path / "gate")}
    script, run_dir = train(target(Down), down=options)
    (courier,) = eventually(lambda: courier_processes(run_dir))
    # After five failures it waits for eight seconds at least: longer than the command may take.
    eventually(lambda: CursorFile(run_dir / "cursors", "down").load().failures == 5, 120)
    (tmp_path / "gate").touch()

    done = cli("sync", run_dir, "--timeout", "5")

    assert done.code == 0, done.err
    assert "100 of 100 delivered" in done.out
    assert [process.pid for process in courier_processes(run_dir)] == [courier.pid]
    assert not script.has_ended


def test_a_run_with_a_living_courier_is_left_to_it(
    cli: Cli, tmp_path: Path, train: Callable[..., tuple[Script, Path]]
) -> None:
    options = {"store": str(tmp_path), "gate": str(tmp_path / "gate")}
    script, run_dir = train(target(Down), down=options)
    (courier,) = eventually(lambda: courier_processes(run_dir))

    eventually(lambda: CursorFile(run_dir / "cursors", "down").load().health == "degraded")
    done = cli("sync", run_dir, "--timeout", "1")

    assert done.code == 1
    assert f"{run_dir.name}: its courier is at work; left to it" in done.err
    assert f"process {courier.pid}, which tries down (degraded: TransientError" in done.err
    assert f"kill {courier.pid} ends that" in done.err
    assert cli("sync", "--json", "--timeout", "0").json[0]["outcome"] == "busy"
    assert [process.pid for process in courier_processes(run_dir)] == [courier.pid]
    assert not script.has_ended


def test_a_living_run_that_has_lost_its_courier_gets_one(
    cli: Cli, tmp_path: Path, train: Callable[..., tuple[Script, Path]]
) -> None:
    options = {"store": str(tmp_path), "gate": str(tmp_path / "gate")}
    script, run_dir = train(target(Down), down=options)
    (courier,) = eventually(lambda: courier_processes(run_dir))
    courier.kill()
    eventually(lambda: not courier_processes(run_dir))
    (tmp_path / "gate").touch()

    done = cli("sync", run_dir)

    assert done.code == 0, done.err
    assert "100 of 100 delivered" in done.out
    assert tracelet.load_run(run_dir).status == "running"
    script.signal(signal.SIGKILL)
    script.wait()
    eventually(lambda: stored(tmp_path, "down", "close") == ["killed"])


def test_several_runs_are_delivered(
    cli: Cli, tmp_path: Path, train: Callable[..., tuple[Script, Path]]
) -> None:
    directories = []
    for name in ("one", "two"):
        store = tmp_path / f"store-{name}"
        store.mkdir()
        options = {"store": str(store), "gate": str(tmp_path / "gate")}
        script, run_dir = train(target(Down), name=name, down=options)
        kill(script, run_dir)
        directories.append(run_dir)
    (tmp_path / "gate").touch()

    done = cli("sync", "--json")

    assert done.code == 0, done.err
    assert [row["dir"] for row in done.json] == [str(run_dir) for run_dir in directories]
    assert {row["outcome"] for row in done.json} == {"delivered"}
    for name in ("one", "two"):
        assert stored_points(tmp_path / f"store-{name}", "down") == list(range(100))


def test_a_backend_that_is_not_installed_any_more_is_named(
    cli: Cli, tmp_path: Path, stranded: Path
) -> None:
    done = cli("sync", PYTHONPATH="")

    assert done.code == 1
    assert "down: backend 'backends_for_tests:Down' cannot be loaded" in done.err
    assert "100 pending" in done.out


def test_what_only_the_training_process_could_deliver_to_is_said(cli: Cli, tmp_path: Path) -> None:
    text = """
    import os, threading, tracelet
    from tracelet.backends.memory import MemoryBackend
    class Held(MemoryBackend):
        def log_metrics(self, batch):
            threading.Event().wait()
    exp = tracelet.start_logging("inline", backend=[Held()])
    exp.log_metric("loss", 0.5)
    os.kill(os.getpid(), 9)
    """
    Script(tmp_path, text).wait()

    done = cli("sync")

    assert done.code == 1
    assert "memory: only the process that logged the run can deliver to it" in done.err


def test_refused_records_are_not_pending(
    cli: Cli, tmp_path: Path, train: Callable[..., tuple[Script, Path]]
) -> None:
    gate = tmp_path / "gate"
    stores = {"store": str(tmp_path)}
    script, run_dir = train(
        target(Down), target(Refusing), target(Recorder),
        down={**stores, "gate": str(gate)}, refusing=stores, recorder=stores,
    )  # fmt: skip
    kill(script, run_dir)
    gate.touch()

    done = cli("sync", run_dir.name, "--json")

    assert done.code == 0, done.err
    backends = done.json[0]["report"]["backends"]
    assert backends["refusing"]["rejected"] == 100
    assert backends["recorder"]["delivered"] == 100
    assert all(one["pending"] == 0 for one in backends.values())
    assert "100 rejected" in cli("show").out
    assert "RuntimeError: no metrics here" in cli("show").out


def test_an_unknown_run_is_an_error_before_anything_is_delivered(cli: Cli, stranded: Path) -> None:
    done = cli("sync", stranded.name, "nope")

    assert done.code == 2
    assert "no run 'nope'" in done.err
