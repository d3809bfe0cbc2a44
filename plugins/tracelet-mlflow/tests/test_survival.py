"""Real processes, killed in the middle of delivery: every point is in MLflow, and once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow_live import PATIENCE, Server, wait_for, worker_of
from mlflow_reader import read, runs_of

import tracelet
from tracelet.core.experiment import Experiment
from tracelet.core.run import load_run
from tracelet_mlflow import place
from tracelet_mlflow.place import connect

Start = Callable[..., Experiment]
POINTS = 20_000
REPEATED = 700


@pytest.fixture(params=["database", "server"])
def store(request: pytest.FixtureRequest, uri: str) -> str:
    """The address of a store."""
    if request.param == "database":
        return uri
    server = request.getfixturevalue("server")
    assert isinstance(server, Server)
    return server.uri


def stored(uri: str, project: str) -> int:
    """Return how many points a project's run has by now."""
    for run in runs_of(uri, project):
        return len(MlflowClient(uri).get_metric_history(run.info.run_id, "loss"))
    return 0


def test_a_worker_that_is_killed_loses_nothing_and_repeats_nothing(
    start: Start, store: str, request: pytest.FixtureRequest
) -> None:
    project = f"killed {request.node.name}"
    exp = start(options={"tracking_uri": store}, courier="process", project=project)
    for number in range(POINTS):
        # Repeated identical points are what a tracker that ignores repeats could lose.
        iteration = number // 7 if number < REPEATED else number
        exp.log_metric("loss", float(iteration), iteration=iteration)
    exp.log("a line")
    exp.log_metric("same", float("inf"), iteration=0)
    killed: set[int] = set()
    for part in (0, POINTS // 10, POINTS // 3):
        worker = wait_for(lambda: worker_of(exp))
        wait_for(lambda part=part: stored(store, project) > part)
        worker.kill()
        killed.add(worker.pid)
        wait_for(lambda worker=worker: not worker.is_running())
    report = exp.stop(timeout=PATIENCE)

    assert len(killed) == 3
    assert report.complete, report
    back = read(store, exp.links["mlflow"].id)
    values = [point.value for point in back.points if point.name == "loss"]
    repeated = [float(number // 7) for number in range(REPEATED)]
    assert values == repeated + [float(number) for number in range(REPEATED, POINTS)]
    assert (back.texts, back.runs, len(back.adjusted)) == (["a line"], 1, 1)


def test_a_database_whose_making_was_killed_is_made_anew(tmp_path: Path) -> None:
    database = tmp_path / "new" / "mlflow.db"
    uri = f"sqlite:///{database.as_posix()}"
    script = (
        "import os, signal, sqlalchemy\n"
        "from tracelet_mlflow.place import connect\n"
        "def die(connection, cursor, statement, *_):\n"
        "    if 'ADD COLUMN' in statement: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sqlalchemy.event.listen(sqlalchemy.Engine, 'after_cursor_execute', die)\n"
        f"connect({uri!r})\n"
    )
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert made.returncode == -signal.SIGKILL, made.stderr

    connect(uri).create_experiment("one")

    assert [one.name for one in MlflowClient(uri).search_experiments()] == ["one", "Default"]
    assert {file.name for file in database.parent.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


DIE = """
import os, signal, sqlalchemy
from mlflow import MlflowClient
def die(connection, cursor, statement, *_):
    if 'ADD COLUMN' in statement: os.kill(os.getpid(), signal.SIGKILL)
sqlalchemy.event.listen(sqlalchemy.Engine, 'after_cursor_execute', die)
MlflowClient({uri!r})
"""


def test_a_database_that_another_program_has_left_half_made_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(place, "_QUIET_SECONDS", 0.5)
    database = tmp_path / "mlflow.db"
    uri = f"sqlite:///{database.as_posix()}"
    script = DIE.format(uri=uri)
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert made.returncode == -signal.SIGKILL, made.stderr

    connect(uri).create_experiment("one")

    assert [one.name for one in MlflowClient(uri).search_experiments()] == ["one", "Default"]
    assert "was left half made" in caplog.text
    assert len([*tmp_path.glob("mlflow.db.half-made-*")]) == 1


def test_a_new_database_is_made_once_though_another_program_opens_it(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    go = tmp_path / "go"
    wait = f"import pathlib, time\ngo = pathlib.Path({str(go)!r})\n"
    wait += "while not go.exists(): time.sleep(0.001)\n"
    ours = (
        "import mlflow\nfrom tracelet_mlflow.place import connect\nprint('ready', flush=True)\n"
        f"{wait}connect('sqlite:///{database.as_posix()}').get_experiment_by_name('Default').name\n"
    )
    theirs = (
        "import mlflow\nprint('ready', flush=True)\n"
        f"{wait}mlflow.MlflowClient('sqlite:///mlflow.db').search_experiments()\n"
    )
    pipe = subprocess.PIPE
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", script], cwd=tmp_path, text=True, stdout=pipe, stderr=pipe
        )
        for script in (ours, ours, ours, theirs)
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    go.touch()
    errors = [program.communicate()[1] for program in programs]
    assert [program.returncode for program in programs[:3]] == [0, 0, 0], errors
    assert [one.name for one in connect(f"sqlite:///{database}").search_experiments()] == [
        "Default"
    ]


def test_a_training_that_is_killed_is_delivered_and_marked_so(tmp_path: Path, uri: str) -> None:
    script = (
        "import os, signal, tracelet\n"
        f"exp = tracelet.start_logging('run', project='p', backend='mlflow', "
        f"config={{'dir': {str(tmp_path / 'runs')!r}, 'courier': 'process'}})\n"
        "print(exp.dir, flush=True)\n"
        "for number in range(5000):\n"
        "    exp.log_metric('loss', number / 3, iteration=number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False
    )
    run_dir = Path(done.stdout.strip())
    wait_for(lambda: [run.info.status for run in runs_of(uri, "p")] == ["KILLED"])

    back = read(uri, runs_of(uri, "p")[0].info.run_id)
    assert [point.value for point in back.points] == [number / 3 for number in range(5000)]
    assert load_run(run_dir).status == "killed"
    wait_for(lambda: not couriers(run_dir))


def test_a_run_that_was_made_without_its_link_being_saved_is_found_again(
    start: Start, uri: str
) -> None:
    exp = start(courier="process")
    assert exp.dir is not None
    wait_for(lambda: runs_of(uri, "p"))
    worker = wait_for(lambda: worker_of(exp))
    worker.kill()
    for cursor in (exp.dir / "cursors").glob("mlflow.json"):
        cursor.unlink()  # as if it had been killed before it saved the link
    exp.log_metric("loss", 0.5, iteration=0)
    assert exp.stop().complete

    (run,) = runs_of(uri, "p")
    assert run.data.metrics == {"loss": 0.5}


def couriers(run_dir: Path) -> list[psutil.Process]:
    """Return the processes that deliver a run."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(run_dir) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_replaying_a_run_that_mlflow_has_changes_nothing(start: Start, uri: str) -> None:
    exp = start(params={"lr": 1})
    for number in range(300):
        exp.log_metric("loss", 0.5, iteration=number // 10)
    exp.log_params(lr=2)
    exp.log("a line")
    exp.stop()
    before = read(uri, exp.links["mlflow"].id)
    assert exp.dir is not None
    (exp.dir / "cursors" / "mlflow.json").unlink()
    again = start(resume=exp.run_id)
    assert again.stop().complete

    assert read(uri, again.links["mlflow"].id) == before
    assert tracelet.get_active_experiment() is None
