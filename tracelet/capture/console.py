"""Captures what the program prints, also by its libraries and children: the descriptors 1 and 2.

Promises:

- All output is forwarded to where it went before, in its order, byte for byte.
- Another process, the reader, reads it: output from before the program was killed is not lost.
- If the reader dies, it is started again; in the end a thread of the program forwards the output.
  The program does not wait for this, and gets no error.
- At the end of the run the redirection is undone; the output of remaining children is forwarded.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import sys
import threading
import time
from typing import ClassVar

import msgspec

from tracelet.capture.base import CaptureSource, Recorder
from tracelet.capture.channels import Channel, divert, forward
from tracelet.hookspecs import hookimpl
from tracelet.journal.process import process_of, this_process
from tracelet.journal.rundir import RunDir

log = logging.getLogger(__name__)

MAX_STARTS = 3
"""How often the reader is started again before a thread takes its place."""
STOP_SECONDS = 10.0
"""How long the end of a run waits for the output to be read."""

LOOK_SECONDS = 0.2
_PAUSE_SECONDS = 0.01
_READER = "tracelet.capture.console_reader"
_of_process: list[Console] = []


class Console(CaptureSource):
    """Records the output as lines of the run's log and in ``console.log``."""

    name: ClassVar[str] = "console"
    _run_dir: RunDir
    _marker: bytes

    def __init__(self) -> None:
        self._channels: list[Channel] = []
        self._reader: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []
        self._watcher = threading.Thread(target=self._watch, name="tracelet-console", daemon=True)
        self._ends = False

    def start(self, recorder: Recorder) -> None:
        if not sys.executable:
            raise RuntimeError("it needs sys.executable")
        if _of_process:
            raise RuntimeError("the output of this process is recorded in another run already")
        self._run_dir = RunDir(recorder.dir)
        # No program prints this, and a terminal shows nothing of it.
        self._marker = b"\x1b]tracelet %s\x07" % os.urandom(16).hex().encode()
        _flush()
        self._channels = divert()
        if not self._channels:
            return
        _of_process.append(self)
        redact = recorder.settings.redact
        config = {
            "channels": [[one.source, one.target, one.is_terminal] for one in self._channels],
            "process": this_process(),
            "redact": redact if isinstance(redact, bool) else list(redact),
            "marker": self._marker.decode(),
        }
        given = msgspec.json.encode(config).decode()
        self._command = [sys.executable, "-P", "-m", _READER, str(recorder.dir), given]
        try:
            self._launch()
        except OSError:
            self._close_channels()
            raise
        self._watcher.start()

    def stop(self) -> None:
        if self not in _of_process:
            return
        _flush()
        marked = all(self._reader is not None and self._mark(one) for one in self._channels)
        for channel in self._channels:
            channel.restore()
        read = marked and self._is_read()
        self._ends = True
        if not read and self._reader is None:
            self._watcher.join(STOP_SECONDS)
            self._forward_rest()
        self._close_channels()

    def _close_channels(self) -> None:
        """Close the channels; the reader has copies of the descriptors."""
        for channel in self._channels:
            channel.restore()
            os.close(channel.source)
            os.close(channel.target)
        self._channels = []
        _close(self._reader)
        if self in _of_process:
            _of_process.remove(self)

    def _is_read(self) -> bool:
        """Wait until everything before the marks is recorded, also by a restarted reader."""
        deadline = time.monotonic() + STOP_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            reader = self._reader
            if reader is None or reader.stdout is None:
                return False
            if select.select([reader.stdout], [], [], left)[0] and os.read(
                reader.stdout.fileno(), 1
            ):
                return True
            while self._reader is reader and time.monotonic() < deadline:  # it has died
                time.sleep(_PAUSE_SECONDS)
        return False

    def _mark(self, channel: Channel) -> bool:
        """Print the mark behind all output; return False if that is not possible."""
        descriptors = channel.redirected()
        if not descriptors:  # the program has redirected its output
            return False
        deadline = time.monotonic() + STOP_SECONDS
        while not select.select([], descriptors[:1], [], 0.05)[1]:
            if time.monotonic() > deadline:
                return False
        with contextlib.suppress(OSError):
            return os.write(descriptors[0], self._marker) == len(self._marker)
        return False

    def _launch(self) -> None:
        passed = [fd for one in self._channels for fd in (one.source, one.target)]
        given: list[object] = [*sys.path]
        path = [entry for entry in given if isinstance(entry, str) and entry]
        before = self._reader
        with self._run_dir.courier_log.appending() as errors:
            self._reader = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=passed,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                start_new_session=True,  # Ctrl-C at the terminal is for the program
            )
        _close(before)
        # If the program is killed, the courier waits for this process to record the last output.
        reader = msgspec.json.encode(process_of(self._reader.pid))
        self._run_dir.console_reader.replace(reader)

    def _watch(self) -> None:
        """Start the reader again if it dies; meanwhile the channels buffer the output."""
        for left in reversed(range(MAX_STARTS)):
            assert self._reader is not None
            if self._reader.wait() == 0 or self._ends:
                return
            if left:
                try:
                    self._launch()
                except OSError:
                    break
        _close(self._reader)
        self._reader = None
        self._run_dir.console_reader.unlink(missing_ok=True)
        for channel in self._channels:
            channel.restore()
        log.warning("the output is not recorded any more: the process that reads it keeps dying")
        while not self._ends and self._forward_rest(LOOK_SECONDS):
            pass

    def _forward_rest(self, seconds: float = 0.0) -> bool:
        """Forward the rest of the output, and that of children; return whether more can come."""
        sources = {channel.source: channel.target for channel in self._channels}
        while sources:
            ready = select.select(list(sources), [], [], seconds)[0]
            if not ready:
                return True
            for source in ready:
                try:
                    content = os.read(source, 1 << 16)
                except OSError:  # a terminal that no process has open any more
                    content = b""
                content = content.replace(self._marker, b"")
                if not content or not forward(content, sources[source]):
                    del sources[source]
        return False


def _close(reader: subprocess.Popen[bytes] | None) -> None:
    if reader is not None and reader.stdout is not None:
        reader.stdout.close()


def _flush() -> None:
    """Flush the buffers of Python and of the C library."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, broken or closed
            stream.flush()
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes  # some builds of Python do not have it

        ctypes.CDLL(None).fflush(None)


# A forked child prints on as its parent, but the capture is not its to end.
os.register_at_fork(after_in_child=_of_process.clear)


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    return Console
