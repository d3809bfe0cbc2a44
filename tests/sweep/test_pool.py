"""The worker processes of a sweep: one that dies takes its own call with it, and no other."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

import psutil
import pytest

from tracelet.errors import WorkerDiedError
from tracelet.sweep.pool import WorkerPool


class UnreadableError(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__(one)


def fail() -> None:
    raise UnreadableError(1, 2)


def leave_a_child_and_die(file: str) -> None:
    if (child := os.fork()) == 0:
        signal.pause()  # it has the connection open until it is killed
    Path(file).write_text(str(child))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(2)
    yield made
    made.kill()
    made.shutdown()


def test_calls_return_and_raise_what_their_functions_do(pool: WorkerPool) -> None:
    assert pool.submit(pow, 2, 3).result() == 8
    assert pool.submit(int, "11", base=2).result() == 3
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()
    with pytest.raises(RuntimeError, match="UnreadableError"):
        pool.submit(fail).result()
    with pytest.raises(SystemExit):
        pool.submit(exit, 3).result()
    assert pool.submit(pow, 2, 3).result() == 8


def test_a_process_that_is_killed_fails_its_own_call_only(pool: WorkerPool) -> None:
    others = [pool.submit(pow, 2, number) for number in range(5)]
    dying = pool.submit(_die)
    more = [pool.submit(pow, 3, number) for number in range(5)]
    wait([*others, dying, *more], timeout=60)
    assert [one.result(0) for one in others] == [1, 2, 4, 8, 16]
    with pytest.raises(WorkerDiedError, match="killed by SIGKILL"):
        dying.result(0)
    assert [one.result(0) for one in more] == [1, 3, 9, 27, 81]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_was_killed_while_it_was_idle_is_replaced(pool: WorkerPool) -> None:
    first = pool.submit(os.getpid).result()
    idle = psutil.Process(first)
    idle.kill()
    idle.wait(10)
    assert pool.submit(os.getpid).result(60) != first


def test_a_child_that_outlives_a_killed_process_is_not_waited_for(
    pool: WorkerPool, tmp_path: Path
) -> None:
    file = tmp_path / "child"
    with pytest.raises(WorkerDiedError):
        pool.submit(leave_a_child_and_die, str(file)).result(60)
    assert pool.submit(pow, 2, 3).result(60) == 8
    os.kill(int(file.read_text()), signal.SIGKILL)


def test_processes_end_with_the_pool() -> None:
    pool = WorkerPool(1)
    process = psutil.Process(pool.submit(os.getpid).result())
    pool.shutdown()
    assert not process.is_running()
