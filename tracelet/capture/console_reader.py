"""The process that reads what a program prints, forwards it, and records its lines in the run.

It outlives the program, so that the last output of a killed program is recorded. It forwards the
output of children after the end of the run. ``python -m`` starts it.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import select
import sys
import time
from pathlib import Path
from typing import IO

import msgspec

from tracelet.capture.channels import copy_size, forward
from tracelet.capture.terminal import TerminalLines
from tracelet.journal.process import ProcessId, is_alive
from tracelet.journal.rundir import RunDir
from tracelet.journal.writer import JournalWriter
from tracelet.records import Text, encode_points
from tracelet.redaction import Redactor
from tracelet.wire import clean_text

LOOK_SECONDS = 0.2
"""Seconds between two checks whether the program lives, and how wide its terminal is."""
LAST_SECONDS = 1.0
"""How long the output of children is recorded after the program was killed."""
LONGEST = 16_000
"""The largest number of characters in a line; a longer one is split."""


class ReaderConfig(msgspec.Struct):
    """The configuration of the reader, from the program.

    Attributes:
        channels: for each channel, the descriptors to read and to forward to, and whether the
            latter is a terminal.
        process: the program.
        redact: the setting ``redact``.
        marker: printed behind the last output of the run.
    """

    channels: list[tuple[int, int, bool]]
    process: ProcessId
    redact: bool | list[str]
    marker: str


class Stream:
    """One channel: forwards the output, and splits it into lines up to the marker."""

    def __init__(self, source: int, target: int, is_terminal: bool, marker: bytes) -> None:
        self.source = source
        self.is_open = True
        self.recorded = True  # whether the next output belongs to the run
        self._target = target
        self._is_terminal = is_terminal
        self._marker = marker
        self._held_back = b""  # may be the beginning of the marker
        self._lines = TerminalLines()
        self._target_is_open = True

    def read(self) -> list[str]:
        """Read the available output; return the lines of the run that it completes."""
        try:
            content = os.read(self.source, 1 << 16)
        except OSError:  # a terminal that no process has open any more
            content = b""
        self.is_open = bool(content)
        if not self.recorded:
            self._forward(content)
            return []
        content, self._held_back = self._held_back + content, b""
        before, found, behind = content.partition(self._marker)
        if found:
            self._forward(before + behind)
            return self._lines.feed(before) + self.end()
        if self.is_open:
            before, self._held_back = _split_marker_start(before, self._marker)
        self._forward(before)
        return self._lines.feed(before)

    def end(self) -> list[str]:
        """Stop recording; return the incomplete lines."""
        self.recorded = False
        self._forward(self._held_back)
        self._held_back = b""
        return self._lines.rest()

    def update_size(self) -> None:
        """Copy the size of the original terminal."""
        if self._is_terminal:
            copy_size(self._target, self.source)

    def _forward(self, content: bytes) -> None:
        if self._target_is_open and content:
            self._target_is_open = forward(content, self._target)


def _split_marker_start(content: bytes, marker: bytes) -> tuple[bytes, bytes]:
    """Split off the end of ``content`` if it may be the beginning of the marker."""
    at = content.rfind(marker[:1], max(0, len(content) - len(marker) + 1))
    if at >= 0 and marker.startswith(content[at:]):
        return content[:at], content[at:]
    return content, b""


class LineRecorder:
    """Records lines in the journal, as lines of the log, and in ``console.log``."""

    def __init__(self, run_dir: RunDir, redactor: Redactor) -> None:
        self._run_dir = run_dir
        self._redactor = redactor
        self._writer: JournalWriter | None = None
        self._file: IO[str] | None = None

    def add(self, lines: list[str]) -> None:
        """Record lines that were printed now."""
        if not lines:
            return
        if self._writer is None or self._file is None:
            self._writer = self._run_dir.writer()
            self._file = io.TextIOWrapper(self._run_dir.console.appending(), encoding="utf-8")
        # All at once, as a secret may have several lines; and before long lines are split.
        whole = clean_text(self._redactor.text("\n".join(lines))).split("\n")
        parts = [part for line in whole for part in _parts(line)]
        self._file.write("\n".join(parts) + "\n")
        self._file.flush()
        now = time.time()
        records = [Text(now, line) for line in parts if line]
        if records:
            self._writer.append_lines(encode_points(records), len(records), now)

    def close(self) -> None:
        """Close the journal and the file."""
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()


def _parts(line: str) -> list[str]:
    return [line[at : at + LONGEST] for at in range(0, len(line), LONGEST)] or [""]


def work(run_dir: RunDir, config: ReaderConfig) -> None:
    """Read until no process has the output open any more."""
    marker = config.marker.encode()
    streams = [Stream(*channel, marker) for channel in config.channels]
    record = LineRecorder(run_dir, Redactor.of(config.redact))
    recording = True
    looked = 0.0
    last = math.inf  # when the recording of a killed program ends
    while recording or any(stream.is_open for stream in streams):
        by_source = {stream.source: stream for stream in streams if stream.is_open}
        ready = select.select(list(by_source), [], [], LOOK_SECONDS)[0]
        for source in ready:
            record.add(by_source[source].read())
        now = time.monotonic()
        if now - looked > LOOK_SECONDS:
            looked = now
            for stream in streams:
                stream.update_size()
            if recording and last == math.inf and not is_alive(config.process):
                last = now + LAST_SECONDS
        for stream in streams:
            ends = not stream.is_open or now > last or (last < math.inf and not ready)
            if stream.recorded and ends:
                record.add(stream.end())
        if recording and not any(stream.recorded for stream in streams):
            recording = False
            record.close()
            run_dir.console_reader.unlink(missing_ok=True)
            with contextlib.suppress(BrokenPipeError):  # the program may be gone
                os.write(1, b".")  # all it has printed is recorded


if __name__ == "__main__":  # python -m tracelet.capture.console_reader RUN_DIR CONFIG
    work(RunDir(Path(sys.argv[1])), msgspec.json.decode(sys.argv[2], type=ReaderConfig))
