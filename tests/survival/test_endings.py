"""However a training process ends, nothing that was logged is lost, and the run says how."""

from __future__ import annotations

import asyncio
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from user_scripts import (
    Script,
    ended_view,
    journaled_points,
    local_count,
    local_points,
    run_script,
    view,
)
from waiting import eventually

import tracelet

POINTS = 100_000

TRAINING = """
import os, signal, sys, tracelet

exp = tracelet.start_logging("survivor", run_id="r", courier=sys.argv[1])
for iteration in range({points}):
    exp.log_metric("loss", iteration * 0.5, iteration=iteration)
"""

ENDINGS = {
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "killed"),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", -signal.SIGTERM, "killed"),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); signal.pause()", -signal.SIGINT, "killed"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", -signal.SIGINT, "killed"),
    "exception": ("raise RuntimeError('diverged')", 1, "failed"),
    "sys.exit(3)": ("sys.exit(3)", 3, "failed"),
    "SystemExit(3)": ("raise SystemExit(3)", 3, "failed"),
    "sys.exit(text)": ("sys.exit('no data')", 1, "failed"),
    "sys.exit(0)": ("sys.exit(0)", 0, "finished"),
    "os._exit(0)": ("os._exit(0)", 0, "killed"),
    "os._exit(3)": ("os._exit(3)", 3, "killed"),
    "abort": ("os.abort()", -signal.SIGABRT, "killed"),
    "end": ("", 0, "finished"),
}


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_lost_and_the_status_is_true(tmp_path: Path, ending: str, courier: str) -> None:
    statement, code, status = ENDINGS[ending]
    script = Script(tmp_path, TRAINING.format(points=POINTS) + statement, courier)
    assert script.wait() == code, script.output
    run_dir = tmp_path / ".tracelet/default/r"

    assert journaled_points(run_dir) == list(range(POINTS))
    if courier == "process":
        # Nobody asks: the courier does it.
        eventually(lambda: ended_view(run_dir))
    else:
        run = tracelet.load_run(run_dir)
        assert run.status == status
        assert [point.iteration for point in run.metrics["loss"]] == list(range(POINTS))
    assert local_points(run_dir) == list(range(POINTS))
    assert view(run_dir)["status"] == status
    report = view(run_dir)["report"]["backends"]["local"]
    assert (report["accepted"], report["delivered"], report["pending"]) == (POINTS, POINTS, 0)


SHAPES = {
    "with": """
import sys, tracelet
with tracelet.start_logging(run_id="r") as exp:
    exp.log_metric("loss", 0.5, 0)
    {body}
""",
    "finally": """
import sys, tracelet
exp = tracelet.start_logging(run_id="r")
try:
    exp.log_metric("loss", 0.5, 0)
    {body}
finally:
    tracelet.stop_logging()
""",
}


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ("raise ValueError('bad')", 1, "failed"),
        ("raise type('PanicException', (BaseException,), dict())", 1, "failed"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "killed"),
        ("sys.exit(3)", 3, "failed"),
        ("sys.exit(0)", 0, "finished"),
        ("sys.exit(143)", 143, "killed"),
        ("sys.exit(['no', 'data'])", 1, "failed"),
        ("pass", 0, "finished"),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_leaves_a_block_decides_the_status(
    tmp_path: Path, shape: str, body: str, code: int, status: str
) -> None:
    script = Script(tmp_path, SHAPES[shape].format(body=body))
    assert script.wait() == code, script.output
    run_dir = tmp_path / ".tracelet/default/r"
    assert view(run_dir)["status"] == status
    assert local_points(run_dir) == [0]


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("raise ValueError('bad')", "failed"),
        ("raise KeyboardInterrupt", "killed"),
        ("sys.exit(3)", "failed"),
        ("pass", "finished"),
    ],
)
def test_a_stop_that_is_called_at_exit_tells_how_the_program_has_ended(
    tmp_path: Path, body: str, status: str, courier: str
) -> None:
    text = f"""
import atexit, sys, tracelet
exp = tracelet.start_logging(run_id="r", courier="{courier}")
exp.log_metric("loss", 0.5, 0)
atexit.register(lambda: print(exp.stop()["local"].delivered, exp.is_running))
{body}
"""
    script = Script(tmp_path, text)
    script.wait()
    assert script.output.endswith("1 False\n")
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: tracelet.load_run(run_dir).status != "running")
    assert tracelet.load_run(run_dir).status == status
    assert local_points(run_dir) == [0]


