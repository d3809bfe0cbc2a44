"""Threads, forked and spawned children log to one run: every record whole, each thread in order."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest
from user_scripts import (
    Script,
    courier_processes,
    ended_view,
    journaled,
    journaled_points,
    local_lines,
    run_script,
    view,
)
from waiting import eventually

import tracelet
from tracelet.errors import NotRunningError, RunNotFoundError
from tracelet.records import Metric, Params, Text

FAMILY = """
import multiprocessing, os, sys, threading, tracelet

POINTS = 2000

def log_points(exp, who):
    for iteration in range(POINTS):
        exp.log_metric(who, iteration * 0.5, iteration)
        if iteration % 100 == 0:
            exp.log(f"{who} {iteration}")
    exp.log_params({who: "x" * 100_000})  # longer than one write: a blob

def spawned(exp, who):
    log_points(exp, who)

def found(who):
    log_points(tracelet.get_active_experiment(), who)

if __name__ == "__main__":
    exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=spawned, args=(exp, f"spawned{n}")) for n in range(2)]
    children += [spawn.Process(target=found, args=(f"spawned{n}",)) for n in range(2, 4)]
    for child in children:
        child.start()
    threads = [threading.Thread(target=log_points, args=(exp, f"thread{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    forked = []
    for n in range(4):  # while the threads log
        pid = os.fork()
        if pid == 0:
            log_points(exp, f"forked{n}")
            os._exit(0)
        forked.append(pid)
    for thread in threads:
        thread.join()
    for pid in forked:
        assert os.waitpid(pid, 0)[1] == 0
    for child in children:
        child.join()
        assert child.exitcode == 0
    report = exp.stop()
    assert report.complete, report
    assert report.lost == report.skipped == 0
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("courier", ["process", "thread"])
def test_four_forked_four_spawned_and_eight_threads_at_once(tmp_path: Path, courier: str) -> None:
    run_script(tmp_path, FAMILY, courier)
    run_dir = tmp_path / ".tracelet/default/r"
    who = [f"{kind}{n}" for kind, many in KINDS.items() for n in range(many)]
    points: dict[str, list[int]] = {}
    texts: dict[str, list[str]] = {}
    long: dict[str, Any] = {}
    for record in journaled(run_dir):  # which counts lines that are not whole
        if type(record) is Metric:
            assert record.value == record.iteration * 0.5
            points.setdefault(record.name, []).append(record.iteration)
        elif type(record) is Text:
            texts.setdefault(record.text.split()[0], []).append(record.text)
        elif type(record) is Params:
            long.update(record.values)
    assert points == {name: list(range(2000)) for name in who}
    assert texts == {name: [f"{name} {n}" for n in range(0, 2000, 100)] for name in who}
    assert long == dict.fromkeys(who, "x" * 100000)
    delivered: dict[str, list[int]] = {}
    for line in local_lines(run_dir):
        delivered.setdefault(line["name"], []).append(line["iteration"])
    assert delivered == points
    assert tracelet.load_run(run_dir).report["local"].accepted == len(who) * (2000 + 20 + 1)


KINDS = {"thread": 8, "forked": 4, "spawned": 4}


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_a_forked_child_that_outlives_its_parent(tmp_path: Path, courier: str) -> None:
    """It does not keep the run from ending, and what it logs afterwards is not lost."""
    script = Script(
        tmp_path,
        """
        import os, pathlib, sys, time, tracelet
        exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
        exp.log_metric("loss", 0.5, 0)
        if os.fork() == 0:
            exp.log_metric("child", 0.5, 0)
            pathlib.Path("born").touch()
            while not pathlib.Path("go-on").exists():
                time.sleep(0.01)
            exp.log_metric("child", 0.5, 1)
            pathlib.Path("done").touch()
            while not pathlib.Path("die").exists():
                time.sleep(0.01)
            os._exit(0)
        while not pathlib.Path("born").exists():
            time.sleep(0.01)
        exp.log_metric("loss", 0.5, 1)
        """,
        courier,
    )
    assert script.wait() == 0, script.output
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: tracelet.load_run(run_dir).status == "finished")
    eventually(lambda: not courier_processes(run_dir))
    assert len(local_lines(run_dir)) == 3
    (tmp_path / "go-on").touch()
    eventually((tmp_path / "done").exists)
    assert journaled_points(run_dir, "child") == [0, 1]
    assert len(tracelet.load_run(run_dir).metrics["child"]) == 2
    assert len(local_lines(run_dir)) == 4
    (tmp_path / "die").touch()


def test_a_forked_child_that_ends_does_not_end_the_run(tmp_path: Path) -> None:
    output = run_script(
        tmp_path,
        """
        import os, sys, tracelet
        exp = tracelet.start_logging(run_id="r", courier="process")
        for code in (0, 3):
            pid = os.fork()
            if pid == 0:
                exp.log_metric("child", code, code)
                sys.exit(code)  # with all that Python does at exit
            os.waitpid(pid, 0)
        pid = os.fork()
        if pid == 0:
            with exp:
                exp.log_metric("child", 1, 1)
            exp2 = tracelet.get_active_experiment()
            os._exit(0)
        os.waitpid(pid, 0)
        print(tracelet.load_run(exp.dir).status)
        exp.log_metric("loss", 0.5, 0)
        print(exp.stop().complete)
        """,
    )
    assert [line for line in output.splitlines() if "tracelet:" not in line] == ["running", "True"]
    run_dir = tmp_path / ".tracelet/default/r"
    assert view(run_dir)["status"] == "finished"
    assert sorted(journaled_points(run_dir, "child")) == [0, 1, 3]


def test_a_child_that_is_forked_while_the_run_ends_can_end_its_part(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import os, signal, threading, tracelet
        from tracelet.backends.registry import plugins
        from tracelet.capture.base import CaptureSource
        from tracelet.hookspecs import hookimpl

        stopping, go_on = threading.Event(), threading.Event()

        class Slow(CaptureSource):
            name = "slow"
            def start(self, recorder): pass
            def stop(self):
                stopping.set()
                go_on.wait()

        class Plugin:
            @hookimpl
            def tracelet_capture(self): return Slow

        plugins().register(Plugin())
        exp = tracelet.start_logging(run_id="r", capture=["slow"])
        ending = threading.Thread(target=exp.stop)
        ending.start()
        stopping.wait()
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)  # ends what waits for ever
            exp.log_metric("child", 1, 1)
            exp.stop()
            os._exit(0)
        code = os.waitpid(pid, 0)[1]
        go_on.set()
        ending.join()
        assert code == 0, code
        """,
    )
    assert journaled_points(tmp_path / ".tracelet/default/r", "child") == [1]


def test_a_child_finds_the_run_by_the_environment(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import os, subprocess, sys, tracelet
        exp = tracelet.start_logging("parent", run_id="r", project="family")
        child = (
            "import tracelet\\n"
            "exp = tracelet.start_logging('ignored', project='other', params={'first': 1})\\n"
            "assert (exp.run_id, exp.name, exp.project) == ('r', 'parent', 'family'), exp\\n"
            "exp.log_metric('child', 0.5, 0)\\n"
            "exp.log_params(child=True)\\n"
            "assert exp.flush(60)\\n"
            "exp.stop()\\n"
        )
        subprocess.run([sys.executable, "-c", child], check=True)
        assert os.environ["TRACELET_RUN_DIR"] == str(exp.dir)
        exp.log_metric("loss", 0.5, 0)
        assert exp.stop().complete
        assert "TRACELET_RUN_DIR" not in os.environ
        """,
    )
    (run,) = tracelet.runs()
    assert (run.project, run.status) == ("family", "finished")
    assert [point.iteration for point in run.metrics["child"]] == [0]
    assert dict(run.params) == {"first": 1, "child": True}
    assert len(local_lines(run.dir)) == 2


def test_a_child_that_wants_another_run_is_told_that_it_joins_and_how_it_begins_its_own(
    tmp_path: Path,
) -> None:
    exp = tracelet.start_logging("parent", "family", run_id="r", dir=tmp_path / "runs")
    said = run_script(
        tmp_path,
        """
        import warnings, tracelet

        def start(**given):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                exp = tracelet.start_logging(**given)
            print(exp.run_id, *(one.message for one in caught))
            assert all(one.filename == __file__ for one in caught)
            exp.stop()

        start()
        start(exp_name="parent", project="family", backend="local", dir="runs")
        start(exp_name="other", params={"lr": 0.1})
        start(config={"project": "other"}, backend=["local", "null"], dir="elsewhere")
        try:
            tracelet.start_logging(backend="no-such-tracker")
        except LookupError as error:
            print(type(error).__name__)
        try:
            tracelet.start_logging(run_id="")
        except ValueError as error:
            print(type(error).__name__)
        start(exp_name="other", run_id="own")
        """,
    )
    lines = [line for line in said.splitlines() if not line.startswith("tracelet:")]
    joins = "r this process adds to the run r of its parent process, so {} is not used; run_id=... "
    assert lines == [
        "r",
        "r",
        joins.format("exp_name=") + "begins a run of its own",
        joins.format("project= and dir= and backend=") + "begins a run of its own",
        "UnknownBackendError",
        "InvalidValueError",
        "own",
    ]
    assert exp.stop().complete


@pytest.mark.parametrize("stale", ["/nowhere/at/all", "empty", "finished", "killed"])
def test_a_stale_run_dir_in_the_environment_is_ignored(
    tmp_path: Path, stale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stale
    if stale == "empty":
        (tmp_path / "empty").mkdir()
        path = str(tmp_path / "empty")
    elif stale in ("finished", "killed"):
        ending = "exp.stop()" if stale == "finished" else "import os; os._exit(0)"
        start = 'import tracelet\nexp = tracelet.start_logging(run_id="old")\n'
        run_script(tmp_path, start + ending)
        path = str(tmp_path / ".tracelet/default/old")
    monkeypatch.setenv("TRACELET_RUN_DIR", path)
    assert tracelet.get_active_experiment() is None
    with tracelet.start_logging(run_id="new") as exp:
        exp.log_metric("loss", 0.5, 0)
    assert exp.run_id == "new"
    assert tracelet.load_run(exp.dir).status == "finished"


def test_a_pickled_experiment_logs_to_the_same_run(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    (tmp_path / "exp.pickle").write_bytes(pickle.dumps(exp))
    run_script(
        tmp_path,
        """
        import pickle
        exp = pickle.load(open("exp.pickle", "rb"))
        assert exp.run_id == "r"
        exp.log_metric("child", 0.5, 0)
        """,
    )
    exp.log_metric("loss", 0.5, 0)
    assert exp.stop().complete
    assert {line["name"] for line in local_lines(exp.dir)} == {"child", "loss"}


def test_an_experiment_that_arrives_often_is_one_handle(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    assert pickle.loads(pickle.dumps(exp)) is exp
    (tmp_path / "exp.pickle").write_bytes(pickle.dumps(exp))
    run_script(
        tmp_path,
        """
        import pathlib, pickle
        arrived = [pickle.loads(pathlib.Path("exp.pickle").read_bytes()) for _ in range(10)]
        assert len(set(map(id, arrived))) == 1  # and one file, as the tasks of a pool have it
        arrived[0].log_metric("loss", 0.5, 0)
        """,
    )
    assert len(list((exp.dir / "journal").glob("*.jsonl"))) == 2
    assert exp.stop().complete


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_an_experiment_that_is_not_started_is_started_by_the_child_it_is_given_to(
    tmp_path: Path, how: str
) -> None:
    run_script(
        tmp_path,
        """
        import multiprocessing, sys, tracelet

        def train(exp):
            exp.start()
            assert exp.dir is not None
            exp.log_metric("loss", 1.0)
            exp.log_params(mine="y")
            assert exp.stop().complete

        if __name__ == "__main__":
            exp = tracelet.Experiment(
                "job", {"project": "family", "redact": ["mine"]}, ["local", "null"], run_id="r",
                tags={"team": "ml"}, params={"lr": 0.1},
            )
            context = multiprocessing.get_context(sys.argv[1])
            child = context.Process(target=train, args=(exp,))
            child.start()
            child.join()
            assert child.exitcode == 0
            assert exp.status is None
            assert tracelet.get_active_experiment() is None
        """,
        how,
    )
    run = tracelet.load_run(tmp_path / ".tracelet/family/r")
    assert (run.name, run.status, dict(run.tags)) == ("job", "finished", {"team": "ml"})
    assert dict(run.params) == {"lr": 0.1, "mine": "[redacted]"}
    assert [point.value for point in run.metrics["loss"]] == [1.0]
    assert {name: one.delivered for name, one in run.report.backends.items()} == {
        "local": 4,
        "null": 4,
    }


def test_a_handle_of_the_run_hides_what_its_experiment_hides(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r", redact=["mine"])
    (tmp_path / "exp.pickle").write_bytes(pickle.dumps(exp))
    run_script(
        tmp_path,
        """
        import pickle
        pickle.load(open("exp.pickle", "rb")).log_params(mine="y")
        """,
    )
    assert exp.stop().complete
    assert dict(tracelet.load_run(exp.dir).params) == {"mine": "[redacted]"}


def test_an_experiment_that_was_stopped_arrives_as_one_that_was(tmp_path: Path) -> None:
    exp = tracelet.start_logging("job", run_id="r", params={"lr": 0.1})
    running = pickle.dumps(exp)
    exp.log_metric("loss", 0.5)
    exp.stop("failed")
    for pickled in (pickle.dumps(exp), running):  # one was pickled before the end
        arrived = pickle.loads(pickled)
        assert (arrived.name, arrived.run_id, arrived.dir) == ("job", "r", exp.dir)
        assert (arrived.status, arrived.is_running) == ("failed", False)
        assert arrived.report["local"].delivered == 2
        with pytest.raises(NotRunningError, match="'job' was stopped"):
            arrived.log_metric("loss", 0.5)
        assert tracelet.get_active_experiment() is None
    assert journaled_points(exp.dir) == [0]
    arrived.start()
    arrived.log_metric("loss", 0.5)
    assert arrived.stop().complete
    assert journaled_points(exp.dir) == [0, 1]


def test_an_experiment_whose_run_was_killed_arrives_as_one_that_was(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import os, pathlib, pickle, tracelet
        exp = tracelet.start_logging(run_id="r")
        exp.log_metric("loss", 0.5)
        pathlib.Path("exp.pickle").write_bytes(pickle.dumps(exp))
        os._exit(0)
        """,
    )
    assert script.wait() == 0, script.output
    arrived = pickle.loads((tmp_path / "exp.pickle").read_bytes())
    assert (arrived.status, arrived.is_running) == ("killed", False)
    with pytest.raises(NotRunningError, match="was stopped"):
        arrived.log_metric("loss", 0.5)
    assert journaled_points(arrived.dir) == [0]


def test_an_experiment_whose_run_is_elsewhere_does_not_arrive(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    (tmp_path / "exp.pickle").write_bytes(pickle.dumps(exp))
    exp.stop()
    (tmp_path / ".tracelet").rename(tmp_path / "elsewhere")
    with pytest.raises(RunNotFoundError, match=r"default/r holds no run"):
        pickle.loads((tmp_path / "exp.pickle").read_bytes())


def test_what_a_child_starts_with_goes_to_the_run(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    run_script(
        tmp_path,
        """
        import tracelet
        exp = tracelet.start_logging(params={"workers": 4}, tags={"role": "child"})
        assert exp.run_id == "r"
        """,
    )
    assert exp.stop().complete
    run = tracelet.load_run(exp.dir)
    assert (dict(run.params), dict(run.tags)) == ({"workers": 4}, {"role": "child"})


def test_a_killed_child_loses_nothing_and_does_not_end_the_run(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r", courier="process")
    child = Script(
        tmp_path,
        """
        import os, signal, tracelet
        exp = tracelet.start_logging()
        for iteration in range(10_000):
            exp.log_metric("child", 0.5, iteration)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert child.wait() == -signal.SIGKILL
    assert tracelet.load_run(exp.dir).status == "running"
    assert exp.stop().complete
    assert journaled_points(exp.dir, "child") == list(range(10_000))
    assert len(local_lines(exp.dir)) == 10_000


# ------------------------------------------------------------------------------------------ ranks


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"])
def test_a_rank_above_0_checks_its_arguments_and_writes_nothing(
    tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    exp = tracelet.start_logging("rank", params={"lr": 0.1}, tags={"a": "b"})
    exp.log_metric("loss", 0.5)
    with pytest.raises(TypeError, match="loss"):
        exp.log_metric("loss", "bad")
    with pytest.raises(FileNotFoundError):
        exp.log_artifact("missing.txt")
    with pytest.raises(ValueError, match=r"\.\."):
        exp.log_artifact(__file__, "../x")
    exp.log_params(a=1)
    assert exp.params["a"] == 1
    assert exp.flush()
    assert exp.dir is None
    assert exp.params["lr"] == 0.1
    assert exp.stop().complete
    with pytest.raises(TypeError):
        tracelet.start_logging(params=3)
    assert not list(tmp_path.iterdir())
    assert "TRACELET_RUN_DIR" not in os.environ


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"backend": "no-such-tracker"}, LookupError),
        ({"backend": "local", "backends": {"local": {"no": "option"}}}, ValueError),
        ({"resume": 3}, TypeError),
        ({"run_id": "a/b"}, ValueError),
    ],
)
def test_a_rank_above_0_refuses_what_rank_0_refuses(
    tmp_path: Path, given: dict[str, Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    first = tracelet.start_logging(run_id="r")
    with pytest.raises(error):
        tracelet.start_logging(**given)
    assert first.is_running
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(error):
        tracelet.start_logging(**given)


def test_a_rank_above_0_minds_no_run_that_rank_0_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tracelet.start_logging(run_id="r"):
        pass
    monkeypatch.setenv("RANK", "1")
    with tracelet.start_logging(run_id="r") as exp:
        assert exp.dir is None


@pytest.mark.parametrize("rank", ["0", ""])
def test_rank_0_logs(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    with tracelet.start_logging() as exp:
        exp.log_metric("loss", 0.5)
    assert tracelet.load_run(exp.dir).report.complete


def test_every_rank_logs_if_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    with tracelet.start_logging(ranks="all") as exp:
        exp.log_metric("loss", 0.5)
    assert tracelet.load_run(exp.dir).report.complete


def test_logging_that_is_switched_off_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACELET_DISABLED", "1")
    with tracelet.start_logging(backend="local", params={"lr": 0.1}) as exp:
        exp.log_metric("loss", 0.5)
        with pytest.raises(TypeError):
            exp.log_metric("loss", None)
    assert not list(tmp_path.iterdir())


def test_a_run_is_seen_as_ended_by_whoever_waited_for_its_courier(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        'import tracelet\nexp = tracelet.start_logging(run_id="r", courier="process")\n'
        "exp.log_metric('loss', 1, 0)\nexp.stop(wait=False)\n",
    )
    script.succeed()
    run_dir = tmp_path / ".tracelet/default/r"
    assert eventually(lambda: ended_view(run_dir))["status"] == "finished"


def test_a_sweep_in_a_child_process_names_a_mistake_before_anything_is_begun(
    tmp_path: Path,
) -> None:
    (tmp_path / "child.py").write_text(
        "import tracelet\n"
        "def train(i): pass\n"
        "if __name__ == '__main__':\n"
        "    tracelet.Sweep(configs=[{'i': 0}]).run(train, backend='nope')\n"
    )
    script = Script(
        tmp_path,
        """
        import subprocess, sys, tracelet
        with tracelet.start_logging("parent", run_id="parent"):
            done = subprocess.run([sys.executable, "child.py"], capture_output=True, text=True)
        print(done.stderr)
        """,
    )
    assert script.wait() == 0, script.output
    assert "UnknownBackendError" in script.output
    assert [path.name for path in (tmp_path / ".tracelet/default").iterdir()] == ["parent"]


def test_a_stopped_run_that_is_started_again_in_a_rank_above_0_is_still_that_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tracelet.start_logging(run_id="r") as exp:
        pass
    again = pickle.loads(pickle.dumps(exp))
    monkeypatch.setenv("RANK", "1")
    again.start()
    assert again.run_id == "r"
    again.stop()
    monkeypatch.delenv("RANK")
    with again:
        assert (again.run_id, again.dir) == ("r", exp.dir)
