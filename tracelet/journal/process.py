"""Is the process that wrote a run still alive? A wrong answer would end a living run.

A process id alone is reused; together with the boot and the start time of the process it is not.
"""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path
from typing import TypedDict


class ProcessId(TypedDict):
    """Identifies a process: the token tells it from others that had the same id."""

    host: str
    pid: int
    token: str


def this_process() -> ProcessId:
    """Describe the calling process."""
    return process_of(os.getpid())


def process_of(pid: int) -> ProcessId:
    """Describe a process of this host, while it lives or was not waited for yet."""
    return {"host": socket.gethostname(), "pid": pid, "token": _token(pid) or ""}


def is_alive(process: ProcessId) -> bool | None:
    """Return whether the process lives; None if that is unknown, as it is on another host."""
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
    """Return what no other process with this id ever has; None if the process is dead."""
    boot = _boot()
    if boot is None:
        return _token_elsewhere(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # proc(5): after the name in parentheses come the state and, 19 fields on, the start time.
    fields = stat.rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return f"{boot}:{int(fields[19])}"


def _token_elsewhere(pid: int) -> str | None:
    import psutil  # start-up time: 20 ms that a process on Linux does not need

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None
