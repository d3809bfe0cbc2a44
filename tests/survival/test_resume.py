"""One run after another, two at once, and a run that goes on in another process."""

from __future__ import annotations

import contextlib
import shutil
import signal
import warnings
from pathlib import Path
from typing import Any

import backends_for_tests as bad
import msgspec
import pytest
from backends_for_tests import stored, stored_points, target
from user_scripts import Script, ended_view, journaled_points, local_points, run_script, view
from waiting import eventually

import tracelet
from tracelet.courier.cursor import CursorFile
from tracelet.errors import (
    InvalidValueError,
    NotRunningError,
    RunBusyError,
    RunNotFoundError,
    TraceletWarning,
)

ENDINGS = {
    "stop": ("exp.stop()", 0, "finished"),
    "end": ("", 0, "finished"),
    "exception": ("raise ValueError", 1, "failed"),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, "killed"),
}


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_goes_on_in_another_process_without_duplicates(
    tmp_path: Path, ending: str, courier: str
) -> None:
    statement, code, status = ENDINGS[ending]
    script = Script(
        tmp_path,
        "import tracelet\n"
        f"exp = tracelet.start_logging('net', run_id='r', courier={courier!r},"
        " params={'lr': 1})\n"
        "for _ in range(1000):\n"
        "    exp.log_metric('loss', 0.5)\n"
        f"exp.log('first')\n{statement}\n",
    )
    assert script.wait() == code, script.output
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: tracelet.load_run(run_dir).status == status)

    exp = tracelet.start_logging("net", resume="r", courier=courier)
    assert (exp.run_id, exp.dir, exp.status) == ("r", run_dir, "running")
    assert exp.params["lr"] == 1
    assert tracelet.load_run(run_dir).status == "running"
    for _ in range(1000):
        exp.log_metric("loss", 0.5)  # the counter goes on, too
    exp.log("second")
    report = exp.stop()
    assert report.complete
    assert report["local"].accepted == 2003
    assert local_points(run_dir) == journaled_points(run_dir) == list(range(2000))
    assert [line.text for line in tracelet.load_run(run_dir).texts] == ["first", "second"]
    assert len((run_dir / "log.txt").read_text().splitlines()) == 2
    assert tracelet.load_run(run_dir).status == view(run_dir)["status"] == "finished"


def test_the_latest_run_of_a_name_is_resumed(tmp_path: Path) -> None:
    names = [("net", "net-1"), ("net", "net-2"), ("other", "other-1"), ("net", "net-3")]
    for name, run_id in names:
        exp = tracelet.start_logging(name, run_id=run_id)
        exp.log_metric("loss", 0.5)
        exp.stop("finished" if run_id == "net-3" else "killed")
    with tracelet.start_logging("net", resume=True) as exp:
        assert exp.run_id == "net-2"
        exp.log_metric("loss", 0.5)
    assert [point.iteration for point in tracelet.load_run("net-2").metrics["loss"]] == [0, 1]


def test_a_run_that_was_killed_a_moment_ago_is_the_latest(tmp_path: Path) -> None:
    lines = (
        "import os, tracelet\ntracelet.start_logging('net', run_id='r')\nos.kill(os.getpid(), 9)\n"
    )
    assert Script(tmp_path, lines).wait() == -9
    with tracelet.start_logging("net", resume=True, dir=tmp_path / ".tracelet") as exp:
        assert exp.run_id == "r"


def test_a_finished_run_goes_on_only_under_its_id(caplog: pytest.LogCaptureFixture) -> None:
    with tracelet.start_logging("net", run_id="net-1"):
        pass
    with tracelet.start_logging("net", resume=True) as exp:
        assert exp.run_id != "net-1"
    (line,) = caplog.messages
    assert line == (
        "every run called 'net' has finished, so a new one begins; "
        "resume='net-1' goes on with the latest of them"
    )
    with tracelet.start_logging("net", resume="net-1") as exp:
        assert exp.run_id == "net-1"


def test_resuming_the_latest_begins_a_run_if_there_is_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tracelet.start_logging("net", resume=True) as exp:
        exp.log_metric("loss", 0.5)
    assert tracelet.load_run(exp.dir).status == "finished"
    (line,) = caplog.messages
    assert line.startswith("there is no run called 'net' to resume in ")


