"""Identifies a process, and finds out whether it is alive.

The system reuses a process id. Together with the boot and the start time of the process it is
unique.
"""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path
from typing import TypedDict

from tracelet.errors import InvalidValueError


class ProcessId(TypedDict):
    """Identifies a process; ``token`` differs from that of any other process with this id."""

    host: str
    pid: int
    token: str


def check_process(process: ProcessId) -> None:
    """Raise InvalidValueError unless a process can have this id; a file is named after it."""
    if not 0 < process["pid"] < 2**31:
        raise InvalidValueError(f"{process['pid']!r} is no process")


def this_process() -> ProcessId:
    """Return the identity of the calling process."""
    return process_of(os.getpid())


def process_of(pid: int) -> ProcessId:
    """Return the identity of a process of this host that lives, or was not waited for yet."""
    return {"host": socket.gethostname(), "pid": pid, "token": _token(pid) or ""}


def ancestors() -> tuple[ProcessId, ...]:
    """Return the parent process of this one, the parent of that, and so on.

    They are looked for once; a process above the parent may have died meanwhile.
    """
    return _ancestors(os.getpid(), os.getppid())


@functools.lru_cache(maxsize=1)
def _ancestors(_: int, parent: int) -> tuple[ProcessId, ...]:
    found, pid, seen = [], parent, set[int]()
    while pid > 0 and pid not in seen:
        seen.add(pid)
        found.append(process_of(pid))
        pid = _parent_of(pid)
    return tuple(found)


def _parent_of(pid: int) -> int:
    """Return the id of the parent of a process; 0 if there is none."""
    if _boot() is None:
        return _parent_without_proc(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[1])


def is_alive(process: ProcessId) -> bool | None:
    """Return whether the process lives; None if it is on another host."""
    if process["host"] != socket.gethostname():
        return None
    return _token(process["pid"]) == process["token"]


@functools.cache
def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _token(pid: int) -> str | None:
    """Return a ``str`` that no other process with this id has; None if the process is dead."""
    boot = _boot()
    if boot is None:
        return _token_without_proc(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # proc(5): after the name in parentheses come the state and, 19 fields on, the start time.
    fields = stat.rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return f"{boot}:{int(fields[19])}"


def _parent_without_proc(pid: int) -> int:
    import psutil  # start-up time, as below

    try:
        return int(psutil.Process(pid).ppid())
    except psutil.Error:
        return 0


def _token_without_proc(pid: int) -> str | None:
    import psutil  # start-up time: 20 ms that a process on Linux does not need

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None
