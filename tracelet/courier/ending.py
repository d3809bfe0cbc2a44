"""How a run truly ended, found out without a hook in the training process's signals or exits.

``stop()`` writes the ending into the journal, and so does the interpreter's ``atexit`` after an
uncaught exception. A normal end and ``sys.exit(3)`` look the same from there: the exit code is
known only to the C library. So at exit a file is armed into which libc itself writes the code, and
the courier, or the next reader, looks at it. A process that is gone and left nothing was killed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from tracelet.journal.lifecycle import Lifecycle
from tracelet.journal.process import ProcessId, is_alive
from tracelet.journal.rundir import RunDir
from tracelet.records import Finished, Status

_CONSOLE_SECONDS = 30.0
_PAUSE_SECONDS = 0.01
_SIGNALS = {130: "SIGINT", 137: "SIGKILL", 143: "SIGTERM"}
"""Exit codes with which shells and Python report a signal."""


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
    file = fopen(os.fsencode(run_dir.exit / str(os.getpid())), b"we")
    if not file:
        return False
    return bool(on_exit(ctypes.cast(fputc, ctypes.c_void_p), ctypes.c_void_p(file)) == 0)


def forget_exit_code(run_dir: RunDir) -> None:
    """Forget how an earlier process of the run with this one's id ended: in containers all have."""
    (run_dir.exit / str(os.getpid())).unlink(missing_ok=True)


def settle(run_dir: RunDir, life: Lifecycle) -> Status:
    """Write the ending of a run whose process is gone; return the run's status.

    A run that lives, or that somebody on another host may be running, is left as it is.

    Raises:
        OSError: the ending cannot be written.
    """
    if life.launch is None or life.status != "running":
        return life.status
    if is_alive(life.launch.process) is not False:
        return "running"
    ended = life.update().status  # perhaps by the process itself, between the two looks
    if ended != "running":
        return ended
    _let_console_finish(run_dir)
    status, reason = _ending(run_dir.exit / str(life.launch.process["pid"]))
    _write_ending(run_dir, Finished(life.now(), status, reason))
    return life.update().status


def _write_ending(run_dir: RunDir, ending: Finished) -> None:
    with run_dir.ending():
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
        except (OSError, msgspec.DecodeError):  # it is done, or there was none
            return
        if is_alive(reader) is not True:
            return
        time.sleep(_PAUSE_SECONDS)


def _ending(exit_file: Path) -> tuple[Status, str]:
    try:
        code = exit_file.read_bytes()[0]
    except (OSError, IndexError):
        return "killed", "the process is gone"
    status, reason = ending_of_exit(code)
    return status, reason or "exit code 0"


def ending_of_exit(code: object) -> tuple[Status, str | None]:
    """Return the ending that an exit code tells, or what else ``sys.exit`` was given."""
    if not code:
        return "finished", None
    if not isinstance(code, int):
        return "failed", f"exit: {code}"
    if code in _SIGNALS:
        return "killed", _SIGNALS[code]
    return "failed", f"exit code {code}"