def test_an_id_that_is_resumed_is_that_run_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    for run_id in ("job-1", "job-2"):  # a requeued job of an array, and one that begins
        exp = tracelet.start_logging("net", run_id=run_id, resume=True)
        assert (exp.run_id, exp.params) == (run_id, {})
        exp.log_params(job=run_id)
        exp.stop("killed")
    with tracelet.start_logging("net", run_id="job-1", resume=True) as exp:
        assert (exp.run_id, exp.params) == ("job-1", {"job": "job-1"})
    with tracelet.start_logging("net", run_id="job-1", resume=True) as exp:
        assert exp.run_id == "job-1"  # finished or not: it was asked for by its id
    assert not caplog.messages


def test_there_is_no_such_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError, match="missing"):
        tracelet.start_logging(resume="missing")
    assert not (tmp_path / ".tracelet").exists()
    with tracelet.start_logging(project="family", run_id="net-1"):
        pass
    for run_id in ("net-1", "net-2"):
        with pytest.raises(RunNotFoundError, match="mean 'net-1' of the project 'family'"):
            tracelet.start_logging(resume=run_id)


def test_a_run_that_was_deleted_does_not_go_on() -> None:
    with tracelet.start_logging(run_id="r") as exp:
        pass
    shutil.rmtree(exp.dir)
    with pytest.raises(RunNotFoundError, match=r"there is no run 'r' in .*/default$"):
        exp.start()


@pytest.mark.parametrize("resume", ["", ".", "../family/r", "a\0b"])
def test_what_is_no_run_id_is_not_resumed(tmp_path: Path, resume: str) -> None:
    with tracelet.start_logging("net", "family", run_id="r"):
        pass
    with pytest.raises(InvalidValueError, match="resume is a run id, or True for the latest run"):
        tracelet.start_logging(resume=resume)
    assert [path.name for path in (tmp_path / ".tracelet").iterdir()] == ["family"]


def test_one_run_is_resumed_or_another_begun_and_not_both() -> None:
    with tracelet.start_logging(run_id="r"):
        pass
    with pytest.raises(InvalidValueError, match=r"resume='r' goes on .* run_id='other' begins one"):
        tracelet.start_logging(resume="r", run_id="other")
    with tracelet.start_logging(resume="r", run_id="r") as exp:
        assert exp.run_id == "r"


@pytest.mark.parametrize("run_id", ["", " ", "..", "a/b", "a\nb", "x" * 300])
def test_a_run_id_that_is_no_name_of_a_directory_is_refused_with_one_that_is(
    tmp_path: Path, run_id: str
) -> None:
    with pytest.raises(InvalidValueError, match=r"run_id is the name of a directory, such as '.+'"):
        tracelet.start_logging(run_id=run_id)
    assert not list(tmp_path.iterdir())


