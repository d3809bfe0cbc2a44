"""Several runs of one process: which is the active one, and which start ends which run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from user_scripts import local_points, run_script
from waiting import eventually

import tracelet
from tracelet.errors import DeliveryError, NotRunningError, TraceletError


def in_a_thread(call: Callable[[], Any]) -> Any:
    """Return what a call returns in a thread that is over then."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_a_second_start_stops_the_first(tmp_path: Path) -> None:
    first = tracelet.start_logging("first")
    first.log_metric("loss", 0.5)
    second = tracelet.start_logging("second")
    assert (first.status, first.is_running) == ("finished", False)
    with pytest.raises(NotRunningError, match="first"):
        first.log_metric("loss", 0.5)
    assert tracelet.get_active_experiment() is second
    second.log_metric("loss", 0.5)
    tracelet.stop_logging()
    assert tracelet.get_active_experiment() is None
    assert [run.name for run in tracelet.runs()] == ["second", "first"]
    assert all(run.status == "finished" and run.report.complete for run in tracelet.runs())


def test_a_second_start_that_is_refused_leaves_the_first_alone() -> None:
    first = tracelet.start_logging("first")
    with pytest.raises(LookupError):
        tracelet.start_logging("second", backend="no-such-backend")
    with pytest.raises(ValueError, match="projekt"):
        tracelet.start_logging("second", projekt="typo")
    assert tracelet.get_active_experiment() is first
    first.log_metric("loss", 0.5)


def test_two_experiments_at_once(tmp_path: Path) -> None:
    from tracelet import Experiment

    one = Experiment("one").start()
    two = Experiment("two", courier="process").start()
    for iteration in range(100):
        one.log_metric("loss", 1.0, iteration)
        two.log_metric("loss", 2.0, iteration)
    assert tracelet.get_active_experiment() is two
    assert two.stop().complete
    assert tracelet.get_active_experiment() is one
    one.log_metric("loss", 1.0, 100)
    assert one.stop().complete
    assert local_points(one.dir) == list(range(101))
    assert {point.value for point in tracelet.load_run(one.dir).metrics["loss"]} == {1.0}
    assert {point.value for point in tracelet.load_run(two.dir).metrics["loss"]} == {2.0}


