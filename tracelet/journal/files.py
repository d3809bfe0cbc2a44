"""Locks on files, and descriptors that the program does not print to."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from tracelet.inner_path import InnerPath

_held: dict[tuple[str, int], FileLock] = {}
_PAUSE_SECONDS = 0.0005


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``; see :meth:`InnerPath.replace`."""
    InnerPath.of(path).replace(content)


class FileLock:
    """A lock on a file. A process holds it until :meth:`release` or its death.

    It is a POSIX record lock and not ``flock``: a forked child must not inherit it, or a child that
    lives on would keep the run locked. Record locks belong to the process, so a table of the held
    locks refuses a second one in the same process.
    """

    def __init__(self, path: Path | InnerPath) -> None:
        self._file = InnerPath.of(path)
        self._key = os.path.realpath(self._file.path)
        self._fd: int | None = None
        self._pid = 0

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether this object holds it now."""
        if self._fd is not None and self._pid == os.getpid():
            return True
        mine = (self._key, os.getpid())
        # Before the file is opened: closing it again would end the lock of another thread.
        if _held.setdefault(mine, self) is not self:
            return False
        self._fd, self._pid = None, os.getpid()
        try:
            self._fd = self._open_locked()
        finally:
            if self._fd is None:
                del _held[mine]
        return self._fd is not None

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the lock; return whether this object holds it now."""
        deadline = time.monotonic() + seconds
        while not self.acquire():
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        return True

    def _open_locked(self) -> int | None:
        fd = self._file.open(os.O_RDWR | os.O_CREAT, keep_names=True)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def release(self) -> None:
        """Release the lock; harmless if it is not held."""
        if self._fd is not None and self._pid == os.getpid():
            os.close(self._fd)
            _held.pop((self._key, self._pid), None)
        self._fd = None


def above_standard_streams(fd: int) -> int:
    """Return a descriptor above 2 in place of ``fd``: the program may print to 0, 1 and 2."""
    if fd > 2:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)
