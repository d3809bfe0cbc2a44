"""The messages between the processes of a run: one line of JSON at the start, then short lines.

The training process writes to the courier's stdin, the courier to the stdin of each worker: first a
:class:`WorkerConfig`, later ``wake`` or ``retry``. The end of the stream means that the sender is
gone. A worker writes to the courier through its stdout: ``busy <seconds>`` when a call begins,
``idle`` when it has returned. Options are sent here, and not on a command line or a disk: they may
hold secrets.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, Any

import msgspec

from tracelet.journal.rundir import RunDir
from tracelet.settings_fields import START_TIMEOUT

WAKE = b"wake\n"
RETRY = b"retry\n"
BUSY, IDLE = b"busy", b"idle"
LOCKED = 3
"""The exit code of a courier if another courier delivers the run."""
DONE = 4
"""The exit code of a worker that has delivered everything; an SDK's ``sys.exit`` has another."""


class WorkerConfig(msgspec.Struct):
    """The configuration of a courier or a worker: the first line that it reads.

    Attributes:
        options: the options of each backend.
        linger: how many seconds after the end of the run a failing backend is tried.
        only: the backends to deliver to; None: all backends of the run.
        system_metrics: the seconds between two readings of system metrics; None: no readings.
        start_timeout: the seconds that a worker may take to import its SDK, and to open the run.
    """

    options: dict[str, dict[str, Any]] = {}
    linger: float = 600.0
    only: list[str] | None = None
    system_metrics: float | None = None
    start_timeout: float = START_TIMEOUT


def read_config(stream: IO[bytes]) -> WorkerConfig:
    """Read the configuration; the default one if the stream is empty, or a terminal."""
    if stream.isatty():
        return WorkerConfig()
    line = stream.readline()
    return msgspec.json.decode(line, type=WorkerConfig) if line.strip() else WorkerConfig()


def start_process(
    run_dir: RunDir, config: WorkerConfig, *, backend: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a courier, or the worker of one backend.

    The process gets the ``sys.path`` of this one, so that it finds the user's modules. It gets a
    session of its own, so that Ctrl-C at the terminal does not reach it.

    Args:
        run_dir: the run; its ``courier.log`` gets the output of the SDKs, too.
        config: sent to the process.
        backend: the backend of a worker; None: start a courier.

    Raises:
        OSError: no process can be started.
    """
    command = [sys.executable, "-P", "-m", "tracelet", "courier", str(run_dir.path)]
    if run_dir.reader_dir is not None:
        command += ["--reader", str(run_dir.reader_dir)]
    if backend is not None:
        command += ["--backend", backend]
    path = os.pathsep.join(_search_path())
    with run_dir.courier_log.appending() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if backend is not None else errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
    send(process, msgspec.json.encode(config) + b"\n")
    assert process.stdin is not None
    # A stopped process does not read. A pipe full of wake messages needs no other one.
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _search_path() -> list[str]:
    """Return ``sys.path`` for another process, without entries that Python ignores."""
    given: list[object] = [*sys.path]
    entries = [entry for entry in given if isinstance(entry, str)]
    try:
        here = os.getcwd()
    except OSError:  # the working directory was deleted
        return [entry for entry in entries if entry]
    return [entry or here for entry in entries]


def send(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Send a line to a courier or a worker; harmless if it has ended, or does not read."""
    assert process.stdin is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except (OSError, ValueError):  # whoever waits for the process notices its end
        return


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    """Close this end of the pipes to a process."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # the process has ended before it read the last message
                continue
