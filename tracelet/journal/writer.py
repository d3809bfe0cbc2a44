"""Writes a segment of a journal: one ``os.write`` for each call that logs.

Promises:

- When :meth:`JournalWriter.append` has returned, the kernel has the record: it survives the death
  of the process. :meth:`JournalWriter.sync` makes it survive a power cut.
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

from tracelet.inner_path import InnerPath
from tracelet.journal.blobs import BlobStore
from tracelet.journal.files import above_standard_streams
from tracelet.journal.segments import hold
from tracelet.records import AnyRecord, BlobRef, encode

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
INLINE_BYTES = 64 * 1024
"""A longer line is stored in a blob, so that one write stays one append."""
_CHECK_SECONDS = 1.0
"""How often the writer checks that the segment still exists."""
_MOST_RETIRED = 8


class JournalWriter:
    """Appends records to this process's segment of a run's journal.

    Args:
        directory: where the segments are; must exist.
        blobs: where long records are kept.
        segment_bytes: the size at which a new segment is begun.
        chain: letters and digits that no other writer of this process has. The segments of one
            writer are read one after another; those of several writers are merged by time.
    """

    def __init__(
        self,
        directory: Path | InnerPath,
        blobs: BlobStore,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        chain: str = "",
    ) -> None:
        self._directory = InnerPath.of(directory)
        self._chain = chain
        self._blobs = blobs
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._number = 0
        self._left = segment_bytes
        self._in_segment = 0
        self._torn_bytes = 0  # at the end of the segment: a line without its newline
        self._torn_records = 0  # the records of that line, if it lacks nothing but the newline
        self._write: Callable[[int, bytes], int] = os.write
        self.gone = False
        """Whether the segment was deleted while it was written."""
        self._logged: set[str] = set()
        self._check_at = 0.0
        self.lost = 0
        """Records that could not be written, or whose segment was deleted."""
        self._segment = ""
        self._fd = self._open_next()
        _writers.add(self)

    def append(self, record: AnyRecord) -> None:
        """Append one record."""
        line = encode(record) + b"\n"
        if len(line) > INLINE_BYTES:
            try:
                line = encode(BlobRef(record.time, self._blobs.put_bytes(line))) + b"\n"
            except OSError as error:
                self.failed(error, 1)
                return
        self.append_lines(line, 1, record.time)

    def append_lines(self, lines: bytes, count: int, now: float) -> None:
        """Append whole lines in one write.

        Args:
            lines: the lines; all have the same number of records.
            count: the number of records in all lines.
            now: the time of the call, in seconds since the epoch.
        """
        # Every call that logs waits for this: rare cases are in other methods.
        write = self._write
        try:
            written = write(self._fd, lines)
        except OSError as error:
            self.failed(error, count)
            return
        if written != len(lines):
            self._handle_short_write(lines, written, count)
            return
        self._in_segment += count
        self._left = left = self._left - written
        if left <= 0 or now > self._check_at:
            self._check_segment(now)

    def _write_after_torn_line(self, fd: int, lines: bytes) -> int:
        """Write in place of ``os.write``, while the line before lacks its newline."""
        self._write = os.write  # no other thread must end that line, too
        try:
            written = os.write(fd, b"\n" + lines)
        except OSError:
            self._write = self._write_after_torn_line
            raise
        self._line_ended()
        return written - 1

    def _handle_short_write(self, lines: bytes, written: int, count: int) -> None:
        """Count the records that a short write has lost, and end the line that was cut off."""
        part = lines[:written]
        each = count // lines.count(b"\n")
        whole = each * part.count(b"\n")
        self.lost += count - whole
        self._in_segment += whole
        self._torn_bytes = written - part.rfind(b"\n") - 1
        self._torn_records = (
            each if self._torn_bytes and lines[written : written + 1] == b"\n" else 0
        )
        try:
            os.write(self._fd, b"\n")
        except OSError as error:
            self._write = self._write_after_torn_line
            self._warn_failure(error)
        else:
            self._line_ended()
            self._warn_failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def _line_ended(self) -> None:
        """Update the counts: the torn line has its newline now."""
        self.lost -= self._torn_records
        self._in_segment += self._torn_records
        self._torn_bytes = self._torn_records = 0

    def sync(self) -> None:
        """Sync to the disk: all appended records survive a crash of the machine."""
        self._check_segment(time.time())
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._warn_failure(error)

    def position(self) -> dict[str, int]:
        """Return the segment, and the number of bytes of its complete lines."""
        try:
            return {self._segment: os.fstat(self._fd).st_size - self._torn_bytes}
        except OSError as error:  # the program closed the descriptor, as daemons close all
            self._warn_failure(error)
            return {}

    def close(self) -> None:
        """Sync and close the segment."""
        if self._fd >= 0:
            self.sync()
            fd, self._fd = self._fd, -1
            _retire(fd)
            _writers.discard(self)

    def _check_segment(self, now: float) -> None:
        """Begin the next segment if this one is full; check that it was not deleted or moved."""
        # Another thread may be here, or this one, if a signal handler logs: one check suffices.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._check_at = now + _CHECK_SECONDS
            if os.fstat(self._fd).st_nlink == 0:
                # Appends to a deleted file succeed, and are lost: count them, and all that follow.
                self.lost += self._in_segment
                self._in_segment = 0
                self._warn_failure(FileNotFoundError(2, "the run's directory was deleted"))
                self.gone = True
            elif not (self._directory / f"{self._segment}.jsonl").exists():
                self._log_once(
                    "the directory of the run is not at %s any more. Training goes on: what is "
                    "logged is in the journal where that is now, but for files and long texts; "
                    "nothing is delivered until it is back, or is read there",
                    self._directory.parent,
                )
            elif self._left <= 0:
                self._rotate()
        except OSError as error:
            self._warn_failure(error)
        finally:
            self._lock.release()

    def _rotate(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._warn_failure(error)
        fd = self._open_next()
        # The number of the descriptor stays: another thread may be about to write to it.
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)
        self._left, self._in_segment = self._segment_bytes, 0

    def _open_next(self) -> int:
        host = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname()) or "host"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        while True:
            segment = f"{host}{self._chain}-{os.getpid()}-{self._number}"
            self._number += 1
            if (self._directory / f"{segment}.jsonl.gz").exists():  # it was compressed
                continue
            try:
                fd = (self._directory / f"{segment}.jsonl").open(flags)
            except FileExistsError:  # an earlier process with this pid, or an earlier start
                continue
            self._segment = segment
            fd = above_standard_streams(fd)
            hold(fd)  # before the first line: a segment with lines is sealed once nothing holds it
            return fd

    def failed(self, error: OSError, count: int = 1) -> None:
        """Count lost records, and log the error; each cause is logged once."""
        self.lost += count
        self._warn_failure(error)

    def _warn_failure(self, error: OSError) -> None:
        self._log_once(
            "the journal in %s cannot be written: %s. Training goes on; what is logged from here "
            "on may be lost, and is counted in the delivery report",
            self._directory,
            error.strerror or str(error),
        )

    def _log_once(self, message: str, *details: object) -> None:
        if (line := message % details) not in self._logged:
            self._logged.add(line)
            log.error("%s", line)

    def after_fork(self) -> None:
        """Reset what a forked child must not share with its parent."""
        # Another thread of the parent may have held the lock at the fork.
        self._lock = threading.Lock()
        self._in_segment = 0
        self.lost = 0


_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()
_retired: collections.deque[int] = collections.deque()
"""Descriptors of the segments that were closed last. They are open for the null device."""


def _retire(fd: int) -> None:
    """Close a segment, and keep the number of its descriptor in use for a while.

    Another thread may be about to write to that number. It must not write into a file that is
    opened next and gets the same number.
    """
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, fd, inheritable=False)
        os.close(nowhere)
    _retired.append(fd)
    if len(_retired) > _MOST_RETIRED:
        oldest = _retired.popleft()
        with contextlib.suppress(OSError):
            # Else the program has closed it, as daemons close all, and another file has it now.
            if os.path.samestat(os.fstat(oldest), os.stat(os.devnull)):
                os.close(oldest)


def _reset_writers() -> None:
    for writer in list(_writers):
        writer.after_fork()


os.register_at_fork(after_in_child=_reset_writers)
