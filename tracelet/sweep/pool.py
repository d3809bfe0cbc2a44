"""Worker processes for a sweep: one that dies takes its own configuration with it, and no other.

The standard library's pool ends all of its processes when one dies; so here each has a pool.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import multiprocessing.context
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any

from tracelet.errors import WorkerDiedError

log = logging.getLogger(__name__)

_Call = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool(Executor):
    """An executor of processes that are started anew (spawned), and again if one dies.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self._lock = threading.RLock()
        self._idle = [_Worker() for _ in range(workers)]
        self._all = list(self._idle)
        self._waiting: deque[_Call] = deque()
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.append((future, fn, args, kwargs))
            self._next()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            self._closed = True
            if cancel_futures:
                for future, *_ in self._waiting:
                    future.cancel()
                self._waiting.clear()
        for worker in self._all:
            worker.close(wait=wait)

    def kill(self) -> None:
        """End the processes at once."""
        self.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.kill()

    def _next(self) -> None:
        """Give waiting calls to idle workers."""
        with self._lock:
            while self._idle and self._waiting:
                future, fn, args, kwargs = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                worker = self._idle.pop()
                inner = worker.submit(fn, args, kwargs)
                inner.add_done_callback(functools.partial(self._done, worker, future))

    def _done(self, worker: _Worker, future: Future[Any], inner: Future[Any]) -> None:
        error = inner.exception()
        if isinstance(error, BrokenExecutor):
            error = WorkerDiedError(f"the worker process died: {worker.ending()}")
            worker.renew()
        with self._lock:
            self._idle.append(worker)
            self._next()
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(inner.result())


class _Worker:
    """A pool of one process."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin a pool, whose process starts with its first call."""
        self._context = _Context()
        # mypy: the context of the standard library is typed by its methods, and this has them.
        self._pool = ProcessPoolExecutor(1, self._context, initializer=_end_with_parent)

    def submit(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenExecutor:  # it died while it had nothing to do
            self.renew()
            return self._pool.submit(fn, *args, **kwargs)

    def ending(self) -> str:
        """Say how the process ended."""
        process = self._context.latest
        if process is not None:
            process.join(1)
        code = process.exitcode if process is not None else None
        if code is None:
            return "its connection was lost"
        if code < 0:
            return f"killed by {signal.Signals(-code).name}" + (
                " (perhaps out of memory)" if code == -signal.SIGKILL else ""
            )
        return f"exit code {code}"

    def close(self, *, wait: bool) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def kill(self) -> None:
        if self._context.latest is not None:
            self._context.latest.terminate()


class _Context(multiprocessing.context.SpawnContext):
    """Starts processes, and remembers the latest: only it knows its exit code."""

    latest: multiprocessing.context.SpawnProcess | None = None

    def Process(self, *args: Any, **kwargs: Any) -> multiprocessing.context.SpawnProcess:  # type: ignore[override]  # noqa: N802
        self.latest = super().Process(*args, **kwargs)
        return self.latest


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however that died."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent,), daemon=True).start()


def _wait_and_end(parent: Any) -> None:
    import psutil

    parent.join()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(OSError, psutil.Error):
            # Couriers have a session of their own: they are there to outlive whoever logs.
            if os.getsid(child.pid) == os.getsid(0):
                child.kill()
    os._exit(1)
