"""The lines that a terminal would show of what is printed; without it a progress bar is a flood.

What a program draws over (carriage returns, backspaces, cursor movements of progress bars) is a
line once: as it is when the next line begins below it. Colours and titles are left out.
"""

from __future__ import annotations

import codecs
import re

LONGEST = 100_000
"""A line that is longer, and has not ended yet, goes on in the next, in characters."""
_KEPT_ROWS = 100
"""How far up a program can draw over what it has printed."""

_TOKEN = re.compile(
    r"[^\x00-\x1f\x7f]+|\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<command>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z^-~]|[\x00-\x1f\x7f]"
)
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200}\x1b?|[ -/]*)?\Z")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class TerminalLines:
    """Makes lines of what is printed, piece by piece, in UTF-8."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._begun = ""  # an escape sequence of which only the beginning has come
        self._begin()

    def _begin(self) -> None:
        self._rows = [""]
        self._returned: list[str | None] = [None]  # how each row was returned last
        self._row = self._column = self._touched = 0

    def feed(self, content: bytes) -> list[str]:
        """Return the lines that are complete with this piece."""
        text = self._begun + self._decoder.decode(content)
        self._begun = ""
        lines: list[str] = []
        row = self._rows[-1]
        behind_all = self._row == len(self._rows) - 1 and self._column == len(row)
        if behind_all and _CONTROLS.search(text) is None:
            self._append((row + text).split("\n"), lines)
        else:
            if begun := _BEGUN.search(text):
                text, self._begun = text[: begun.start()], begun[0]
            for token in _TOKEN.finditer(text):
                self._take(token, lines)
        if len(self._rows[-1]) > LONGEST:
            lines += self._new_lines()
            self._begin()
        return lines

    def rest(self) -> list[str]:
        """Return what is drawn and was not returned yet: nothing more is printed."""
        if not self._rows[-1].rstrip():
            self._returned[-1] = ""
        lines = self._new_lines()
        self._begun = ""
        self._begin()
        return lines

    def _append(self, split: list[str], lines: list[str]) -> None:
        """Take what is written behind everything, without any control character."""
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
        """Keep the rows that can still be drawn over; the cursor is in the last."""
        del self._rows[:-_KEPT_ROWS], self._returned[:-_KEPT_ROWS]
        self._row = self._touched = len(self._rows) - 1

    def _take(self, token: re.Match[str], lines: list[str]) -> None:
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
        """Follow a command of progress bars: up, down, right, left, column, erase."""
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
        """Return the lines that are new, or were drawn over since they were returned."""
        new = []
        for number in range(self._touched, len(self._rows)):
            now, before = self._rows[number].rstrip(), self._returned[number]
            self._returned[number] = now
            if now != before and (now or before is None):
                new.append(now)
        return new
