"""How a run truly ended, found out without a hook in the training process's signals or exits.

``stop()`` writes the ending into the journal, and so does the interpreter's ``atexit`` after an
uncaught exception. A normal end and ``sys.exit(3)`` look the same from there: the exit code is
known only to the C library. So at exit a file is armed to which libc itself adds the code, and the
courier, or the next reader, looks at it. A process that is gone and left nothing was killed.

The file has its bytes from the start of the run on: an ending that a full disk keeps out of the
journal goes over them, with the count of what was lost.
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
"""Bytes that the file of a process has before its exit code; less than any limit of a file's size
that lets a journal begin."""
_SIGNALS = {130: "SIGINT", 137: "SIGKILL", 143: "SIGTERM"}
"""Exit codes with which shells and Python report a signal."""


def _file(run_dir: RunDir, pid: int) -> Path:
    return run_dir.exit / str(pid)


def reserve_ending(run_dir: RunDir) -> None:
    """Make the file of this process, or make it anew: in containers all have the same id."""
    file = _file(run_dir, os.getpid())
    try:
        run_dir.exit.mkdir(exist_ok=True)
        file.write_bytes(b" " * _RESERVED)
    except OSError:  # a part of it would be taken for an exit code
        forget_ending(run_dir)


def forget_ending(run_dir: RunDir) -> None:
    """Remove the file of this process: the journal has its ending."""
    with contextlib.suppress(OSError):
        _file(run_dir, os.getpid()).unlink(missing_ok=True)


def keep_ending(run_dir: RunDir, ending: Finished) -> None:
    """Keep in the file of this process an ending that the journal does not take."""
    line = encode(ending)
    if len(line) > _RESERVED:
        line = encode(msgspec.structs.replace(ending, reason=None))
    with contextlib.suppress(OSError), _file(run_dir, os.getpid()).open("r+b") as file:
        file.write(line.ljust(_RESERVED))


def arm_exit_code(run_dir: RunDir) -> bool:
    """Have the C library write this process's exit code into the run's directory.

    To be called while the interpreter is shutting down. glibc's ``on_exit`` hands the exit code to
    a function ``(int, void *)``, and ``fputc`` is one: it writes the code to an open file.

    Returns:
        Whether that is possible here.
    """
    import ctypes  # only at exit, and only for a run that was not stopped

    try:
        libc = ctypes.CDLL(None)
        on_exit, fopen, fputc = libc.on_exit, libc.fopen, libc.fputc
        run_dir.exit.mkdir(exist_ok=True)
    except (AttributeError, OSError, TypeError):
        return False
    fopen.restype = ctypes.c_void_p
    file = fopen(os.fsencode(_file(run_dir, os.getpid())), b"ae")
    if not file:
        return False
    return bool(on_exit(ctypes.cast(fputc, ctypes.c_void_p), ctypes.c_void_p(file)) == 0)


def unwritten_ending(run_dir: RunDir, life: RunState) -> Finished | None:
    """Return how a run has ended, if the journal does not say so yet.

    None for a run that lives, or that somebody on another host may be running. Nothing is written.
    """
    if life.start is None or life.status != "running":
        return None
    process = life.start.process
    is_gone = is_alive(process) is False
    kept, code = _left_by(_file(run_dir, process["pid"]))
    is_told = kept is not None and kept.status is not None
    # Perhaps the process has written it by itself, between the two looks.
    if not (is_gone or is_told) or life.update().status != "running":
        return None
    if is_told:
        return kept
    status, reason = ("killed", "the process is gone") if code is None else ending_of_exit(code)
    ending = Finished(life.now(), status, reason or "exit code 0")
    if kept is not None:
        ending = msgspec.structs.replace(ending, lost=kept.lost, redacted=kept.redacted)
    return ending


def _left_by(file: Path) -> tuple[Finished | None, int | None]:
    """Return the ending that a process has left in its file, and its exit code."""
    try:
        content = file.read_bytes()
    except OSError:
        return None, None
    kept = None
    with contextlib.suppress(ValueError):
        kept = next(iter(decode_lines(content[:_RESERVED].strip())), None)
    code = content[-1] if len(content) == 1 or len(content) > _RESERVED else None
    return kept if isinstance(kept, Finished) else None, code


def settle(run_dir: RunDir, life: RunState) -> Status:
    """Write the ending of a run that the journal does not have; return the run's status.

    A run that lives, or that somebody on another host may be running, is left as it is.

    Raises:
        OSError: the ending cannot be written.
    """
    if unwritten_ending(run_dir, life) is None:
        return life.status
    _let_console_finish(run_dir)
    with run_dir.ending_lock():  # its time, too: behind all that others wrote meanwhile
        ending = unwritten_ending(run_dir, life)
        if ending is not None:
            _write_ending(run_dir, ending)
    return life.update().status


def _write_ending(run_dir: RunDir, ending: Finished) -> None:
    writer = run_dir.writer()
    writer.append(ending)
    ((segment, size),) = writer.position().items()
    writer.close()
    if not size:  # the disk is full: it is tried again, each time with a segment of its own
        (run_dir.journal / f"{segment}.jsonl").unlink(missing_ok=True)


def _let_console_finish(run_dir: RunDir) -> None:
    """Wait until the last words of the process are in the journal, if somebody records them."""
    deadline = time.monotonic() + _CONSOLE_SECONDS
    while time.monotonic() < deadline:
        try:
            reader = msgspec.json.decode(run_dir.console_reader.read_bytes(), type=ProcessId)
        except (OSError, ValueError):  # it is done, or there was none
            return
        if is_alive(reader) is not True:
            return
        time.sleep(_PAUSE_SECONDS)


def ending_of_exit(code: object) -> tuple[Status, str | None]:
    """Return the ending that an exit code tells, or what else ``sys.exit`` was given."""
    if not code:
        return "finished", None
    if not isinstance(code, int):
        return "failed", f"exit: {code}"
    if code in _SIGNALS:
        return "killed", _SIGNALS[code]
    return "failed", f"exit code {code}"
