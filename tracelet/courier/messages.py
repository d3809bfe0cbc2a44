"""What the processes of a run say to each other: one JSON line at the start, then single words.

The training process tells the courier on its stdin, the courier tells each worker on its stdin:
first an :class:`Orders` line, later ``wake``; the end of the stream means that the teller is gone.
A worker tells the courier on its stdout: ``busy <seconds>`` when a call begins, ``idle`` when it
has returned. Options travel here and not on a command line or a disk: they may hold secrets.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import msgspec

WAKE = b"wake\n"
BUSY, IDLE = b"busy", b"idle"
LOCKED = 3
"""The exit code of a courier that found another one at work."""
DONE = 4
"""The exit code of a worker with nothing left to do; an SDK that ends its process has another."""


class Orders(msgspec.Struct):
    """The first line.

    Attributes:
        options: the options of each backend.
        linger: seconds after the end of the run for which a failing backend is tried.
        only: the backends to deliver to; None: all of the run.
        system_metrics: the seconds between two readings of system metrics; None: none are read.
    """

    options: dict[str, dict[str, Any]] = {}
    linger: float = 600.0
    only: list[str] | None = None
    system_metrics: float | None = None


def read_orders(stream: IO[bytes]) -> Orders:
    """Read the first line; defaults if the stream ends before it, or is somebody's keyboard."""
    if stream.isatty():
        return Orders()
    line = stream.readline()
    return msgspec.json.decode(line, type=Orders) if line.strip() else Orders()


def launch(
    run_dir: Path, orders: Orders, log: Path, *, backend: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a courier, or the worker of one backend, and give it its orders.

    It gets this process's ``sys.path``, so that the modules of the user are found, a session of its
    own, so that Ctrl-C at the terminal does not reach it, and a log file for what the SDKs print.
    """
    command = [sys.executable, "-P", "-m", "tracelet", "courier", str(run_dir)]
    if backend is not None:
        command += ["--backend", backend]
    path = os.pathsep.join(_search_path())
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if backend is not None else errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
    tell(process, msgspec.json.encode(orders) + b"\n")
    assert process.stdin is not None
    # One that is stopped does not read: with the pipe full of words, it lacks none of them.
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _search_path() -> list[str]:
    """Return ``sys.path`` for another process: what is no text in it, Python ignores anyway."""
    given: list[object] = [*sys.path]
    entries = [entry for entry in given if isinstance(entry, str)]
    try:
        here = os.getcwd()
    except OSError:  # the working directory was deleted
        return [entry for entry in entries if entry]
    return [entry or here for entry in entries]


def tell(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Send a line to a courier or a worker; harmless if it is gone, or does not read."""
    assert process.stdin is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except (OSError, ValueError):  # it has ended, or does not read; who waits for it sees that
        return
