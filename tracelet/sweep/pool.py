"""Worker processes for a sweep: one that dies takes its own configuration with it, and no other.

The pools of others do not do this without a further package to install: those of the standard
library and of loky end all of their processes when one dies. So a thread stands for each process
here: it starts it, gives it a call, and waits for the answer or for its end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from typing import Any

from tracelet.errors import WorkerDiedError

_LOOK_SECONDS = 1.0
_SPAWN = multiprocessing.get_context("spawn")


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool(ThreadPoolExecutor):
    """An executor of processes that are started from nothing (spawned), and again if one dies.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="tracelet-sweep")
        self._processes = [_Worker() for _ in range(workers)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._processes:
            self._idle.put(worker)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in one of the processes.

        Its future raises what the function does, or a ``WorkerDiedError``.
        """
        return super().submit(self._call, fn, args, kwargs)

    def _call(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        worker = self._idle.get_nowait()  # there are as many as threads
        try:
            return worker.call(fn, args, kwargs)
        finally:
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            for worker in self._processes:
                worker.close()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, Exception):  # interrupted
            self.kill()
        self.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """End the processes at once."""
        self.shutdown(wait=False, cancel_futures=True)
        for worker in self._processes:
            worker.kill()


class _Worker:
    """A process, started with the first call and after one that it died in."""

    def __init__(self) -> None:
        self._process: multiprocessing.context.SpawnProcess | None = None
        self._connection: Connection[Any, Any] | None = None
        self._is_killed = False

    def call(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a function in the process; return or raise what it does.

        Raises:
            WorkerDiedError: the process died meanwhile.
        """
        process, connection = self._started()
        answer: tuple[bool, Any] | None = None
        with contextlib.suppress(EOFError, OSError):  # it died
            connection.send((fn, args, kwargs))
            ends: list[Any] = [connection, process.sentinel]
            # If it dies, its own children may have both open still: so it is looked at as well.
            while not (ready := wait(ends, _LOOK_SECONDS)) and process.is_alive():
                pass
            if connection in ready or connection.poll():
                answer = connection.recv()
        if answer is None:
            connection.close()
            process.join(1)
            raise WorkerDiedError(f"the worker process died: {_ending(process)}")
        succeeded, value = answer
        if succeeded:
            return value
        raise value

    def _started(self) -> tuple[multiprocessing.context.SpawnProcess, Connection[Any, Any]]:
        process, connection = self._process, self._connection
        is_usable = process is not None and not wait([process.sentinel], 0) and process.is_alive()
        if process is None or connection is None or connection.closed or not is_usable:
            self.close()
            connection, others = _SPAWN.Pipe()
            process = _SPAWN.Process(target=_serve, args=(others,))
            process.start()
            others.close()
            self._process, self._connection = process, connection
            if self._is_killed:  # while it started
                process.terminate()
        return process, connection

    def close(self) -> None:
        """Let the process end, and wait for it."""
        if self._connection is not None and not self._connection.closed:
            with contextlib.suppress(OSError):  # it is dead
                self._connection.send(None)
            self._connection.close()
        if self._process is not None:
            self._process.join()

    def kill(self) -> None:
        """End the process at once."""
        self._is_killed = True
        if self._process is not None:
            self._process.terminate()


def _ending(process: multiprocessing.context.SpawnProcess) -> str:
    """Say how a process ended."""
    code = process.exitcode
    if code is None:
        return "its connection was lost"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" + (
            " (perhaps out of memory)" if code == -signal.SIGKILL else ""
        )
    return f"exit code {code}"


def _serve(connection: Connection[Any, Any]) -> None:
    """Answer calls until the connection is closed; this is what the process does."""
    _end_with_parent()
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            content = connection.recv_bytes()
            answer = _answer(content)
            if answer is None:
                return
            _send(connection, answer)


def _answer(content: bytes) -> tuple[bool, Any] | None:
    """Return whether a call succeeds, and what it returns or raises; None: there are no more."""
    try:
        call = pickle.loads(content)
        if call is None:
            return None
        fn, args, kwargs = call
        return True, fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - of the user's code
        return False, error


def _send(connection: Connection[Any, Any], answer: tuple[bool, Any]) -> None:
    try:
        content = pickle.dumps(answer)
        if not answer[0]:
            pickle.loads(content)  # many an exception can be pickled and not be read back
    except Exception as error:  # noqa: BLE001 - pickling is foreign code
        content = pickle.dumps((False, RuntimeError(f"{answer[1]!r:.500}: {error!r:.500}")))
    connection.send_bytes(content)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however that died."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent,), daemon=True).start()


def _wait_and_end(parent: Any) -> None:
    import psutil  # start-up time

    parent.join()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(OSError, psutil.Error):
            # Couriers have a session of their own: they are there to outlive whoever logs.
            if os.getsid(child.pid) == os.getsid(0):
                child.kill()
    os._exit(1)
