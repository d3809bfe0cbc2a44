"""Finds out whether an exception has left the function in which a run was started.

A caller may catch that exception and start the next run: the run of the function has failed all the
same. Python tells nobody of it, unless each line of the program is traced. So a small object is put
into the frame of the function, as its ``f_trace``, which Python does not look at unless a debugger
runs. It goes away with the frame:

- while the function's caller is still at the call: the function has returned. The run goes on in
  the caller, whose frame gets the object next;
- while an ``except`` clause ends: the exception that it has handled had kept the frame;
- else nobody knows: something else has kept the frame.

If the object is still there when the run ends, the frame runs, or something keeps it: then its last
instruction tells how it was left. No frame is kept here, and so no variable of the program.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from tracelet.capture.program import PROGRAM, rank_of_frame
from tracelet.core.exit import Left
from tracelet.redaction import Redactor

if TYPE_CHECKING:  # start-up time
    import dis

_NOT_CALLED = 0x20 | 0x80 | 0x200
"""The flags of code that is left and entered again, as ``inspect`` has them: CO_GENERATOR,
CO_COROUTINE, CO_ASYNC_GENERATOR."""
_WINDOW = 3
"""The instructions of an ``except`` clause after POP_EXCEPT in which the exception can go away."""


class _Mark:
    """The object in a frame."""

    def __call__(self, *_: object) -> _Mark:
        """Trace nothing: if a debugger comes, it finds this in place of a trace function."""
        return self


class Departure:
    """How the function was left in which a run was started.

    Args:
        frame: the frame of that function.
        left: called when an exception has left it, which is not known any more.
    """

    def __init__(self, frame: FrameType | None, left: Callable[[Left], object]) -> None:
        self._note_left = left
        self._function = ""
        self._mark: weakref.ref[_Mark] | None = None
        self._call: tuple[object, int] | None = None
        if frame is not None:
            self._watch(frame)

    def left(self, redactor: Redactor) -> Left | None:
        """Return how an exception has left the function, if that is kept; None: none has.

        Args:
            redactor: hides the secrets in the message of the exception.
        """
        mark = self._mark() if self._mark is not None else None
        if mark is None or any(frame.f_trace is mark for frame in _running_frames()):
            return None
        for error in (sys.exc_info()[1], getattr(sys, "last_value", None)):
            if error is not None and any(
                frame.f_trace is mark for frame in _frames_of(error.__traceback__)
            ):
                return Left.by(error, redactor)
        for frame in gc.get_referrers(mark):  # slow, and rare
            if isinstance(frame, FrameType) and frame.f_trace is mark:
                found, at = _instructions(frame)
                is_left = at is not None and not found[at].opname.startswith("RETURN")
                return self._unknown() if is_left else None
        return None

    def _unknown(self) -> Left:
        reason = f"an exception has left {self._function}, where the run was started"
        return Left("failed", reason)

    def _watch(self, frame: FrameType) -> None:
        if (
            frame.f_code.co_flags & _NOT_CALLED
            or frame.f_trace is not None
            or sys.gettrace() is not None
            or rank_of_frame(frame) > PROGRAM
        ):
            return
        back = frame.f_back
        self._call = (back.f_code, back.f_lasti) if back is not None else None
        self._function = f"{frame.f_code.co_name} ({frame.f_code.co_filename})"
        mark = _Mark()
        self._mark = weakref.ref(mark, self._gone)
        frame.f_trace = mark

    def _gone(self, mark: object) -> None:
        if mark is not self._mark or sys.is_finalizing():
            return
        try:
            frame = sys._getframe(1)  # noqa: SLF001 - the documented way
        except ValueError:  # the frame of a thread, or of the script
            return
        if self._call == (frame.f_code, frame.f_lasti):
            self._watch(frame)
        elif (handled := _handled_names(frame)) is not None and "SystemExit" not in handled:
            interrupted = handled == {"KeyboardInterrupt"}
            self._note_left(Left("killed", "KeyboardInterrupt") if interrupted else self._unknown())


def caller_of_tracelet() -> FrameType | None:
    """Return the frame that has called tracelet."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    return frame


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "tracelet"


def _handled_names(frame: FrameType) -> set[str] | None:
    """Return the names in the ``except`` clause that ends in a frame; None if none ends there."""
    found, at = _instructions(frame)
    if at is None:
        return None
    if not any(one.opname == "POP_EXCEPT" for one in found[max(0, at - _WINDOW) : at + 2]):
        return None
    names = set[str]()
    is_of_clause = False
    for one in reversed(found[:at]):
        if one.opname == "CHECK_EXC_MATCH":
            is_of_clause = True
        elif is_of_clause and not one.opname.startswith(("LOAD_", "BUILD_")):
            break
        elif is_of_clause and isinstance(one.argval, str):
            names.add(one.argval)
        elif one.opname == "PUSH_EXC_INFO":
            break
    return names


def _instructions(frame: FrameType) -> tuple[list[dis.Instruction], int | None]:
    """Return the instructions of a frame, and the place of the present or last one."""
    import dis  # start-up time

    found = list(dis.get_instructions(frame.f_code))
    return found, next((at for at, one in enumerate(found) if one.offset == frame.f_lasti), None)


def _running_frames() -> Iterator[FrameType]:
    for last in sys._current_frames().values():  # noqa: SLF001 - the documented way
        frame: FrameType | None = last
        while frame is not None:
            yield frame
            frame = frame.f_back


def _frames_of(trace: TracebackType | None) -> Iterator[Any]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next
