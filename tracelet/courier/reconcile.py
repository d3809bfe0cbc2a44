"""Brings a run up to date before it is read: its ending, and its local files."""

from __future__ import annotations

import contextlib
import logging
import time

from tracelet.backends.registry import resolve
from tracelet.courier.cursor import CursorFile
from tracelet.courier.delivery import Delivery
from tracelet.courier.exit_status import unwritten_ending, write_missing_ending
from tracelet.courier.view import RunView, make_view, read_view, refresh_view, save_view
from tracelet.inner_path import is_no_file
from tracelet.journal.files import FileLock
from tracelet.journal.process import is_alive, this_process
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import Status

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0
"""How long a reader waits for another process that is updating the local files."""
_PAUSE_SECONDS = 0.01


def reconcile(run_dir: RunDir) -> RunState:
    """Write the ending of a run whose process is gone, and update its local files.

    A run that lives is left to its courier. If another process is delivering a run that has ended,
    this function waits for the local files. If the files cannot be written, or the wait takes too
    long, they stay as they are. The returned state has the right status in any case.

    Nothing is written in a run that is not this user's own, nor in one that is complete.

    Raises:
        RunNotFoundError: the directory holds no run.
    """
    state = RunState.read(run_dir)
    if not run_dir.is_own:
        write_missing_ending(run_dir, state)
        return state
    if _is_complete(run_dir, state):
        return state
    lock = run_dir.lock()
    try:
        if _take_lock(run_dir, state, lock):
            bring_up_to_date(run_dir, state)
            if state.status != "running":
                run_dir.seals.seal(ended=True)
            # They differ if the run was killed after it wrote its ending, or has just got one.
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
    """Take the lock of a run; return False if that is not necessary, or not possible."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _is_exiting(state) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        state.update()
    try:
        while not lock.acquire():
            # In this order: the other process may have written the ending meanwhile.
            lives = unwritten_ending(run_dir, state) is None and state.status == "running"
            if lives or _is_up_to_date(run_dir, state) or time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
            state.update()
    except OSError:  # the disk cannot be written
        return False
    return True


def _is_exiting(state: RunState) -> bool:
    """Return whether the process of the run is exiting, and its exit code is not known yet."""
    if state.start is None or not state.pending_exit:
        return False
    process = state.start.process
    return process != this_process() and is_alive(process) is True


def _is_up_to_date(run_dir: RunDir, state: RunState) -> bool:
    """Return whether the journal and the local files, unless they fail, have the ending."""
    if state.start is None or "local" not in state.start.names:
        return state.status != "running"
    cursor = CursorFile(run_dir.cursors, "local").load()
    if cursor.failures:
        return state.status != "running"
    with contextlib.closing(run_dir.reader()) as reader:
        return cursor.closed == state.status and reader.read(cursor.position) is None


def _is_complete(run_dir: RunDir, state: RunState) -> bool:
    """Return whether the run has ended, and everything of this module was done."""
    if state.start is None or state.status == "running":
        return False
    if any(entry["target"] == "local" for entry in state.start.backends):
        cursor = CursorFile(run_dir.cursors, "local").load()
        if cursor.closed != state.status or cursor.failures:
            return False
        with contextlib.closing(run_dir.reader()) as reader:
            if reader.read(cursor.position) is not None:
                return False
    is_viewed = _status_in_view(run_dir) == state.status and run_dir.cursors.is_dir()
    return is_viewed and run_dir.seals.are_complete()


def _status_in_view(run_dir: RunDir) -> Status | None:
    try:
        return read_view(run_dir).status
    except (OSError, ValueError):
        return None


def view_of(run_dir: RunDir) -> RunView:
    """Read ``run.json``; make it again from the journal if it is damaged, a link, or missing.

    It is written then, if the run is this user's own and can be written.

    Raises:
        RunNotFoundError: the directory holds no run.
    """
    if run_dir.reader_dir is None:
        try:
            return read_view(run_dir)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and not is_no_file(error):
                raise
    state = reconcile(run_dir)
    view = make_view(run_dir, state)
    if run_dir.is_own:
        try:
            save_view(run_dir, view)
        except OSError as error:
            log.warning("%s cannot be brought up to date: %s", run_dir.path, error)
    return view


def bring_up_to_date(run_dir: RunDir, state: RunState) -> None:
    """Write the ending, then update the local files; the caller holds the run's lock."""
    write_missing_ending(run_dir, state)
    if state.start is None:
        return
    run_dir.cursors.mkdir()  # deleting it means delivery from the start
    for entry in state.start.backends:
        if entry["target"] == "local":
            delivery = Delivery(run_dir, resolve("local"), state.start.run, {}, wait=lambda _: True)
            delivery.run()