def test_a_thread_that_outlives_the_main_thread_stops_its_run_as_any_other(tmp_path: Path) -> None:
    text = """
import threading, tracelet

def train():
    threading.main_thread().join()
    exp = tracelet.start_logging(run_id="r")
    try:
        raise ValueError("bad")
    except ValueError:
        print(exp.stop().complete, exp.status)

threading.Thread(target=train).start()
"""
    assert run_script(tmp_path, text).endswith("True failed\n")
    assert view(tmp_path / ".tracelet/default/r")["reason"] == "ValueError: bad"


def test_a_generator_that_is_left_before_its_end_is_no_finished_run() -> None:
    def train() -> Iterator[float]:
        with tracelet.start_logging(run_id="r"):
            yield 0.5
            yield 0.4

    training = train()
    next(training)
    training.close()
    assert (tracelet.load_run("r").status, tracelet.load_run("r").reason) == (
        "killed",
        "GeneratorExit",
    )


def test_a_task_that_is_cancelled_is_a_run_that_was_killed() -> None:
    async def train() -> None:
        with tracelet.start_logging(run_id="r"):
            await asyncio.Event().wait()

    async def give_up() -> None:
        async with asyncio.timeout(0):
            await train()

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    run = tracelet.load_run("r")
    assert (run.status, run.reason) == ("killed", "CancelledError")


def test_the_end_of_an_iterator_fails_a_block_but_not_a_run_that_is_stopped_at_it() -> None:
    with pytest.raises(StopIteration), tracelet.start_logging(run_id="left"):
        next(iter(()))
    assert tracelet.load_run("left").status == "failed"
    exp = tracelet.start_logging(run_id="stopped")
    try:
        next(iter(()))
    except StopIteration:
        exp.stop()
    assert tracelet.load_run("stopped").status == "finished"


def test_a_second_try_does_not_fail_for_what_the_first_failed_for() -> None:
    def train(batch: int) -> None:
        exp = tracelet.start_logging(run_id=f"batch{batch}")
        try:
            exp.log_metric("loss", 1.0 / max(0, 64 - batch))
        finally:
            tracelet.stop_logging()

    try:
        train(128)
    except ZeroDivisionError as error:
        with pytest.raises(ZeroDivisionError):
            train(64)  # for an error of its own
        train(32)
        pickle.dumps(error)  # as a pool gives it to who waits
    statuses = {run.run_id: run.status for run in tracelet.runs()}
    assert statuses == {"batch128": "failed", "batch64": "failed", "batch32": "finished"}


REASONS = {
    'ValueError("the loss is NaN")': "ValueError: the loss is NaN",
    'ValueError("at https://u:hunter2@h")': "ValueError: at https://u:[redacted]@h",
    'SystemExit("password=hunter2")': "exit: password=[redacted]",
    r'ValueError("no file \udcff")': r"ValueError: no file \udcff",
    "Mute()": "Mute: <str() of a Mute failed>",
}
MUTE = """
import tracelet

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("nothing to say")
"""


def test_the_reason_of_a_failure_is_kept_without_secrets(tmp_path: Path) -> None:
    text = MUTE
    for number, error in enumerate(REASONS):
        text += f"""
try:
    with tracelet.start_logging(run_id="with-{number}"):
        raise {error}
except (Mute, SystemExit, ValueError):
    pass
exp = tracelet.start_logging(run_id="stop-{number}")
try:
    raise {error}
except (Mute, SystemExit, ValueError):
    exp.stop()
"""
    script = Script(tmp_path, text + "print('over')")
    assert script.wait() == 0, script.output
    for number, reason in enumerate(REASONS.values()):
        for run_id in (f"with-{number}", f"stop-{number}"):
            ended = view(tmp_path / ".tracelet/default" / run_id)
            assert (ended["status"], ended["reason"]) == ("failed", reason)


def test_the_reason_of_an_exception_that_nobody_catches_is_kept(tmp_path: Path) -> None:
    error = r'ValueError("password=hunter2 \udcff")'
    script = Script(tmp_path, f"{MUTE}tracelet.start_logging(run_id='r')\nraise {error}")
    assert script.wait() == 1
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: ended_view(run_dir))
    assert view(run_dir)["reason"] == r"ValueError: password=[redacted] \udcff"


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_an_exception_that_was_handled_does_not_fail_the_run(tmp_path: Path, courier: str) -> None:
    script = Script(
        tmp_path,
        """
        import sys, threading, tracelet
        exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
        try:
            raise ValueError("handled")
        except ValueError:
            exp.log_metric("loss", 0.5, 0)
        failing = threading.Thread(target=lambda: 1 / 0)
        failing.start()
        failing.join()
        """,
        courier,
    )
    assert script.wait() == 0, script.output
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: tracelet.load_run(run_dir).status != "running")
    assert tracelet.load_run(run_dir).status == "finished"


