"""Before anybody reads a run: is it still running, and are its local files up to the journal?"""

from __future__ import annotations

import logging

import msgspec

from tracelet.backends.registry import resolve
from tracelet.courier.delivery import Delivery
from tracelet.courier.ending import settle
from tracelet.courier.view import RunView, read_view, refresh_view
from tracelet.errors import RunNotFoundError
from tracelet.journal.lifecycle import Lifecycle
from tracelet.journal.rundir import RunDir
from tracelet.records import Status

log = logging.getLogger(__name__)


def reconcile(run_dir: RunDir) -> Lifecycle:
    """Write the ending of a run whose process is gone, and deliver what its local files lack.

    A run that has a courier is left to it. A directory that cannot be written is read as it is.

    Raises:
        RunNotFoundError: the directory holds no run.
    """
    life = Lifecycle(run_dir).update()
    if life.launch is None:
        raise RunNotFoundError(f"{run_dir.path} holds no run")
    lock = run_dir.lock()
    try:
        if not lock.acquire():
            return life
    except OSError:
        return life
    try:
        settle_and_deliver(run_dir, life)
        if _shown_status(run_dir) != life.status:  # it was killed after it wrote its ending, or
            refresh_view(run_dir, life)  # its ending was found just now
    except OSError as error:
        log.warning("%s cannot be brought up to date: %s", run_dir.path, error)
    finally:
        lock.release()
    return life


def _shown_status(run_dir: RunDir) -> Status | None:
    try:
        return read_view(run_dir).status
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def view_of(run_dir: RunDir) -> RunView:
    """Read ``run.json``; made anew from the journal if a crash of the machine has left it torn.

    Raises:
        RunNotFoundError: the directory holds no run.
        OSError: ``run.json`` cannot be written.
    """
    try:
        return read_view(run_dir)
    except (FileNotFoundError, msgspec.DecodeError):
        refresh_view(run_dir, reconcile(run_dir))
        return read_view(run_dir)


def settle_and_deliver(run_dir: RunDir, life: Lifecycle) -> None:
    """Find the true ending, then bring the local backend up to the journal; the lock is held."""
    settle(run_dir, life)
    if life.launch is None:
        return
    for entry in life.launch.backends:
        if entry["target"] == "local":
            delivery = Delivery(run_dir, resolve("local"), life.launch.run, {}, wait=lambda _: True)
            delivery.run()
