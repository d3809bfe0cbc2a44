"""Redirects what the program prints into a pipe or a terminal that can be read, and back again.

A program that prints on a terminal gets another terminal, so that it finds the same colours and
width.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import termios
from typing import NamedTuple

from tracelet.journal.files import above_standard_streams

_PIPE_BYTES = 1 << 20
"""The size of a pipe, where the system allows it."""


class Channel(NamedTuple):
    """A redirected output.

    Attributes:
        numbers: the descriptors, 1 or 2 or both, that are redirected.
        source: a descriptor to read the output from.
        target: a descriptor of the original output.
        is_terminal: whether the original output is a terminal.
        place: device and inode of the new output.
    """

    numbers: tuple[int, ...]
    source: int
    target: int
    is_terminal: bool
    place: tuple[int, int]

    def redirected(self) -> list[int]:
        """Return the descriptors that are still redirected: the program can change its own."""
        return [number for number in self.numbers if _place(number) == self.place]

    def restore(self) -> None:
        """Undo the redirection."""
        for number in self.redirected():
            os.dup2(self.target, number)


def divert() -> list[Channel]:
    """Redirect the descriptors 1 and 2: into one channel if both have the same output.

    Raises:
        OSError: the limit of descriptors is reached.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for number in (1, 2):
        place = _place(number)
        if place is not None:  # else it is closed, as in a daemon
            places.setdefault(place, []).append(number)
    return [_diverted(tuple(numbers)) for numbers in places.values()]


def _diverted(numbers: tuple[int, ...]) -> Channel:
    first = numbers[0]
    # Above the standard streams: a closed one of these must not get this file.
    target = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 3)
    is_terminal = os.isatty(first)
    source, sink = _terminal(first) if is_terminal else _pipe()
    for number in numbers:
        os.dup2(sink, number)
    os.close(sink)
    now = os.fstat(first)
    return Channel(numbers, source, target, is_terminal, (now.st_dev, now.st_ino))


def _place(number: int) -> tuple[int, int] | None:
    """Return device and inode of a descriptor's file; None if it is closed."""
    try:
        place = os.fstat(number)
    except OSError:
        return None
    return place.st_dev, place.st_ino


def _pipe() -> tuple[int, int]:
    source, sink = map(above_standard_streams, os.pipe())
    with contextlib.suppress(AttributeError, OSError):  # not on this system, or not so much
        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return source, sink


def _terminal(like: int) -> tuple[int, int]:
    """Return the ends of a new terminal with the settings of another; it changes no byte."""
    source, sink = map(above_standard_streams, os.openpty())
    settings = termios.tcgetattr(like)
    settings[1] &= ~termios.OPOST  # only the real one replaces "\\n" by "\\r\\n"
    settings[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(sink, termios.TCSANOW, settings)
    copy_size(like, source)
    return source, sink


def copy_size(terminal: int, other: int) -> None:
    """Copy the width and height of ``terminal`` to ``other``."""
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))
        if size != fcntl.ioctl(other, termios.TIOCGWINSZ, bytes(8)):
            fcntl.ioctl(other, termios.TIOCSWINSZ, size)


def forward(content: bytes, target: int) -> bool:
    """Write content to the original output; return False if nobody reads that any more."""
    while content:
        try:
            content = content[os.write(target, content) :]
        except BlockingIOError:  # another program has set the terminal to non-blocking
            select.select([], [target], [])
        except OSError:  # the reader, e.g. "head", has exited
            return False
    return True
