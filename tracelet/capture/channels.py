"""The way of what is printed from the program's descriptors to whoever reads it, and back again.

A pipe or, where a program prints on a terminal, a terminal of its own: what it asks about colours
and width it is answered as before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import termios
from typing import NamedTuple

from tracelet.journal.files import above_standard_streams

_BYTES = 1 << 20
"""What a pipe holds until it is read, where the system allows it."""


class Channel(NamedTuple):
    """One way.

    Attributes:
        numbers: the descriptors, of 1 and 2, that print into it.
        source: where what is printed can be read.
        target: where it went before, and still has to go.
        is_terminal: whether that is a terminal.
        place: what tells the way from any other.
    """

    numbers: tuple[int, ...]
    source: int
    target: int
    is_terminal: bool
    place: tuple[int, int]

    def inlets(self) -> list[int]:
        """Return which of the descriptors print into it still: a program can redirect its own."""
        return [number for number in self.numbers if _place(number) == self.place]

    def restore(self) -> None:
        """Let the program print as before."""
        for number in self.inlets():
            os.dup2(self.target, number)


def divert() -> list[Channel]:
    """Have what is printed go into channels; one, if both descriptors print to the same place.

    Raises:
        OSError: there is no descriptor more.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for number in (1, 2):
        place = _place(number)
        if place is not None:  # else closed, as in a daemon: nobody prints there
            places.setdefault(place, []).append(number)
    return [_diverted(tuple(numbers)) for numbers in places.values()]


def _diverted(numbers: tuple[int, ...]) -> Channel:
    first = numbers[0]
    # Above the standard streams: one of those that is closed must not become ours.
    target = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 3)
    is_terminal = os.isatty(first)
    source, inlet = _terminal(first) if is_terminal else _pipe()
    for number in numbers:
        os.dup2(inlet, number)
    os.close(inlet)
    now = os.fstat(first)
    return Channel(numbers, source, target, is_terminal, (now.st_dev, now.st_ino))


def _place(number: int) -> tuple[int, int] | None:
    """Return what tells where a descriptor leads; None if it is closed."""
    try:
        place = os.fstat(number)
    except OSError:
        return None
    return place.st_dev, place.st_ino


def _pipe() -> tuple[int, int]:
    source, inlet = map(above_standard_streams, os.pipe())
    with contextlib.suppress(AttributeError, OSError):  # not on this system, or not so much
        fcntl.fcntl(inlet, fcntl.F_SETPIPE_SZ, _BYTES)
    return source, inlet


def _terminal(like: int) -> tuple[int, int]:
    """Return the ends of a terminal with the settings of another, that changes no byte."""
    source, inlet = map(above_standard_streams, os.openpty())
    settings = termios.tcgetattr(like)
    settings[1] &= ~termios.OPOST  # the real one makes "\\r\\n" of "\\n"; twice would be wrong
    settings[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(inlet, termios.TCSANOW, settings)
    copy_size(like, source)
    return source, inlet


def copy_size(terminal: int, other: int) -> None:
    """Give a terminal the width and height of another."""
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))
        if size != fcntl.ioctl(other, termios.TIOCGWINSZ, bytes(8)):
            fcntl.ioctl(other, termios.TIOCSWINSZ, size)


def forward(content: bytes, target: int) -> bool:
    """Write all of what was printed to where it belongs; return whether somebody takes it."""
    while content:
        try:
            content = content[os.write(target, content) :]
        except BlockingIOError:  # somebody else has made the terminal so
            select.select([], [target], [])
        except OSError:  # whoever read it, e.g. "head", has left
            return False
    return True
