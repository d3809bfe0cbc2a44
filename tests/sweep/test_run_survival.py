"""A sweep that was killed goes on where it was, and other schedulers run one as well."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import psutil
import pytest
import submitit
import trainings
from distributed import Client
from user_scripts import Script, run_script
from waiting import eventually

import tracelet
from tracelet import Sweep
from tracelet.core.run import runs
from tracelet.errors import WorkerDiedError
from tracelet.sweep.ledger import SweepDir

HERE = Path(__file__).parent
ELSEWHERE = """
import pickle, sys
from tracelet.sweep.work import work
sys.stdout.buffer.write(pickle.dumps(work(pickle.load(sys.stdin.buffer))))
"""

SCRIPT = """
import sys, time
sys.path.insert(0, sys.argv[2])
import trainings
from tracelet import Sweep

if __name__ == "__main__":
    sweep = Sweep().product(lr=range(6)).set(gates=sys.argv[1])
    results = sweep.run(trainings.wait, name="s", max_workers=2)
    print([result.value for result in results], flush=True)
"""


def begun(gates: Path, lr: int) -> int:
    return len(list(gates.glob(f"begun-{lr}-*")))


def test_a_sweep_that_was_killed_completes_exactly_what_is_missing(tmp_path: Path) -> None:
    gates = tmp_path / "gates"
    gates.mkdir()
    script = Script(tmp_path, SCRIPT, gates, HERE)
    eventually(lambda: begun(gates, 3) and begun(gates, 4))
    workers = psutil.Process(script.pid).children(recursive=True)

    script.signal(signal.SIGKILL)
    script.wait()
    psutil.wait_procs(workers, timeout=60)  # they do not outlive the sweep
    assert not any(worker.is_running() for worker in workers)
    states = SweepDir.of(tmp_path / ".tracelet", "default", "s").entries().values()
    assert sorted(entry.state for entry in states) == [*["done"] * 3, "pending", *["running"] * 2]

    (gates / "open").touch()
    assert run_script(tmp_path, SCRIPT, gates, HERE).splitlines()[-1] == "[0, 1, 2, 3, 4, 5]"
    assert [begun(gates, lr) for lr in range(6)] == [1, 1, 1, 2, 2, 1]
    ended = [run.status for run in runs()]
    assert sorted(ended) == [*["finished"] * 6, *["killed"] * 2]


def test_ctrl_c_ends_the_workers_and_leaves_the_rest_to_the_next_time(tmp_path: Path) -> None:
    script = Script(tmp_path, SCRIPT, tmp_path, HERE)
    eventually(lambda: begun(tmp_path, 3) and begun(tmp_path, 4))
    workers = psutil.Process(script.pid).children(recursive=True)

    script.signal(signal.SIGINT)

    assert script.wait() != 0
    assert "KeyboardInterrupt" in script.output
    assert not psutil.wait_procs(workers, timeout=60)[1]
    (tmp_path / "open").touch()
    assert run_script(tmp_path, SCRIPT, tmp_path, HERE).splitlines()[-1] == "[0, 1, 2, 3, 4, 5]"


def test_a_script_without_its_guard_is_told_so(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import tracelet
        def train(lr):
            return lr
        tracelet.Sweep(train).product(lr=[1, 2]).run(max_workers=1)
        """,
    )

    assert script.wait() != 0
    assert "if __name__ == '__main__'" in script.output.splitlines()[-1]


def test_functions_of_a_script_are_run(tmp_path: Path) -> None:
    output = run_script(
        tmp_path,
        """
        import tracelet
        def train(lr):
            return lr
        if __name__ == "__main__":
            results = tracelet.Sweep(train).product(lr=[1, 2]).run(max_workers=1)
            print([one.value for one in results])
        """,
    )

    assert output.splitlines()[-1] == "[1, 2]"


