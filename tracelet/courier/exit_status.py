"""Finds out how a run ended, without signal handlers or exit hooks in the training process.

``stop()`` writes the ending, a ``Finished`` record, into the journal. So does ``atexit`` after an
uncaught exception. ``atexit`` cannot tell a normal end from ``sys.exit(3)``: only the C library has
the exit code. So each process that owns a run has an **exit file**, to which the C library adds the
code. The courier, or the next reader, reads it. A process that is gone and left no code was killed.

The exit file has its full size from the start of the run on. If a full disk keeps the ending out of
the journal, the ending is written over these bytes, with the count of lost records.
"""

from __future__ import annotations

import contextlib
import os
import time

import msgspec

from tracelet.inner_path import InnerPath
from tracelet.journal.process import ProcessId, is_alive
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import Finished, Status, decode_lines, encode

_CONSOLE_SECONDS = 30.0
_PAUSE_SECONDS = 0.01
_RESERVED = 1000
"""Bytes of an exit file before the exit code."""
_SIGNALS = {130: "SIGINT", 137: "SIGKILL", 143: "SIGTERM"}
"""Exit codes by which shells and Python report a signal."""


def _exit_file(run_dir: RunDir, pid: int) -> InnerPath:
    return run_dir.exit / str(pid)


def reserve_exit_file(run_dir: RunDir) -> None:
    """Write an empty exit file for this process; replace one of an earlier process with its id."""
    try:
        run_dir.exit.mkdir()
        _exit_file(run_dir, os.getpid()).replace(b" " * _RESERVED)
    except OSError:  # an incomplete file would be read as an exit code
        remove_exit_file(run_dir)


def remove_exit_file(run_dir: RunDir) -> None:
    """Remove the exit file of this process: the journal has the ending."""
    with contextlib.suppress(OSError):
        _exit_file(run_dir, os.getpid()).unlink(missing_ok=True)


def save_to_exit_file(run_dir: RunDir, ending: Finished) -> None:
    """Write an ending into the exit file of this process, as the journal cannot be written."""
    line = encode(ending)
    if len(line) > _RESERVED:
        line = encode(msgspec.structs.replace(ending, reason=None))
    # Over the bytes that are there: the disk is full.
    with contextlib.suppress(OSError):
        fd = _exit_file(run_dir, os.getpid()).open(os.O_RDWR)
        with os.fdopen(fd, "r+b") as file:
            file.write(line.ljust(_RESERVED))


def record_exit_code(run_dir: RunDir) -> bool:
    """Have the C library add this process's exit code to its exit file.

    Call it while the interpreter shuts down. glibc's ``on_exit`` calls a function ``(int, void *)``
    with the exit code. ``fputc`` is such a function: it writes the code to an open file.

    Returns:
        Whether the C library can do this.
    """
    import ctypes  # start-up time: needed only at exit, for a run that was not stopped

    try:
        libc = ctypes.CDLL(None)
        on_exit, fdopen, fputc = libc.on_exit, libc.fdopen, libc.fputc
        run_dir.exit.mkdir()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        fd = _exit_file(run_dir, os.getpid()).open(flags)
    except (AttributeError, OSError, TypeError):
        return False
    fdopen.restype = ctypes.c_void_p
    file = fdopen(fd, b"a")
    if not file:
        return False
    return bool(on_exit(ctypes.cast(fputc, ctypes.c_void_p), ctypes.c_void_p(file)) == 0)


def unwritten_ending(run_dir: RunDir, state: RunState) -> Finished | None:
    """Return the ending of a run that the journal does not have yet; nothing is written.

    Returns:
        The ending; None if the journal has it, or the run lives, or its process is on another host.
    """
    if state.start is None or state.status != "running":
        return None
    process = state.start.process
    is_gone = is_alive(process) is False
    saved, code = _read_exit_file(_exit_file(run_dir, process["pid"]))
    is_known = saved is not None and saved.status is not None
    # The process may have written its ending itself meanwhile.
    if not (is_gone or is_known) or state.update().status != "running":
        return None
    if is_known:
        return saved
    status, reason = ("killed", "the process is gone") if code is None else status_of_exit(code)
    ending = Finished(state.now(), status, reason or "exit code 0")
    if saved is not None:
        ending = msgspec.structs.replace(ending, lost=saved.lost, redacted=saved.redacted)
    return ending


def _read_exit_file(file: InnerPath) -> tuple[Finished | None, int | None]:
    """Return the ending and the exit code in an exit file, each None if it is not there."""
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

    A run that lives, or whose process is on another host, is left as it is. That of a run which is
    not this user's own is only taken for granted.

    Returns:
        The run's status.

    Raises:
        OSError: the ending cannot be written.
    """
    missing = unwritten_ending(run_dir, state)
    if missing is None:
        return state.status
    if not run_dir.is_own:
        state.assume_ended(missing)
        return state.status
    _wait_for_console(run_dir)
    with run_dir.ending_lock():  # the ending's time is after all records of other processes
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
    """Wait until the last output of the process is in the journal, if output is recorded."""
    deadline = time.monotonic() + _CONSOLE_SECONDS
    while time.monotonic() < deadline:
        try:
            reader = msgspec.json.decode(run_dir.console_reader.read_bytes(), type=ProcessId)
        except (OSError, ValueError):  # the console reader is done, or there was none
            return
        if is_alive(reader) is not True:
            return
        time.sleep(_PAUSE_SECONDS)


def status_of_exit(code: object) -> tuple[Status, str | None]:
    """Return the status and the reason for the argument of ``sys.exit``, e.g. an exit code."""
    if not code:
        return "finished", None
    if not isinstance(code, int):
        return "failed", f"exit: {code}"
    if code in _SIGNALS:
        return "killed", _SIGNALS[code]
    return "failed", f"exit code {code}"
