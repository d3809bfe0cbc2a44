"""The process of one backend: a delivery, alone with its SDK, that the courier can end.

The SDKs fight over ``sys.exit``, ``sys.excepthook``, signal handlers, environment variables and
``fork``; only a process keeps them apart, and only a process can be stopped in mid-call.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from tracelet.backends.registry import resolve
from tracelet.courier.delivery import Delivery
from tracelet.courier.error_texts import hide_in_output
from tracelet.courier.messages import BUSY, DONE, IDLE, read_orders
from tracelet.errors import TraceletError
from tracelet.journal.files import FileLock
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir

log = logging.getLogger(__name__)


def work(run_dir: RunDir, backend: str) -> int:
    """Deliver a run to one backend until the run has ended; return the exit code."""
    reports = os.dup(1)
    os.dup2(2, 1)  # what an SDK prints belongs in the log
    orders = read_orders(sys.stdin.buffer)
    launch = RunState(run_dir).update().start
    if launch is None:
        log.error("%s holds no run", run_dir.path)
        return 2
    target = next(entry["target"] for entry in launch.backends if entry["name"] == backend)
    try:
        found = resolve(target)
    except TraceletError as error:
        log.error("%s", error)  # noqa: TRY400 - it says all there is to say
        return 2
    lock = FileLock(run_dir.cursors / f"{backend}.lock")
    news = threading.Event()
    threading.Thread(target=_listen, args=(news,), daemon=True).start()
    while not lock.acquire():  # a worker of a courier that was killed is about to notice
        news.wait(0.1)

    def wait(seconds: float) -> bool:
        news.wait(seconds)
        news.clear()
        return False

    def watch(bound: float | None) -> None:
        try:
            os.write(reports, IDLE + b"\n" if bound is None else BUSY + b" %.3f\n" % bound)
        except BrokenPipeError:  # the courier is gone; that is not the backend's failure
            os._exit(1)

    delivery = Delivery(
        run_dir,
        found,
        launch.run,
        launch.options(backend, orders.options.get(backend)),
        wait=wait,
        watch=watch,
        linger=orders.linger,
    )
    delivery.run()
    watch(found.cls.capabilities.time_bound)  # an SDK can hang in what it does at exit, too
    return DONE


def _listen(news: threading.Event) -> None:
    """Wake the delivery on a word of the courier; end the process at once when it is gone."""
    while os.read(0, 4096):
        news.set()
    os._exit(1)


def main(path: str, backend: str) -> int:
    """Run as ``python -m tracelet courier RUN_DIR --backend NAME``."""
    hide_in_output()
    logging.basicConfig(format=f"%(asctime)s {backend}: %(message)s", level=logging.INFO)
    return work(RunDir(Path(path)), backend)
