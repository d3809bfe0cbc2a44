"""Before anybody reads a run: is it still running, and are its local files up to the journal?"""

from __future__ import annotations

import contextlib
import logging
import time

from tracelet.backends.registry import resolve
from tracelet.courier.cursor import CursorFile
from tracelet.courier.delivery import Delivery
from tracelet.courier.ending import settle, unwritten_ending
from tracelet.courier.view import RunView, read_view, refresh_view
from tracelet.journal.files import FileLock
from tracelet.journal.process import is_alive, this_process
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import Status

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0
"""How long a reader waits for somebody else who brings the local files up to the journal."""
_PAUSE_SECONDS = 0.01


def reconcile(run_dir: RunDir) -> RunState:
    """Write the ending of a run whose process is gone, and deliver what its local files lack.

    A run that lives is left to its courier. If one that has ended is delivered by somebody else, a
    courier or another reader, its local files are waited for. Where nothing can be written, or the
    wait takes too long, the files are as they are; the status is true anyway.

    Raises:
        RunNotFoundError: the directory holds no run.
    """
    life = RunState.read(run_dir)
    lock = run_dir.lock()
    try:
        if _is_left_to_us(run_dir, life, lock):
            settle_and_deliver(run_dir, life)
            if _shown_status(run_dir) != life.status:  # it was killed after it wrote its ending,
                refresh_view(run_dir, life)  # or its ending was found just now
    except OSError as error:
        log.warning("%s cannot be brought up to date: %s", run_dir.path, error)
    finally:
        lock.release()
    ending = unwritten_ending(run_dir, life)
    if ending is not None:
        life.suppose(ending)
    return life


def _is_left_to_us(run_dir: RunDir, life: RunState, lock: FileLock) -> bool:
    """Take the lock of a run; return False if there is no need to, or no way."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _is_exiting(life) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        life.update()
    try:
        while not lock.acquire():
            # In this order: meanwhile the other may have written the ending.
            lives = unwritten_ending(run_dir, life) is None and life.status == "running"
            if lives or _is_up_to_date(run_dir, life) or time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
            life.update()
    except OSError:  # it is on a disk that nobody can write to
        return False
    return True


def _is_exiting(life: RunState) -> bool:
    """Return whether another process is about to say with its exit code how the run has ended."""
    if life.start is None or not life.pending_exit:
        return False
    process = life.start.process
    return process != this_process() and is_alive(process) is True


def _is_up_to_date(run_dir: RunDir, life: RunState) -> bool:
    """Return whether the journal has the ending, and the local files, unless they fail, have it."""
    if life.start is None or "local" not in life.start.names:
        return life.status != "running"
    cursor = CursorFile(run_dir.cursors, "local").load()
    if cursor.failures:
        return life.status != "running"
    with contextlib.closing(run_dir.reader()) as reader:
        return cursor.closed == life.status and reader.read(cursor.position) is None


def _shown_status(run_dir: RunDir) -> Status | None:
    try:
        return read_view(run_dir).status
    except (FileNotFoundError, ValueError):
        return None


def view_of(run_dir: RunDir) -> RunView:
    """Read ``run.json``; made anew from the journal if it is damaged, or was deleted.

    Raises:
        RunNotFoundError: the directory holds no run.
        OSError: ``run.json`` cannot be written.
    """
    try:
        return read_view(run_dir)
    except (FileNotFoundError, ValueError):
        refresh_view(run_dir, reconcile(run_dir))
        return read_view(run_dir)


def settle_and_deliver(run_dir: RunDir, life: RunState) -> None:
    """Find the true ending, then bring the local backend up to the journal; the lock is held."""
    settle(run_dir, life)
    if life.start is None:
        return
    run_dir.cursors.mkdir(exist_ok=True)  # whoever deletes them wants the run delivered anew
    for entry in life.start.backends:
        if entry["target"] == "local":
            delivery = Delivery(run_dir, resolve("local"), life.start.run, {}, wait=lambda _: True)
            delivery.run()
