"""A pool of processes that is older than a run, or outlives it, finds the run that there is now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from user_scripts import journaled_points, run_script
from waiting import eventually

import tracelet

POOL = """
import multiprocessing, os, sys, tracelet
from concurrent.futures import ProcessPoolExecutor

def ask(number):
    exp = tracelet.get_active_experiment()
    if exp is not None:
        exp.log_metric("task", number, iteration=number)
    return None if exp is None else exp.run_id

def join(number):
    exp = tracelet.start_logging()
    exp.log_metric("task", number, iteration=number)
    mine = exp.owns_run
    found = exp.run_id
    exp.stop()
    return "own" if mine else found

def keep(number):
    sys.kept = tracelet.get_active_experiment()
    return sys.kept.run_id

def use_kept(number):
    try:
        sys.kept.log_metric("task", number, iteration=number)
    except tracelet.TraceletError as error:
        return f"{type(error).__name__}: {sys.kept.status} {sys.kept.is_running}: {error}"

class Pool:
    def __init__(self, how):
        if how == "joblib":  # the workers that its Parallel keeps
            from joblib.externals.loky import get_reusable_executor
            self.pool = get_reusable_executor(max_workers=1)
        else:
            self.pool = ProcessPoolExecutor(1, multiprocessing.get_context(how))
    def call(self, function, number):
        return self.pool.submit(function, number).result(120)

def main():
    pool = Pool(sys.argv[1])
    said = [pool.call(ask, 0)]
    exp = tracelet.start_logging(run_id="one")
    said += [pool.call(ask, 1), pool.call(join, 2), pool.call(keep, 3)]
    exp.stop(wait=False)
    said += [pool.call(ask, 4), pool.call(use_kept, 5), pool.call(join, 6)]
    with tracelet.start_logging(run_id="two") as exp:
        said += [pool.call(ask, 7), pool.call(join, 8), pool.call(use_kept, 9)]
        other = tracelet.Experiment(run_id="other").start()
        said += [pool.call(ask, 10)]
        other.stop()
        said += [pool.call(ask, 11)]
    said += [pool.call(ask, 12)]
    tracelet.start_logging(run_id="three")
    tracelet.start_logging(run_id="four")  # which stops the other
    said += [pool.call(ask, 13)]
    for one in said:
        print("said:", one)

if __name__ == "__main__":
    main()
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("how", ["spawn", "fork", "forkserver", "joblib"])
def test_a_pool_that_is_older_than_the_runs_and_outlives_them(how: str, tmp_path: Path) -> None:
    output = run_script(tmp_path, POOL, how, name="pooled.py")
    said = [line.removeprefix("said: ") for line in output.splitlines() if line.startswith("said:")]
    kept = [said.pop(9), said.pop(5)]
    own = said.pop(5)
    assert said == [
        "None",
        "one",
        "one",
        "one",
        "None",
        "two",
        "two",
        "other",
        "two",
        "None",
        "four",
    ]
    assert own == "own"
    for line in kept:
        assert line.startswith("NotRunningError: finished False: the run one, which this process")
    runs = {run.run_id: run for run in tracelet.runs()}
    assert {name: run.status for name, run in runs.items()} == dict.fromkeys(runs, "finished")
    points = {name: sorted(journaled_points(run.dir, "task")) for name, run in runs.items()}
    mine = next(name for name in runs if name not in ("one", "two", "other", "three", "four"))
    assert points == {
        "one": [1, 2],
        "two": [7, 8, 11],
        "other": [10],
        "three": [],
        "four": [13],
        mine: [6],
    }