def test_a_run_id_that_is_taken_is_refused(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r") as exp:
        exp.log_metric("loss", 0.5)
    with pytest.raises(InvalidValueError, match="resume='r'"):
        tracelet.start_logging(run_id="r")
    assert tracelet.load_run(exp.dir).status == "finished"


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_a_living_run_is_not_resumed(tmp_path: Path, courier: str) -> None:
    script = Script(
        tmp_path,
        """
        import pathlib, sys, time, tracelet
        exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
        exp.log_metric("loss", 0.5, 0)
        pathlib.Path("ready").touch()
        while not pathlib.Path("stop").exists():
            time.sleep(0.01)
        assert exp.stop().complete
        """,
        courier,
    )
    eventually((tmp_path / "ready").exists)
    with pytest.raises(RunBusyError, match=f"r is still running: process {script.pid} of host"):
        tracelet.start_logging(resume="r")
    assert tracelet.get_active_experiment() is None
    (tmp_path / "stop").touch()
    script.succeed()
    with tracelet.start_logging(resume="r") as exp:
        exp.log_metric("loss", 0.5, 1)
    assert local_points(tmp_path / ".tracelet/default/r") == [0, 1]


def test_an_experiment_that_was_stopped_starts_again(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    exp.log_metric("loss", 0.5)
    exp.stop("failed")
    with pytest.raises(NotRunningError):
        exp.log_metric("loss", 0.5)
    exp.start()
    exp.log_metric("loss", 0.5)
    assert exp.stop().complete
    assert local_points(exp.dir) == [0, 1]
    assert tracelet.load_run(exp.dir).status == "finished"


def test_a_resumed_run_opens_its_backends_again_and_closes_them(tmp_path: Path) -> None:
    options = {"recorder": {"store": str(tmp_path)}}
    for first in (0, 100):
        with tracelet.start_logging(
            "net", backend=target(bad.Recorder), backends=options, run_id="r", resume=True
        ) as exp:
            for iteration in range(first, first + 100):
                exp.log_metric("loss", 0.5, iteration)
    assert exp.report is not None
    assert exp.report.complete
    assert stored(tmp_path, "recorder", "open") == [False, True]
    assert stored(tmp_path, "recorder", "close") == ["finished", "finished"]
    assert stored_points(tmp_path, "recorder") == list(range(200))


def test_a_run_that_is_resumed_while_its_courier_still_delivers(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    backend = target(bad.Held)
    options = {"held": {"store": str(tmp_path), "gate": str(gate)}}
    exp = tracelet.start_logging(run_id="r", backend=backend, backends=options)
    exp.log_metric("loss", 0.5, 0)
    exp.stop(wait=False)
    exp = tracelet.start_logging(resume="r", backend=backend, backends=options)
    exp.log_metric("loss", 0.5, 1)
    gate.touch()
    assert exp.stop().complete
    assert stored_points(tmp_path, "held") == [0, 1]
    assert stored(tmp_path, "held", "close")[-1] == "finished"


def test_a_backend_that_was_done_first_gets_what_a_resumed_run_logs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    backends = ["local", target(bad.Held)]
    options = {"held": {"store": str(tmp_path), "gate": str(gate)}}
    exp = tracelet.start_logging(run_id="r", backend=backends, backends=options)
    exp.log_metric("loss", 0.5, 0)
    exp.stop(wait=False)
    eventually(lambda: CursorFile(exp.dir / "cursors", "local").load().closed == "finished")
    exp = tracelet.start_logging(resume="r", backend=backends, backends=options)
    exp.log_metric("loss", 0.5, 1)
    exp.stop(wait=False)
    gate.touch()
    assert eventually(lambda: ended_view(exp.dir))["report"]["backends"]["local"]["delivered"] == 2
    assert local_points(exp.dir) == stored_points(tmp_path, "held") == [0, 1]


def test_a_run_goes_on_without_a_backend_that_still_delivers(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    options = {"held": {"store": str(tmp_path), "gate": str(gate)}}
    exp = tracelet.start_logging(run_id="r", backend=target(bad.Held), backends=options)
    exp.log_metric("loss", 0.5, 0)
    exp.stop(wait=False)
    eventually((tmp_path / "held.called").exists)
    exp = tracelet.start_logging(resume="r", courier="process")
    exp.log_metric("loss", 0.5, 1)
    gate.touch()
    assert exp.stop().complete
    assert stored_points(tmp_path, "held") == [0, 1]
    assert local_points(exp.dir) == [0, 1]


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_what_a_backend_lacks_that_is_left_out_when_a_run_goes_on_is_reported_and_synced(
    tmp_path: Path, courier: str
) -> None:
    gate = tmp_path / "gate"
    options = {"down": {"store": str(tmp_path), "gate": str(gate)}}
    exp = tracelet.start_logging(
        run_id="r", backend=["local", target(bad.Down)], backends=options, courier="thread"
    )
    exp.log_metric("loss", 0.5, 0)
    exp.stop(timeout=0)

    exp = tracelet.start_logging(resume="r", courier=courier, strict=True)
    exp.log_metric("loss", 0.5, 1)
    assert exp.flush(60)
    assert exp.backend("down") is None
    report = exp.stop()
    assert report["local"].complete
    assert (report["down"].pending, report["down"].accepted) == (2, 2)
    assert not report.complete
    assert tracelet.load_run("r").report["down"].pending == 2
    assert stored_points(tmp_path, "down") == []

    gate.touch()
    run_script(
        tmp_path,
        "import sys\nfrom tracelet.__main__ import main\nsys.argv[1:] = ['sync']\nsys.exit(main())",
    )
    assert stored_points(tmp_path, "down") == [0, 1]
    assert tracelet.load_run("r").report.complete


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_a_clock_that_is_set_back_makes_no_run_endless_and_ends_none_too_early(
    tmp_path: Path, courier: str
) -> None:
    script = Script(
        tmp_path,
        """
        import os, signal, sys, time
        real = time.time
        time.time = lambda: real() + 3600  # until now
        import tracelet
        exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
        exp.log_metric("loss", 0.5, 0)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        courier,
    )
    assert script.wait() == -signal.SIGKILL, script.output
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: tracelet.load_run(run_dir).status == "killed")
    exp = tracelet.start_logging(resume="r", courier=courier)
    exp.log_metric("loss", 0.5, 1)
    assert tracelet.load_run(run_dir).status == "running"
    assert exp.stop().complete
    assert tracelet.load_run(run_dir).status == "finished"
    assert local_points(run_dir) == [0, 1]


def test_a_run_that_goes_on_keeps_its_name_and_says_so() -> None:
    with tracelet.start_logging("old", run_id="r"):
        pass
    with pytest.warns(TraceletWarning, match="r goes on under its name 'old': exp_name= is not"):
        exp = tracelet.start_logging("new", resume="r")
    exp.stop()
    assert tracelet.load_run("r").name == "old"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracelet.start_logging("old", resume="r").stop()
        tracelet.start_logging(resume="r").stop()
        exp = tracelet.Experiment("old", run_id="again").start()
        exp.stop()
        exp.start()


@pytest.mark.parametrize("by", ["start", "resume"])
def test_the_current_iteration_is_not_that_of_before_however_a_run_goes_on(by: str) -> None:
    exp = tracelet.start_logging(run_id="r")
    exp.set_iteration(7)
    exp.log_metric("loss", 0.5)
    exp.stop()
    exp = exp.start() if by == "start" else tracelet.start_logging(resume="r")
    assert exp.iteration is None
    exp.log_metric("loss", 0.5)
    exp.log_metric("new", 0.5)
    metrics = tracelet.load_run("r").metrics
    assert [point.iteration for point in metrics["loss"]] == [7, 8]
    assert [point.iteration for point in metrics["new"]] == [0]


# --------------------------------------------------------------------------------------- journals


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_the_journal_can_be_on_another_disk(tmp_path: Path, courier: str) -> None:
    fast = tmp_path / "fast"
    with tracelet.start_logging(run_id="r", journal_dir=fast, courier=courier) as exp:
        exp.log_metric("loss", 0.5, 0)
        exp.flush(60)
        assert list(fast.rglob("*.jsonl"))
    assert not (exp.dir / "journal").exists()
    with tracelet.start_logging(resume="r", courier=courier) as exp:  # without saying it again
        exp.log_metric("loss", 0.5, 1)
    run = tracelet.load_run(exp.dir)
    assert [point.iteration for point in run.metrics["loss"]] == [0, 1]
    assert local_points(exp.dir) == [0, 1]


def test_a_finished_run_is_read(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r", params={"lr": 0.1}) as exp:
        for iteration in range(1000):
            exp.log_metric("loss", 0.5, iteration)
    run = tracelet.load_run(exp.dir)
    assert run.params["lr"] == 0.1
    assert [point.iteration for point in run.metrics["loss"]] == list(range(1000))
    assert run.report["local"].accepted == 1001


def test_a_damaged_line_is_skipped_and_counted(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    exp.log_metric("loss", 0.5, 0)
    (segment,) = (exp.dir / "journal").glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b'["metric",1,"lo\n{"neither": "one"}\n')
    exp.log_metric("loss", 0.5, 1)
    report = exp.stop()
    assert (report.skipped, report["local"].delivered) == (2, 2)
    assert tracelet.load_run(exp.dir).report.skipped == 2
    assert local_points(exp.dir) == [0, 1]


def test_what_only_the_training_can_count_stays_in_the_report(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import tracelet
        exp = tracelet.start_logging(run_id="r", courier="process")
        exp.log_params(password="secret", token="secret")
        """,
    )
    script.succeed()
    run_dir = tmp_path / ".tracelet/default/r"
    ended = eventually(lambda: ended_view(run_dir))
    assert ended["report"]["redacted"] == 2
    assert msgspec.json.encode(ended).count(b"secret") == 0


def test_a_start_that_fails_after_all_checks_leaves_nothing(tmp_path: Path) -> None:
    class Local(tracelet.Backend):
        name = "inner"

        def open(self, run: Any) -> Any: ...
        def log_params(self, params: Any) -> None: ...
        def log_metrics(self, batch: Any) -> None: ...
        def log_artifact(self, artifact: Any) -> None: ...
        def close(self, status: Any) -> None: ...

    # That threads deliver the run is a warning, and warnings are errors here.
    with pytest.raises(TraceletWarning, match="delivered by threads") as raised:
        tracelet.start_logging(backend=Local(), run_id="r")
    assert raised.value.__traceback__ is not None
    assert not list((tmp_path / ".tracelet/default").iterdir())
    # Nor a descriptor: the error, and all that it refers to, may be kept for long.
    assert not [link for link in Path("/proc/self/fd").iterdir() if "/r/journal/" in _target(link)]
    with tracelet.start_logging(run_id="r") as exp:
        assert exp.run_id == "r"


def _target(link: Path) -> str:
    with contextlib.suppress(OSError):  # that of the directory that is looked through
        return str(link.readlink())
    return ""