def test_runs_that_nobody_stopped_all_end_with_the_process(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        from tracelet import Experiment
        runs = [Experiment(run_id=f"r{n}", courier=("thread", "process")[n % 2]) for n in range(4)]
        for run in runs:
            run.start()
        for iteration in range(100):
            for run in runs:
                run.log_metric("loss", 0.5, iteration)
        """,
    )
    for number in range(4):
        run_dir = tmp_path / f".tracelet/default/r{number}"
        eventually(lambda run_dir=run_dir: tracelet.load_run(run_dir).status != "running")
        assert tracelet.load_run(run_dir).status == "finished"
        eventually(lambda run_dir=run_dir: tracelet.load_run(run_dir).report.complete)
        assert local_points(run_dir) == list(range(100))


# ------------------------------------------------------------------------------ a refused second

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a directory that cannot be made": ({"dir": "/proc/nope"}, OSError, "/proc/nope"),
    "a file as directory": ({"dir": "file"}, OSError, "file"),
    "a file as project": ({"dir": ".", "project": "file"}, OSError, "file"),
    "a directory with a null": ({"dir": "a\0b"}, ValueError, "a.*b"),
    "a journal that cannot be": ({"journal_dir": "/proc/x"}, OSError, "/proc/x"),
    "an id that is taken": ({"run_id": "first"}, ValueError, "resume='first'"),
    "a run that is busy": ({"resume": "busy"}, RuntimeError, "busy is still running"),
    "two names": ({"name": "second"}, TypeError, "exp_name="),
    "a bad parameter": ({"params": 3}, TypeError, "3"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_start_that_is_refused_leaves_the_run_before_it_alone(what: str, tmp_path: Path) -> None:
    given, builtin, message = REFUSED[what]
    (tmp_path / "file").touch()
    busy = in_a_thread(lambda: tracelet.start_logging(run_id="busy"))
    first = tracelet.Experiment(run_id="first").start()
    with pytest.raises(TraceletError, match=message) as raised:
        tracelet.start_logging("second", **given)
    assert isinstance(raised.value, builtin)
    assert (first.status, busy.status) == ("running", "running")
    assert {path.name for path in (tmp_path / ".tracelet/default").iterdir()} == {"busy", "first"}
    first.log_metric("loss", 0.5)
    assert first.stop().complete
    assert busy.stop().complete


def test_a_run_that_cannot_be_ended_as_it_should_begins_no_other(tmp_path: Path) -> None:
    first = tracelet.start_logging(run_id="first", strict=True, drain_timeout=0)
    (tmp_path / ".tracelet/default/first/metrics.jsonl").mkdir()
    first.log_metric("loss", 0.5)
    with pytest.raises(DeliveryError):
        tracelet.start_logging(run_id="second", journal_dir="journals")
    assert not (tmp_path / ".tracelet/default/second").exists()
    assert not list((tmp_path / "journals").glob("*/*"))
    assert tracelet.get_active_experiment() is None


def test_the_active_run_can_be_resumed_by_a_start_that_ends_it() -> None:
    first = tracelet.start_logging("net", run_id="r")
    first.log_metric("loss", 0.5)
    second = tracelet.start_logging("net", resume="r")
    assert (first.status, second.run_id) == ("finished", "r")
    second.log_metric("loss", 0.5)
    assert second.stop().complete
    assert local_points(second.dir) == [0, 1]


# ------------------------------------------------------------------------------ threads and tasks


def test_a_thread_ends_its_own_run_by_a_second_start_and_no_other(tmp_path: Path) -> None:
    main = tracelet.start_logging("main")
    seen: list[Any] = []

    def evaluate() -> None:
        seen.append(tracelet.get_active_experiment())
        one = tracelet.start_logging("one")
        two = tracelet.start_logging("two")
        seen.extend([one.status, two.status, tracelet.get_active_experiment()])
        seen.append(in_a_thread(tracelet.get_active_experiment))
        seen.append(os.environ["TRACELET_RUN_DIR"])
        two.log_metric("loss", 0.5)
        seen.append(tracelet.stop_logging().complete)
        seen.append(tracelet.get_active_experiment())

    in_a_thread(evaluate)
    found, first, second, mine, others, inherited, complete, after = seen
    assert found is others is after is main
    assert (first, second, mine.name, complete) == ("finished", "running", "two", True)
    assert inherited == str(main.dir)
    assert tracelet.get_active_experiment() is main
    main.log_metric("loss", 0.5)
    assert main.stop().complete
    assert [run.status for run in tracelet.runs()] == ["finished"] * 3


def test_a_run_whose_thread_has_ended_is_ended_by_the_next_start() -> None:
    left = in_a_thread(lambda: tracelet.start_logging("left"))
    assert tracelet.get_active_experiment() is left
    following = tracelet.start_logging("following")
    assert (left.status, tracelet.get_active_experiment()) == ("finished", following)


def test_a_run_that_two_starts_want_to_end_is_ended_by_one_of_them() -> None:
    left = in_a_thread(lambda: tracelet.start_logging("left"))

    class Params(dict[str, int]):
        """Looked at when it is decided which run ends, and before that is ended."""

        def items(self) -> Any:
            if left.is_running:
                in_a_thread(lambda: tracelet.start_logging("other"))
            return super().items()

    following = tracelet.start_logging("following", params=Params(depth=18))
    assert (left.status, tracelet.get_active_experiment()) == ("finished", following)
    assert following.params["depth"] == 18


def test_tasks_have_a_run_each(tmp_path: Path) -> None:
    async def train(name: str, started: asyncio.Barrier) -> None:
        assert tracelet.get_active_experiment() is main
        exp = tracelet.start_logging(name, run_id=name)
        await started.wait()
        assert tracelet.get_active_experiment() is exp
        exp.log_metric("loss", 0.5)
        assert tracelet.stop_logging().complete

    async def all_of_them() -> None:
        started = asyncio.Barrier(3)
        await asyncio.gather(*(train(name, started) for name in ("a", "b", "c")))

    main = tracelet.start_logging("main")
    asyncio.run(all_of_them())
    assert tracelet.get_active_experiment() is main
    main.log_metric("loss", 0.5)
    main.stop()
    for name in ("a", "b", "c"):
        assert len(tracelet.load_run(name).metrics["loss"]) == 1


def test_a_run_whose_task_has_ended_is_ended_by_the_next_start() -> None:
    """As in a notebook, where each cell can be a task of its own."""

    async def cell(name: str) -> tracelet.Experiment:
        return tracelet.start_logging(name)

    async def notebook() -> None:
        one = await asyncio.create_task(cell("one"))
        two = await asyncio.create_task(cell("two"))
        assert (one.status, two.status) == ("finished", "running")
        assert tracelet.get_active_experiment() is two
        two.stop()

    asyncio.run(notebook())


def test_a_thread_that_works_for_several_tasks_ends_the_run_of_none() -> None:
    async def start(name: str) -> tracelet.Experiment:
        return await asyncio.to_thread(tracelet.start_logging, name)

    async def both() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        one, two = await start("one"), await start("two")
        assert (one.status, two.status) == ("running", "running")
        one.stop()
        two.stop()

    asyncio.run(both())


def test_a_thread_of_a_pool_has_one_run_after_the_other() -> None:
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(tracelet.start_logging, "one").result()
        two = pool.submit(tracelet.start_logging, "two").result()
        assert (one.status, two.status) == ("finished", "running")
