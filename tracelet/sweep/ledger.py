"""The ledger of a sweep: what became of each configuration, written before it is returned.

A sweep that was killed goes on from here. Promises:

- A line is one append, and is never changed: what a killed process has written stays true.
- Each process has a file of its own, since appends of several hosts to one file are not atomic.
- What counts does not depend on clocks: done is done, and else the latest attempt decides.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from tracelet.destinations import slug
from tracelet.errors import ForeignRunError
from tracelet.inner_path import InnerPath
from tracelet.journal import ownership
from tracelet.journal.files import FileLock

State = Literal["pending", "running", "done", "failed"]
_RANKS: dict[State, int] = {"pending": 0, "running": 1, "failed": 2, "done": 3}
_UNSAFE = re.compile(r"[^\w.-]+")


class Failure(msgspec.Struct, frozen=True):
    """Why a configuration failed.

    Attributes:
        type, message, traceback: of the exception.
        pickled: the exception itself, if it can be brought to another process.
    """

    type: str
    message: str
    traceback: str = ""
    pickled: bytes | None = None

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return what an exception says, without where it was raised."""
        return cls(type(error).__name__, str(error))


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: the state that a configuration has come to.

    Attributes:
        key: the identity of the configuration, and its number among those that are equal.
        state: the state.
        attempt: how often it was begun, from 1.
        time: seconds since the epoch.
        index: its place in the sweep.
        config: its values, JSON-like and without secrets; with ``pending`` only.
        run: the run's directory where it ran.
        host, pid: the process that ran it.
        seconds: how long it ran.
        value: what it returned, JSON-like; or ``{"$pickle": …}``, the name of a file.
        error: why it failed.
        metrics: of each metric the last, smallest and largest value, as on the wire.
    """

    key: str
    state: State
    attempt: int
    time: float
    index: int = 0
    config: dict[str, Any] | None = None
    run: str | None = None
    host: str | None = None
    pid: int | None = None
    seconds: float | None = None
    value: Any = None
    error: Failure | None = None
    metrics: dict[str, list[Any]] = {}


class About(msgspec.Struct, kw_only=True):
    """What ``sweep.json`` says of a sweep.

    Attributes:
        name, project, group: the sweep's.
        count: how many configurations.
        started: when it was run last, seconds since the epoch.
        factors: the sweep as it is saved; None if no file can hold it, or it holds secrets.
        train: ``module:name`` of the function, if another process can find it.
        command: the command line of a sweep over the arguments of a script.
        directory: where the script of such a command line runs.
        backends: the names of the runs' backends; None if one of them has none.
        argv: the command line of the process that ran it.
        process: that process.
        workers: how many configurations ran at once, if that is known.
    """

    name: str
    project: str
    group: str
    count: int
    started: float
    factors: list[Any] | None = None
    train: str | None = None
    command: list[str] | None = None
    directory: str | None = None
    backends: list[str] | None = None
    argv: list[str] = []
    process: dict[str, Any] = {}
    workers: int | None = None


class SweepDir:
    """The directory of one sweep: ``sweep.json``, ``ledger/``, ``values/`` and ``lock``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inside = InnerPath(path)
        self.about_file = self._inside / "sweep.json"
        self.values = self._inside / "values"
        self.ledger = self._inside / "ledger"

    @property
    def is_own(self) -> bool:
        """Whether this user has made the sweep on this machine; else it is data, and no program."""
        return ownership.is_own(self._inside)

    @classmethod
    def of(cls, root: Path, project: str, name: str) -> SweepDir:
        """Return the directory of a sweep, which need not exist, below that of all runs."""
        return cls(root / slug(project) / ".sweeps" / slug(name))

    def create(self) -> None:
        """Make the directories; harmless if they are there.

        Raises:
            ForeignRunError: they are there, and somebody else has made them.
        """
        self._inside.mkdir()
        if not (self.about_file.exists() or self.ledger.exists()):
            ownership.claim(self._inside)
        elif not self.is_own:
            raise ForeignRunError(
                f"{self.path} is a sweep {ownership.owner_of(self.path)}: "
                "give this one another name="
            )
        self.ledger.mkdir()
        self.values.mkdir()

    def lock(self) -> FileLock:
        """Return the lock of whoever runs the sweep."""
        return FileLock(self._inside / "lock")

    def write_about(self, about: About) -> None:
        """Replace ``sweep.json``."""
        content = msgspec.json.format(msgspec.json.encode(about)) + b"\n"
        self.about_file.replace(content)

    def read_about(self) -> About:
        """Read ``sweep.json``.

        Raises:
            OSError: there is none.
            msgspec.DecodeError: it is not ours.
        """
        return msgspec.json.decode(self.about_file.read_bytes(), type=About)

    def append(self, entries: Iterable[Entry]) -> None:
        """Append lines, one write each, to the file of this process."""
        host = _UNSAFE.sub("_", socket.gethostname())
        file = self.ledger / f"{host}-{os.getpid()}.jsonl"
        fd = file.open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            # An earlier process of this number may have been killed, or out of disk, in a line.
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                os.write(fd, b"\n")
            for entry in entries:
                os.write(fd, msgspec.json.encode(entry) + b"\n")
        finally:
            os.close(fd)

    def record(self, entry: Entry, value: bytes | None) -> None:
        """Append the line of a configuration that has ended; its value's file comes first."""
        if value is not None:
            (self._inside / entry.value["$pickle"]).replace(value)
        self.append([entry])

    def pickled(self, name: str) -> bytes:
        """Return the content of the file of a returned value.

        Raises:
            ForeignRunError: somebody else has made the sweep; unpickling runs what is in the file.
            OSError: it cannot be read.
        """
        if not self.is_own:
            raise ForeignRunError(
                f"what {name} has is not read: it would be run, and {self.path} was not made by "
                "you here"
            )
        return (self._inside / name).read_bytes()

    def entries(self) -> dict[str, Entry]:
        """Return what has become of each configuration by its key."""
        found: dict[str, Entry] = {}
        configs: dict[str, dict[str, Any]] = {}
        decoder = msgspec.json.Decoder(Entry)
        for file in self.ledger.files():
            if not file.name.endswith(".jsonl"):
                continue
            for line in file.read_bytes().split(b"\n"):
                try:
                    entry = decoder.decode(line)
                except msgspec.DecodeError:
                    continue  # the end of a file whose writer was killed, or is writing
                if entry.config is not None:
                    configs[entry.key] = entry.config
                known = found.get(entry.key)
                if known is None or _order(entry) > _order(known):
                    found[entry.key] = entry
        return {
            key: msgspec.structs.replace(entry, config=configs.get(key))
            for key, entry in found.items()
        }


def _order(entry: Entry) -> tuple[bool, int, int]:
    return entry.state == "done", entry.attempt, _RANKS[entry.state]
