"""The writer of a journal segment: one ``os.write`` a call, so a killed process loses nothing.

Promises:

- When :meth:`JournalWriter.append` has returned, the kernel has the record: it survives the death
  of the process, whatever kills it. :meth:`JournalWriter.sync` makes it survive a power cut.
- Records of one thread keep their order; records of several threads, and of forked children that
  share the descriptor, never mix within a line, because the kernel makes each append atomic.
- A record that cannot be written never raises into the training: it is counted in
  :attr:`JournalWriter.lost`, and the cause is logged once.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import logging
import os
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from tracelet.journal.blobs import BlobStore
from tracelet.journal.files import above_standard_streams, mark_open
from tracelet.records import AnyRecord, Stored, encode

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
INLINE_BYTES = 64 * 1024
"""A record with a longer line keeps it in a blob, so that one write stays one append."""
_LOOK_AFTER = 1.0
_MOST_RETIRED = 8


class JournalWriter:
    """Appends records to this process's segment of a run's journal.

    Args:
        directory: where the segments are; must exist.
        blobs: where long records are kept.
        segment_bytes: the size at which a new segment is begun.
        chain: letters and digits that tell it from another writer of this process: the segments of
            one are read one after another, those of several merged by time.
    """

    def __init__(
        self,
        directory: Path,
        blobs: BlobStore,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        chain: str = "",
    ) -> None:
        self._directory = directory
        self._chain = chain
        self._blobs = blobs
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._number = 0
        self._left = segment_bytes
        self._in_segment = 0
        self._torn = 0  # bytes at the end that are not a whole line
        self._unended = 0  # records in them, if they lack nothing but the newline
        self._write: Callable[[int, bytes], int] = os.write
        self.gone = False
        """Whether the segment was deleted under the process."""
        self._said: set[str] = set()
        self._look_at = 0.0
        self.lost = 0
        """Records that could not be written, or whose segment was deleted under the process."""
        self._segment = ""
        self._fd = self._open_next()
        _writers.add(self)

    def append(self, record: AnyRecord) -> None:
        """Append one record."""
        line = encode(record) + b"\n"
        if len(line) > INLINE_BYTES:
            try:
                line = encode(Stored(record.time, self._blobs.put_bytes(line))) + b"\n"
            except OSError as error:
                self.failed(error, 1)
                return
        self.append_lines(line, 1, record.time)

    def append_lines(self, lines: bytes, count: int, now: float) -> None:
        """Append whole lines in one write.

        Args:
            lines: the lines; each has as many records.
            count: how many records they have, together.
            now: the time of the call, in seconds.
        """
        # Every call that logs waits for this: what is rare is done in other methods.
        write = self._write
        try:
            written = write(self._fd, lines)
        except OSError as error:
            self.failed(error, count)
            return
        if written != len(lines):
            self._cut_off(lines, written, count)
            return
        self._in_segment += count
        self._left = left = self._left - written
        if left <= 0 or now > self._look_at:
            self._look(now)

    def _write_behind_torn(self, fd: int, lines: bytes) -> int:
        """Write in place of ``os.write``, while the line before has no end."""
        self._write = os.write  # another thread need not end it, too
        try:
            written = os.write(fd, b"\n" + lines)
        except OSError:
            self._write = self._write_behind_torn
            raise
        self._mended()
        return written - 1

    def _cut_off(self, lines: bytes, written: int, count: int) -> None:
        """Count what is lost of lines of which only a part was written, and end that part."""
        part = lines[:written]
        each = count // lines.count(b"\n")
        whole = each * part.count(b"\n")
        self.lost += count - whole
        self._in_segment += whole
        self._torn = written - part.rfind(b"\n") - 1
        self._unended = each if self._torn and lines[written : written + 1] == b"\n" else 0
        try:
            os.write(self._fd, b"\n")
        except OSError as error:
            self._write = self._write_behind_torn
            self._complain(error)
        else:
            self._mended()
            self._complain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def _mended(self) -> None:
        """Note that the line that was cut off has its end."""
        self.lost -= self._unended
        self._in_segment += self._unended
        self._torn = self._unended = 0

    def sync(self) -> None:
        """Make what was appended survive a crash of the machine."""
        self._look(time.time())
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._complain(error)

    def position(self) -> dict[str, int]:
        """Return the segment of this process and how many bytes of whole lines are in it."""
        try:
            return {self._segment: os.fstat(self._fd).st_size - self._torn}
        except OSError as error:  # somebody has closed the descriptor, as daemons do with all
            self._complain(error)
            return {}

    def close(self) -> None:
        """Sync and close the segment."""
        if self._fd >= 0:
            self.sync()
            fd, self._fd = self._fd, -1
            _retire(fd)
            _writers.discard(self)

    def _look(self, now: float) -> None:
        """Now and then: has the segment been deleted or moved, is it full?"""
        # If another thread looks, or a signal handler logs while this one does, one look is enough.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._look_at = now + _LOOK_AFTER
            if os.fstat(self._fd).st_nlink == 0:
                # Appends to a deleted file succeed and are gone: count them, and all that follow.
                self.lost += self._in_segment
                self._in_segment = 0
                self._complain(FileNotFoundError(2, "the run's directory was deleted"))
                self.gone = True
            elif not (self._directory / f"{self._segment}.jsonl").exists():
                self._say_once(
                    "the directory of the run is not at %s any more. Training goes on: what is "
                    "logged is in the journal where that is now, but for files and long texts; "
                    "nothing is delivered until it is back, or is read there",
                    self._directory.parent,
                )
            elif self._left <= 0:
                self._rotate()
        except OSError as error:
            self._complain(error)
        finally:
            self._lock.release()

    def _rotate(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._complain(error)
        fd = self._open_next()
        # The number of the descriptor stays: another thread may be about to write to it.
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)
        self._left, self._in_segment = self._segment_bytes, 0

    def _open_next(self) -> int:
        host = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname()) or "host"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while True:
            name = f"{host}{self._chain}-{os.getpid()}-{self._number}.jsonl"
            path = self._directory / name
            packed = path.with_name(f"{path.name}.gz")
            self._number += 1
            if packed.exists():  # an earlier start of this process, compressed since
                continue
            try:
                fd = os.open(path, flags, 0o644)
            except FileExistsError:  # an earlier process with this pid, or an earlier start
                continue
            if packed.exists():  # it was being compressed right now
                os.close(fd)
                path.unlink()
                continue
            fd = above_standard_streams(fd)
            if not mark_open(fd):  # somebody found it before it was marked
                os.close(fd)
                continue
            self._segment = path.stem
            return fd

    def failed(self, error: OSError, count: int = 1) -> None:
        """Count records that are lost, and say why, once a cause."""
        self.lost += count
        self._complain(error)

    def _complain(self, error: OSError) -> None:
        self._say_once(
            "the journal in %s cannot be written: %s. Training goes on; what is logged from here "
            "on may be lost, and is counted in the delivery report",
            self._directory,
            error.strerror or str(error),
        )

    def _say_once(self, message: str, *details: object) -> None:
        if (said := message % details) not in self._said:
            self._said.add(said)
            log.error("%s", said)

    def after_fork(self) -> None:
        """Begin anew what a forked child must not share."""
        # Another thread of the parent may have held the lock at the fork.
        self._lock = threading.Lock()
        self._in_segment = 0
        self.lost = 0


_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()
_retired: collections.deque[int] = collections.deque()
"""The descriptors of the segments that were closed last; nothing can be written to them."""


def _retire(fd: int) -> None:
    """Close a segment, and keep the number of its descriptor for a while.

    A thread may be about to write to it, and must not write into a file that is opened next.
    """
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, fd, inheritable=False)
        os.close(nowhere)
    _retired.append(fd)
    if len(_retired) > _MOST_RETIRED:
        oldest = _retired.popleft()
        with contextlib.suppress(OSError):
            # Else somebody has closed it, as daemons do with all, and it is another file's now.
            if os.path.samestat(os.fstat(oldest), os.stat(os.devnull)):
                os.close(oldest)


def _reset_writers() -> None:
    for writer in list(_writers):
        writer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_writers)
