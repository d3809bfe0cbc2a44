"""How a run truly ended, without a hook in the training process's signals or exits.

``stop()`` writes the ending, a ``Finished`` record, into the journal. So does the interpreter's
``atexit`` after an uncaught exception. A normal end and ``sys.exit(3)`` look the same from there:
only the C library knows the exit code. So each process that owns a run has an **exit file**, to
which the C library itself adds the code. The courier, or the next reader, looks at it. A process
that is gone and left no code there was killed.

The exit file has its size from the start of the run on. An ending that a full disk keeps out of the
journal is written over these bytes, with the count of what was lost.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import msgspec

from tracelet.journal.process import ProcessId, is_alive
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import Finished, Status, decode_lines, encode

_CONSOLE_SECONDS = 30.0
_PAUSE_SECONDS = 0.01
_RESERVED = 1000
"""Bytes of an exit file before the exit code; less than any limit of a file's size that lets a
journal begin."""
_SIGNALS = {130: "SIGINT", 137: "SIGKILL", 143: "SIGTERM"}
"""Exit codes with which shells and Python report a signal."""


def _exit_file(run_dir: RunDir, pid: int) -> Path:
    return run_dir.exit / str(pid)


def reserve_exit_file(run_dir: RunDir) -> None:
    """Write an empty exit file of this process, also over an old one of a process with its id."""
    try:
        run_dir.exit.mkdir(exist_ok=True)
        _exit_file(run_dir, os.getpid()).write_bytes(b" " * _RESERVED)
    except OSError:  # a part of it would be taken for an exit code
        remove_exit_file(run_dir)


def remove_exit_file(run_dir: RunDir) -> None:
    """Remove the exit file of this process: the journal has its ending."""
    with contextlib.suppress(OSError):
        _exit_file(run_dir, os.getpid()).unlink(missing_ok=True)


def save_to_exit_file(run_dir: RunDir, ending: Finished) -> None:
    """Write an ending that the journal does not take into the exit file of this process."""
    line = encode(ending)
    if len(line) > _RESERVED:
        line = encode(msgspec.structs.replace(ending, reason=None))
    with contextlib.suppress(OSError), _exit_file(run_dir, os.getpid()).open("r+b") as file:
        file.write(line.ljust(_RESERVED))


def record_exit_code(run_dir: RunDir) -> bool:
    """Have the C library add this process's exit code to its exit file.

    To be called while the interpreter is shutting down. glibc's ``on_exit`` hands the exit code to
    a function ``(int, void *)``, and ``fputc`` is one: it writes the code to an open file.

    Returns:
        Whether that is possible here.
    """
    import ctypes  # start-up time: needed only at exit, for a run that was not stopped

    try:
        libc = ctypes.CDLL(None)
        on_exit, fopen, fputc = libc.on_exit, libc.fopen, libc.fputc
        run_dir.exit.mkdir(exist_ok=True)
    except (AttributeError, OSError, TypeError):
        return False
    fopen.restype = ctypes.c_void_p
    file = fopen(os.fsencode(_exit_file(run_dir, os.getpid())), b"ae")
    if not file:
        return False
    return bool(on_exit(ctypes.cast(fputc, ctypes.c_void_p), ctypes.c_void_p(file)) == 0)


def unwritten_ending(run_dir: RunDir, state: RunState) -> Finished | None:
    """Return how a run has ended, if the journal does not say so yet; nothing is written.

    None for a run that lives, or that somebody on another host may be running.
    """
    if state.start is None or state.status != "running":
        return None
    process = state.start.process
    is_gone = is_alive(process) is False
    saved, code = _read_exit_file(_exit_file(run_dir, process["pid"]))
    is_known = saved is not None and saved.status is not None
    # The process may have written its ending itself, between the two looks.
    if not (is_gone or is_known) or state.update().status != "running":
        return None
    if is_known:
        return saved
    status, reason = ("killed", "the process is gone") if code is None else status_of_exit(code)
    ending = Finished(state.now(), status, reason or "exit code 0")
    if saved is not None:
        ending = msgspec.structs.replace(ending, lost=saved.lost, redacted=saved.redacted)
    return ending


def _read_exit_file(file: Path) -> tuple[Finished | None, int | None]:
    """Return the ending that was saved in an exit file, and the exit code in it."""
    try:
        content = file.read_bytes()
    except OSError:
        return None, None
    saved = None
    with contextlib.suppress(ValueError):
        saved = next(iter(decode_lines(content[:_RESERVED].strip())), None)
    code = content[-1] if len(content) == 1 or len(content) > _RESERVED else None
    return saved if isinstance(saved, Finished) else None, code


def write_missing_ending(run_dir: RunDir, state: RunState) -> Status:
    """Write the ending of a run into the journal, if the journal lacks it.

    A run that lives, or that somebody on another host may be running, is left as it is.

    Returns:
        The run's status.

    Raises:
        OSError: the ending cannot be written.
    """
    if unwritten_ending(run_dir, state) is None:
        return state.status
    _wait_for_console(run_dir)
    with run_dir.ending_lock():  # and its time is behind all that others wrote meanwhile
        ending = unwritten_ending(run_dir, state)
        if ending is not None:
            _write_ending(run_dir, ending)
    return state.update().status


def _write_ending(run_dir: RunDir, ending: Finished) -> None:
    writer = run_dir.writer()
    writer.append(ending)
    ((segment, size),) = writer.position().items()
    writer.close()
    if not size:  # the disk is full: it is tried again, each time with a segment of its own
        (run_dir.journal / f"{segment}.jsonl").unlink(missing_ok=True)


def _wait_for_console(run_dir: RunDir) -> None:
    """Wait until the last output of the process is in the journal, if that is recorded."""
    deadline = time.monotonic() + _CONSOLE_SECONDS
    while time.monotonic() < deadline:
        try:
            reader = msgspec.json.decode(run_dir.console_reader.read_bytes(), type=ProcessId)
        except (OSError, ValueError):  # it is done, or there was none
            return
        if is_alive(reader) is not True:
            return
        time.sleep(_PAUSE_SECONDS)


def status_of_exit(code: object) -> tuple[Status, str | None]:
    """Return the status and the reason for an exit code, or for what else ``sys.exit`` got."""
    if not code:
        return "finished", None
    if not isinstance(code, int):
        return "failed", f"exit: {code}"
    if code in _SIGNALS:
        return "killed", _SIGNALS[code]
    return "failed", f"exit code {code}"