def test_sigterm_that_the_script_turns_into_an_exit_is_what_its_exit_code_says(
    tmp_path: Path,
) -> None:
    script = Script(
        tmp_path,
        """
        import os, signal, sys, tracelet
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        exp = tracelet.start_logging(run_id="r")
        exp.log_metric("loss", 0.5, 0)
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        """,
    )
    assert script.wait() == 143, script.output
    assert tracelet.load_run(tmp_path / ".tracelet/default/r").status == "killed"


def test_ctrl_c_is_the_end_of_an_asyncio_program_too(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import asyncio, os, signal, tracelet

        async def train():
            with tracelet.start_logging(run_id="r") as exp:
                exp.log_metric("loss", 0.5, 0)
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(60)

        asyncio.run(train())
        """,
    )
    assert script.wait() == -signal.SIGINT, script.output
    assert view(tmp_path / ".tracelet/default/r")["status"] == "killed"


def test_an_exit_code_of_an_earlier_process_with_the_same_id_is_forgotten(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r") as exp:
        exp.log_metric("loss", 0.5, 0)
    script = Script(
        tmp_path,
        """
        import os, pathlib, signal, tracelet
        old = pathlib.Path(".tracelet/default/r/exit", str(os.getpid()))
        old.parent.mkdir(exist_ok=True)
        old.write_bytes(bytes([0]))  # in a container every process has the same id
        exp = tracelet.start_logging(resume="r")
        exp.log_metric("loss", 0.5, 1)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert script.wait() == -signal.SIGKILL, script.output
    assert tracelet.load_run(exp.dir).status == "killed"


def test_ctrl_c_while_stop_waits_leaves_the_run_to_whoever_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp = tracelet.start_logging(run_id="r", courier="thread")
    exp.log_metric("loss", 0.5, 0)
    with monkeypatch.context() as patch:
        patch.setattr("tracelet.core.report_output.wait", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            exp.stop()
    assert exp.report is not None
    assert tracelet.load_run(exp.dir).status == "finished"
    with tracelet.start_logging(resume="r") as again:
        again.log_metric("loss", 0.5, 1)
    assert local_points(exp.dir) == [0, 1]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["sys.stderr = None", "sys.stderr.close()", "os.close(2)"])
def test_nobody_has_to_be_there_to_read_the_report(tmp_path: Path, how: str) -> None:
    run_script(
        tmp_path,
        f"""
        import os, pathlib, sys, tracelet
        exp = tracelet.start_logging()
        exp.log_metric("loss", 0.5, 0)
        {how}
        assert exp.stop().complete
        pathlib.Path("ready").touch()
        os._exit(0)
        """,
    )
    assert (tmp_path / "ready").exists()


def test_the_handlers_of_the_script_are_left_alone(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import signal, sys, threading, tracelet
        before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)]
        hooks = (sys.excepthook, threading.excepthook, sys.exit, sys.unraisablehook)
        with tracelet.start_logging(courier="process") as exp:
            exp.log_metric("loss", 0.5)
            during = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)]
            assert during == before
            assert hooks == (sys.excepthook, threading.excepthook, sys.exit, sys.unraisablehook)
        """,
    )
    script.succeed()


def test_a_run_that_is_being_logged_is_read_as_running(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import pathlib, signal, tracelet
        exp = tracelet.start_logging(run_id="r", courier="process", params={"lr": 0.1})
        for iteration in range(100):
            exp.log_metric("loss", 0.5, iteration)
        exp.flush(60)
        pathlib.Path("ready").touch()
        signal.pause()
        """,
    )
    eventually((tmp_path / "ready").exists)
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    assert run.status == "running"
    assert run.params["lr"] == 0.1
    assert [point.iteration for point in run.metrics["loss"]] == list(range(100))
    assert [found.run_id for found in tracelet.runs()] == ["r"]
    assert local_count(run.dir) == 100
    script.signal(signal.SIGKILL)
    script.wait()
    assert eventually(lambda: ended_view(run.dir))["status"] == "killed"


def test_a_run_that_cannot_be_ended_at_exit_does_not_keep_the_others_from_it(
    tmp_path: Path,
) -> None:
    script = Script(
        tmp_path,
        """
        import tracelet
        from tracelet.core import exit as exit_hooks

        for name in ("one", "two"):
            tracelet.Experiment(name, run_id=name).start()

        def fail(timeout):
            raise OSError("the disk has a bad sector")

        next(iter(exit_hooks._running))._delivery.flush = fail
        """,
    )
    assert script.wait() == 0, script.output
    assert "bad sector" in script.output
    statuses = [
        tracelet.load_run(tmp_path / ".tracelet/default" / n).status for n in ("one", "two")
    ]
    assert sorted(statuses) == ["finished", "killed"]
