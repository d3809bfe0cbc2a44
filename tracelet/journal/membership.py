"""Whether a run still goes on, as the processes see it that have joined it.

The process that began a run keeps a small file in the run's directory, with ``running`` in it, and
puts the status there when it ends the run. Whoever has joined the run reads it before each record:
nothing is added to a run that has ended. If that process dies, the file stays as it is: what its
children log after that is kept.
"""

from __future__ import annotations

import contextlib
import os
from typing import get_args

from tracelet.inner_path import InnerPath
from tracelet.journal.files import above_standard_streams
from tracelet.records import Status

_LENGTH = 8
_RUNNING = b"running "
_CONTENT: dict[bytes, Status] = {
    status.encode().ljust(_LENGTH): status for status in get_args(Status)
}


def begin(file: InnerPath) -> None:
    """Write that the run goes on; a run whose file cannot be written has none."""
    with contextlib.suppress(OSError):
        file.replace(_RUNNING)


def end(file: InnerPath, status: Status) -> None:
    """Write that the run has ended, for those that have the file open, too."""
    with contextlib.suppress(OSError), os.fdopen(file.open(os.O_WRONLY), "wb") as opened:
        opened.write(status.encode().ljust(_LENGTH))


class Membership:
    """The file of a run, opened by a process that has joined the run.

    Args:
        file: the file. If it cannot be opened, the run goes on as far as one can tell.
    """

    def __init__(self, file: InnerPath) -> None:
        self._fd = -1
        self._inode: tuple[int, int] | None = None
        with contextlib.suppress(OSError):
            self._fd = above_standard_streams(file.open())
            self._inode = self._inode_now()

    def goes_on(self) -> bool:
        """Return whether the run goes on; every call that logs in a child process waits for it."""
        try:
            return os.pread(self._fd, _LENGTH, 0) == _RUNNING or self.status() == "running"
        except OSError:
            return True

    def status(self) -> Status:
        """Return the status of the run."""
        try:
            return _CONTENT.get(os.pread(self._fd, _LENGTH, 0), "running")
        except OSError:  # there is no file, or the program has closed all that it had open
            return "running"

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            if self._fd >= 0 and self._inode_now() == self._inode:  # else the program has closed it
                os.close(self._fd)
        self._fd = -1

    def _inode_now(self) -> tuple[int, int]:
        found = os.fstat(self._fd)
        return found.st_dev, found.st_ino
