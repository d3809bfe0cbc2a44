"""Locks end with their process, however it dies, and no process is taken for another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from user_scripts import Script
from waiting import eventually

from tracelet.journal import process
from tracelet.journal.files import FileLock, replace_file
from tracelet.journal.process import ProcessId, is_alive, this_process

HOLDER = """
import os, pathlib, sys, time
from tracelet.journal.files import FileLock
lock = FileLock(pathlib.Path("run.lock"))
assert lock.acquire()
{after}
pathlib.Path("held").touch()
while not pathlib.Path("end").exists():
    time.sleep(0.01)
"""


def test_a_lock_is_held_once_in_a_process(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire(), "it is ours already"
    assert not second.acquire()
    second.release()
    assert not FileLock(tmp_path / ".." / tmp_path.name / "lock").acquire(), "another way there"
    first.release()
    assert second.acquire()
    second.release()
    second.release()


def test_a_lock_that_is_being_taken_is_refused_to_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[bool] = []
    opened = os.open

    def open_late(*arguments: Any, **options: Any) -> int:
        if not others:
            others.append(FileLock(tmp_path / "lock").acquire())
        return opened(*arguments, **options)

    lock = FileLock(tmp_path / "lock")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_late)
        assert lock.acquire()
    assert others == [False]
    lock.release()
    assert FileLock(tmp_path / "lock").acquire()


def test_a_lock_is_refused_to_another_process_until_its_holder_dies(tmp_path: Path) -> None:
    holder = Script(tmp_path, HOLDER.format(after=""))
    eventually((tmp_path / "held").exists)
    lock = FileLock(tmp_path / "run.lock")
    assert not lock.acquire()
    holder.signal(signal.SIGKILL)
    holder.wait()
    assert lock.acquire()
    lock.release()


def test_a_forked_child_does_not_inherit_a_lock(tmp_path: Path) -> None:
    after = "if os.fork() == 0:\n    print(lock.acquire(), flush=True)\n    lock.release()"
    holder = Script(
        tmp_path,
        HOLDER.format(after=after + "\n    pathlib.Path('child').touch()\n    time.sleep(600)"),
    )
    eventually((tmp_path / "child").exists)
    eventually((tmp_path / "held").exists)
    assert holder.output == "False\n"
    lock = FileLock(tmp_path / "run.lock")
    assert not lock.acquire(), "the child's release is not the parent's"
    holder.signal(signal.SIGKILL)
    holder.wait()
    assert lock.acquire(), "the child lives on and does not hold it"
    lock.release()


def test_a_subprocess_does_not_inherit_a_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        lock.release()
        other = FileLock(tmp_path / "lock")
        assert other.acquire()
        other.release()
        child.communicate(b"\n")


def test_this_process_is_alive() -> None:
    assert is_alive(this_process()) is True


def test_a_process_that_has_ended_is_dead(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    token = process._token(child)
    os.waitpid(child, 0)
    dead = {**this_process(), "pid": child, "token": token or "gone"}
    assert is_alive(ProcessId(**dead)) is False  # type: ignore[typeddict-item]


def test_a_zombie_is_dead() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    token = process._token(child)
    assert token
    one: ProcessId = {**this_process(), "pid": child, "token": token}
    assert is_alive(one) is True
    os.close(write)
    os.close(read)
    try:
        eventually(lambda: is_alive(one) is False)
    finally:
        os.waitpid(child, 0)


@pytest.mark.parametrize("field", ["pid", "token"])
def test_a_process_id_that_was_given_anew_is_another_process(field: str) -> None:
    me = this_process()
    parent = 1  # started long before; our own parent may be as old as we are, to a tick
    other: ProcessId = (
        {**me, "pid": parent} if field == "pid" else {**me, "token": process._token(parent) or ""}
    )
    assert is_alive(other) is False


def test_nobody_here_knows_about_another_host() -> None:
    assert is_alive({**this_process(), "host": "elsewhere"}) is None


def test_without_proc_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_boot", lambda: None)
    assert is_alive(this_process()) is True
    assert is_alive({**this_process(), "pid": 1}) is False
    child = os.fork()
    if child == 0:
        os._exit(0)
    one: ProcessId = {**this_process(), "pid": child, "token": process._token(child) or "gone"}
    try:
        eventually(lambda: is_alive(one) is False)
    finally:
        os.waitpid(child, 0)
    assert is_alive(one) is False


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cursor.json"
    replace_file(file, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            replace_file(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
    replace_file(file, b"new")
    assert file.read_bytes() == b"new"


def test_two_threads_replace_a_file_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.json"
    replace, others = os.replace, [threading.Thread(target=replace_file, args=(file, b"other"))]

    def replace_late(*paths: Any, **folders: Any) -> None:
        while others:
            other = others.pop()
            other.start()
            other.join()
        replace(*paths, **folders)

    monkeypatch.setattr(os, "replace", replace_late)
    replace_file(file, b"ours")
    assert file.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [file]
