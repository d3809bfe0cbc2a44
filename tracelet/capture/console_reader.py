"""The process that reads what a program prints: passes it on, and records its lines in the run.

It outlives the program, so that what one printed before it was killed is recorded, and goes on
passing on what children print when the run is over. ``python -m`` starts it.
"""

from __future__ import annotations

import contextlib
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
"""Between two looks at whether the program lives, and how wide its terminal is."""
LAST_SECONDS = 1.0
"""For how long what children print is recorded, after the program has been killed."""
LONGEST = 16_000
"""A line that is longer goes on in the next, in characters."""


class ReaderConfig(msgspec.Struct):
    """What the program tells the reader at its start.

    Attributes:
        channels: of each channel where to read, where to pass it on, and whether to a terminal.
        process: the program.
        redact: as the setting.
        marker: printed behind the last that belongs to the run.
    """

    channels: list[tuple[int, int, bool]]
    process: ProcessId
    redact: bool | list[str]
    marker: str


class Stream:
    """One channel: passes on and splits into lines, up to the marker."""

    def __init__(self, source: int, target: int, is_terminal: bool, marker: bytes) -> None:
        self.source = source
        self.is_open = True
        self.recorded = True  # whether what comes still belongs to the run
        self._target = target
        self._is_terminal = is_terminal
        self._marker = marker
        self._kept = b""  # may be the beginning of the marker
        self._lines = TerminalLines()
        self._taken = True

    def read(self) -> list[str]:
        """Take what there is; return the lines it completes, as far as they are the run's."""
        try:
            content = os.read(self.source, 1 << 16)
        except OSError:  # how a terminal tells that nobody prints any more
            content = b""
        self.is_open = bool(content)
        if not self.recorded:
            self._pass_on(content)
            return []
        content, self._kept = self._kept + content, b""
        before, found, behind = content.partition(self._marker)
        if found:
            self._pass_on(before + behind)
            return self._lines.feed(before) + self.end()
        if self.is_open:
            before, self._kept = _without_beginning(before, self._marker)
        self._pass_on(before)
        return self._lines.feed(before)

    def end(self) -> list[str]:
        """Record no more; return the lines that are not complete."""
        self.recorded = False
        self._pass_on(self._kept)
        self._kept = b""
        return self._lines.rest()

    def look(self) -> None:
        """Follow the size of the terminal."""
        if self._is_terminal:
            copy_size(self._target, self.source)

    def _pass_on(self, content: bytes) -> None:
        if self._taken and content:
            self._taken = forward(content, self._target)


def _without_beginning(content: bytes, marker: bytes) -> tuple[bytes, bytes]:
    """Split off the end of a piece that may be the beginning of the marker."""
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
            self._file = self._run_dir.console.open("a", encoding="utf-8")
        # Together, as a secret may have more than one line; and before a line becomes several.
        whole = clean_text(self._redactor.text("\n".join(lines))).split("\n")
        parts = [part for line in whole for part in _parts(line)]
        self._file.write("\n".join(parts) + "\n")
        self._file.flush()
        now = time.time()
        texts = [Text(now, line) for line in parts if line]
        if texts:
            self._writer.append_lines(encode_points(texts), len(texts), now)

    def close(self) -> None:
        """Write no more."""
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()


def _parts(line: str) -> list[str]:
    return [line[at : at + LONGEST] for at in range(0, len(line), LONGEST)] or [""]


def work(run_dir: RunDir, config: ReaderConfig) -> None:
    """Read until nobody prints any more."""
    marker = config.marker.encode()
    streams = [Stream(*channel, marker) for channel in config.channels]
    record = LineRecorder(run_dir, Redactor.of(config.redact))
    recording = True
    looked = 0.0
    last = math.inf  # until when a program that was killed is recorded
    while recording or any(stream.is_open for stream in streams):
        by_source = {stream.source: stream for stream in streams if stream.is_open}
        ready = select.select(list(by_source), [], [], LOOK_SECONDS)[0]
        for source in ready:
            record.add(by_source[source].read())
        now = time.monotonic()
        if now - looked > LOOK_SECONDS:
            looked = now
            for stream in streams:
                stream.look()
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
