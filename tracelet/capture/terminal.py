"""Converts printed output to the lines that a terminal would show.

A line that is drawn several times, e.g. a progress bar, becomes one line: as it is when the next
line begins below it. Carriage returns, backspaces and cursor movements are followed; colours and
titles are left out.
"""

from __future__ import annotations

import codecs
import re

LONGEST = 100_000
"""The largest number of characters in a line that has not ended; a longer one is split."""
_KEPT_ROWS = 100
"""How many rows up a program can draw again."""

_TOKEN = re.compile(
    r"[^\x00-\x1f\x7f]+|\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<command>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z^-~]|[\x00-\x1f\x7f]"
)
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200}\x1b?|[ -/]*)?\Z")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class TerminalLines:
    """Makes lines of printed UTF-8 output, piece by piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._begun = ""  # the beginning of an escape sequence
        self._begin()

    def _begin(self) -> None:
        self._rows = [""]
        self._returned: list[str | None] = [None]  # the row as it was returned last
        self._row = self._column = self._touched = 0

    def feed(self, content: bytes) -> list[str]:
        """Return the lines that this piece completes."""
        text = self._begun + self._decoder.decode(content)
        self._begun = ""
        lines: list[str] = []
        row = self._rows[-1]
        is_at_end = self._row == len(self._rows) - 1 and self._column == len(row)
        if is_at_end and _CONTROLS.search(text) is None:
            self._append((row + text).split("\n"), lines)
        else:
            if begun := _BEGUN.search(text):
                text, self._begun = text[: begun.start()], begun[0]
            for token in _TOKEN.finditer(text):
                self._process_token(token, lines)
        if len(self._rows[-1]) > LONGEST:
            lines += self._new_lines()
            self._begin()
        return lines

    def rest(self) -> list[str]:
        """Return the lines that were not returned yet; call it at the end of the output."""
        if not self._rows[-1].rstrip():
            self._returned[-1] = ""
        lines = self._new_lines()
        self._begun = ""
        self._begin()
        return lines

    def _append(self, split: list[str], lines: list[str]) -> None:
        """Add text at the end of the last row; it has no control characters."""
        whole, rest = split[:-1], split[-1]
        if whole:
            del self._rows[-1], self._returned[-1]
            lines += self._new_lines()
            whole = [line.rstrip() for line in whole]
            lines += whole
            self._rows += whole
            self._returned += whole
            self._rows.append(rest)
            self._returned.append(None)
            self._forget()
        self._rows[-1] = rest
        self._column = len(rest)

    def _forget(self) -> None:
        """Drop the rows that cannot be drawn again; the cursor is in the last row."""
        del self._rows[:-_KEPT_ROWS], self._returned[:-_KEPT_ROWS]
        self._row = self._touched = len(self._rows) - 1

    def _process_token(self, token: re.Match[str], lines: list[str]) -> None:
        text = token[0]
        if text == "\n":
            self._down(lines)
        elif text == "\r":
            self._column = 0
        elif text == "\b":
            self._column = max(0, self._column - 1)
        elif text == "\t":
            self._write("\t")
        elif text[0] == "\x1b":
            if token["command"]:
                self._move_or_erase(token["command"], token["numbers"])
        elif text[0] >= " " and text[0] != "\x7f":
            self._write(text)

    def _write(self, text: str) -> None:
        row, at = self._rows[self._row], self._column
        self._rows[self._row] = row[:at].ljust(at) + text + row[at + len(text) :]
        self._column = at + len(text)
        self._touched = min(self._touched, self._row)

    def _move_or_erase(self, command: str, numbers: str) -> None:
        """Execute a command: cursor up, down, right, left, to a column, or erase."""
        number = int(numbers) if numbers.isdecimal() and len(numbers) < 5 else 1
        row = self._rows[self._row]
        if command in "JK":
            self._touched = min(self._touched, self._row)
        if command == "A":
            self._row = max(0, self._row - number)
        elif command == "B":
            self._row = min(len(self._rows) - 1, self._row + number)
        elif command == "C":
            self._column += number
        elif command == "D":
            self._column = max(0, self._column - number)
        elif command == "G":
            self._column = number - 1
        elif command == "K":
            self._rows[self._row] = "" if numbers in ("1", "2") else row[: self._column]
        elif command == "J":
            del self._rows[self._row + 1 :], self._returned[self._row + 1 :]
            self._rows[self._row] = row[: self._column]

    def _down(self, lines: list[str]) -> None:
        self._column = 0
        if self._row < len(self._rows) - 1:
            self._row += 1
            return
        lines += self._new_lines()
        self._rows.append("")
        self._returned.append(None)
        self._forget()

    def _new_lines(self) -> list[str]:
        """Return the rows that are new, or have changed since they were returned."""
        new = []
        for number in range(self._touched, len(self._rows)):
            now, before = self._rows[number].rstrip(), self._returned[number]
            self._returned[number] = now
            if now != before and (now or before is None):
                new.append(now)
        return new
