"""Brings a run up to date before somebody reads it: its ending, and its local files."""

from __future__ import annotations

import contextlib
import logging
import time

from tracelet.backends.registry import resolve
from tracelet.courier.cursor import CursorFile
from tracelet.courier.delivery import Delivery
from tracelet.courier.exit_status import unwritten_ending, write_missing_ending
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
    state = RunState.read(run_dir)
    lock = run_dir.lock()
    try:
        if _take_lock(run_dir, state, lock):
            bring_up_to_date(run_dir, state)
            # They differ if it was killed after it wrote its ending, or the ending was just found.
            if _status_in_view(run_dir) != state.status:
                refresh_view(run_dir, state)
    except OSError as error:
        log.warning("%s cannot be brought up to date: %s", run_dir.path, error)
    finally:
        lock.release()
    ending = unwritten_ending(run_dir, state)
    if ending is not None:
        state.assume_ended(ending)
    return state


def _take_lock(run_dir: RunDir, state: RunState, lock: FileLock) -> bool:
    """Take the lock of a run; return False if there is no need to, or no way."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _is_exiting(state) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        state.update()
    try:
        while not lock.acquire():
            # In this order: meanwhile the other may have written the ending.
            lives = unwritten_ending(run_dir, state) is None and state.status == "running"
            if lives or _is_up_to_date(run_dir, state) or time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
            state.update()
    except OSError:  # it is on a disk that nobody can write to
        return False
    return True


def _is_exiting(state: RunState) -> bool:
    """Return whether a process is exiting whose exit code will say how the run has ended."""
    if state.start is None or not state.pending_exit:
        return False
    process = state.start.process
    return process != this_process() and is_alive(process) is True


def _is_up_to_date(run_dir: RunDir, state: RunState) -> bool:
    """Return whether the journal has the ending, and the local files, unless they fail, have it."""
    if state.start is None or "local" not in state.start.names:
        return state.status != "running"
    cursor = CursorFile(run_dir.cursors, "local").load()
    if cursor.failures:
        return state.status != "running"
    with contextlib.closing(run_dir.reader()) as reader:
        return cursor.closed == state.status and reader.read(cursor.position) is None


def _status_in_view(run_dir: RunDir) -> Status | None:
    try:
        return read_view(run_dir).status
    except (FileNotFoundError, ValueError):
        return None


def view_of(run_dir: RunDir) -> RunView:
    """Read ``run.json``. If it is damaged, or was deleted, it is written again from the journal.

    Raises:
        RunNotFoundError: the directory holds no run.
        OSError: ``run.json`` cannot be written.
    """
    try:
        return read_view(run_dir)
    except (FileNotFoundError, ValueError):
        refresh_view(run_dir, reconcile(run_dir))
        return read_view(run_dir)


def bring_up_to_date(run_dir: RunDir, state: RunState) -> None:
    """Write the ending, then deliver what the local files lack; the caller holds the run's lock."""
    write_missing_ending(run_dir, state)
    if state.start is None:
        return
    run_dir.cursors.mkdir(exist_ok=True)  # to delete them is to ask for delivery from the start
    for entry in state.start.backends:
        if entry["target"] == "local":
            delivery = Delivery(run_dir, resolve("local"), state.start.run, {}, wait=lambda _: True)
            delivery.run()