# ------------------------------------------------------------------------------ other schedulers


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Client]:
    """A scheduler and two worker processes, each started as on a machine of its own."""
    paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    }
    common = ["--scheduler-file", str(address := tmp_path / "scheduler.json"), "--no-dashboard"]
    common += ["--host", "127.0.0.1"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", *common, "--no-nanny"]
    worker += ["--nthreads", "1", "--local-directory", str(tmp_path / "dask")]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", *common, "--port", "0"]
    commands = [scheduler, worker, worker]
    with (tmp_path / "dask.log").open("wb") as log:
        processes = [
            subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
            for command in commands
        ]
    try:
        eventually(lambda: address.exists() and address.read_text().endswith("}"), 120)
        with Client(scheduler_file=str(address), timeout=120) as client:
            client.wait_for_workers(2, timeout=120)
            yield client
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(60)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_dask_cluster_runs_a_sweep(cluster: Client) -> None:
    sweep = Sweep().product(lr=[1, 2, 3, 4])

    done = sweep.run(trainings.process, name="fine", executor=cluster.get_executor())
    deadly = (sweep % {"at": 2}).run(
        trainings.die_at, name="deadly", executor=cluster.get_executor()
    )

    assert [result.value[1] for result in done] == [1, 2, 3, 4]
    assert os.getpid() not in {result.value[0] for result in done}
    assert [result.run.status for result in done] == ["finished"] * 4
    assert [result.state for result in deadly] == ["done", "failed", "done", "done"]
    assert deadly[1].run.status == "killed"
    assert dict(deadly[1].metrics) == {"loss": 2}
    assert not isinstance(deadly[1].error, WorkerDiedError)
    assert "KilledWorker" in f"{deadly[1].error!r}"


def test_submitit_runs_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    executor = submitit.AutoExecutor(folder=tmp_path / "jobs", cluster="local")
    executor.update_parameters(timeout_min=5)

    results = Sweep().product(lr=[1, 2]).set(at=2).run(trainings.fail_at, executor=executor)

    assert [result.state for result in results] == ["done", "failed"]
    assert results[0].value == 1
    assert str(results[1].error) == "no 2"
    assert [result.run.status for result in results] == ["finished", "failed"]
    assert results[0].run.facts["pid"] != os.getpid()


def test_a_worker_without_the_directory_of_the_sweep_has_runs_of_its_own(tmp_path: Path) -> None:
    """As on a machine that shares no disk: it is told what to do, and returns what it came to."""
    (tmp_path / "elsewhere").mkdir()

    class Elsewhere(Executor):
        def submit(self, call: Any, task: Any) -> Any:  # type: ignore[override]
            task = dataclasses.replace(task, directory="/not/shared")
            done = subprocess.run(
                [sys.executable, "-c", ELSEWHERE],
                cwd=tmp_path / "elsewhere",
                env={**os.environ, "PYTHONPATH": str(HERE)},
                input=pickle.dumps(task),
                stdout=subprocess.PIPE,
                check=True,
            )
            future: Future[Any] = Future()
            future.set_result(pickle.loads(done.stdout))
            return future

    sweep = Sweep().product(lr=[1, 2])
    first, second = sweep.run(trainings.large, name="far", executor=Elsewhere())

    assert len(first.value) == 200_001
    assert first.run.dir.is_relative_to(tmp_path / "elsewhere" / ".tracelet")
    again = sweep.run(trainings.large, name="far", executor=Elsewhere())
    assert [len(result.value) for result in again] == [200_001, 200_002]
    assert {run.run_id for run in tracelet.runs(dir=tmp_path / "elsewhere" / ".tracelet")} == {
        first.run.run_id,
        second.run.run_id,
    }


@pytest.mark.parametrize("has_cloudpickle", [True, False])
def test_functions_of_a_console_need_cloudpickle(has_cloudpickle: bool, tmp_path: Path) -> None:
    """As of ``python -c``: there is no file that a worker could import."""
    text = (
        ("" if has_cloudpickle else "import sys; sys.modules['cloudpickle'] = None\n")
        + "import tracelet\n"
        + "def train(lr):\n    return lr\n\n"
        + "results = tracelet.Sweep(train).product(lr=[1, 2]).run(max_workers=1)\n"
        + "print([result.value for result in results])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, encoding="utf-8", check=False
    )

    if has_cloudpickle:
        assert done.stdout.splitlines()[-1] == "[1, 2]", done.stderr
    else:
        assert "train cannot be sent to a worker process" in done.stderr.splitlines()[-1]