BORN = """
import multiprocessing, sys, tracelet
from concurrent.futures import ProcessPoolExecutor

def ask(number):
    exp = tracelet.get_active_experiment()
    return exp and exp.run_id

def main():
    tracelet.start_logging(run_id="birth")
    pool = ProcessPoolExecutor(1, multiprocessing.get_context(sys.argv[1]))
    print("said:", pool.submit(ask, 0).result())
    tracelet.start_logging(run_id="next")
    print("said:", pool.submit(ask, 1).result())
    tracelet.stop_logging()
    print("said:", pool.submit(ask, 2).result())

if __name__ == "__main__":
    main()
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("how", ["spawn", "fork", "forkserver"])
def test_a_pool_that_was_made_in_a_run_does_not_find_that_again(how: str, tmp_path: Path) -> None:
    output = run_script(tmp_path, BORN, how, name="pooled.py")
    said = [line for line in output.splitlines() if line.startswith("said:")]
    assert said == ["said: birth", "said: next", "said: None"]


def test_the_child_of_a_child_finds_the_run_of_the_nearest_that_has_one(tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(
        "import tracelet\nexp = tracelet.get_active_experiment()\nprint(exp and exp.run_id)\n"
    )
    (tmp_path / "child.py").write_text(
        "import subprocess, sys, tracelet\n"
        "subprocess.run([sys.executable, 'ask.py'], check=True)\n"
        "with tracelet.start_logging(run_id='of-the-child'):\n"
        "    subprocess.run([sys.executable, 'ask.py'], check=True)\n"
        "subprocess.run([sys.executable, 'ask.py'], check=True)\n"
    )
    output = run_script(
        tmp_path,
        """
        import os, subprocess, sys, tracelet
        with tracelet.start_logging(run_id="of-the-parent"):
            subprocess.run([sys.executable, "child.py"], check=True)
            subprocess.run([sys.executable, "ask.py"], env={**os.environ, "TRACELET_RUN_DIR": ""})
        """,
    )
    found = [line for line in output.splitlines() if not line.startswith("tracelet:")]
    assert found == ["of-the-parent", "of-the-child", "of-the-parent", "None"]


def test_a_worker_that_only_the_variable_leads_to_the_run_joins_it(tmp_path: Path) -> None:
    """As those of Slurm and torchrun do: no process above it has the run."""
    exp = tracelet.start_logging(run_id="r", dir=tmp_path / "runs")
    (tmp_path / "worker.py").write_text(
        "import pathlib, tracelet\n"
        "exp = tracelet.get_active_experiment()\nexp.log_metric('rank', 1, 1)\n"
        "pathlib.Path('logged').touch()\n"
    )
    run_script(
        tmp_path,
        """
        import os, subprocess, sys
        subprocess.Popen([sys.executable, "worker.py"], start_new_session=True)
        os._exit(0)
        """,
        environment={"TRACELET_RUN_DIR": str(exp.dir), "TMPDIR": str(tmp_path)},
    )
    eventually((tmp_path / "logged").exists)
    assert exp.stop().complete
    assert journaled_points(exp.dir, "rank") == [1]


def test_what_a_child_logs_after_the_death_of_its_parent_is_kept(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import os, pathlib, signal, time, tracelet
        if os.fork() == 0:
            exp = tracelet.start_logging(run_id="r")
            if os.fork() == 0:
                while not pathlib.Path("gone").exists():
                    time.sleep(0.01)
                exp.log_metric("child", 1, 1)
                pathlib.Path("logged").touch()
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()
        pathlib.Path("gone").touch()
        """,
    )
    eventually((tmp_path / "logged").exists)
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    assert run.status == "killed"
    assert [point.value for point in run.metrics["child"]] == [1]


def test_files_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    run_script(
        tmp_path,
        "import os, tracelet\ntracelet.start_logging()\nos._exit(0)",
        environment=environment,
    )
    (folder,) = tmp_path.glob("tracelet-*")
    assert len(list(folder.iterdir())) == 1
    run_script(
        tmp_path, "import tracelet\ntracelet.start_logging().stop()", environment=environment
    )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("made", ["a file", "a folder that others can write"])
def test_a_folder_that_is_not_the_users_own_is_not_used(made: str, tmp_path: Path) -> None:
    folder = tmp_path / f"tracelet-{os.geteuid()}"
    if made == "a file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(0o777)
    said = run_script(
        tmp_path,
        """
        import subprocess, sys, tracelet
        ask = "import tracelet; print(tracelet.get_active_experiment().run_id)"
        with tracelet.start_logging(run_id="r"):
            subprocess.run([sys.executable, "-c", ask], check=True)  # the variable is there still
        """,
        environment={"TMPDIR": str(tmp_path)},
    )
    assert said.splitlines()[0] == "r"
    assert made == "a file" or list(folder.iterdir()) == []
