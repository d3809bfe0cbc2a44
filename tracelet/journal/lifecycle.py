"""Where a run is in its life: started, running, ended, and how. Read without decoding its points.

The lines that are not metric points are few; they are found by their first bytes, so that following
a run of ten million points costs a scan of its bytes.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tracelet.errors import RunNotFoundError
from tracelet.journal.process import ProcessId
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import (
    SegmentFile,
    chains,
    lines_of_life,
    packed_life,
    segment_size,
)
from tracelet.records import (
    AnyRecord,
    BackendAdded,
    Finished,
    RunInfo,
    Started,
    Status,
    Stored,
    Tags,
    decode_lines,
)
from tracelet.wire import REDACTED

_CHUNK = 2 * 1024 * 1024


class Launch(msgspec.Struct, kw_only=True):
    """What a ``Started`` record holds: who the run is, who logs it, and where it goes.

    Attributes:
        run: who the run is.
        process: the process whose death is the end of the run.
        backends: ``{"name", "target", "options"}`` of each backend, those among them that were
            added to the run later, or that only an earlier start has; secrets are redacted.
        left: the names of those that only an earlier start has: what they lack is reported, and
            ``tracelet sync`` delivers it.
    """

    run: RunInfo
    process: ProcessId
    backends: list[dict[str, Any]]
    left: list[str] = []

    @property
    def names(self) -> list[str]:
        """The names of the backends that the run is delivered to as it goes on."""
        return [entry["name"] for entry in self.backends if entry["name"] not in self.left]

    def options(self, name: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the options of a backend.

        Args:
            name: the backend's.
            given: options from elsewhere; they count where the journal has none, or a secret that
                was redacted.
        """
        stored: dict[str, Any] = {}
        for entry in self.backends:
            if entry["name"] == name:
                stored = entry.get("options") or {}
        known = {key: value for key, value in stored.items() if REDACTED not in str(value)}
        return {**(given or {}), **known}


class Lifecycle:
    """Follows the life of a run; :meth:`update` reads what is new.

    Attributes:
        launch: the latest start, or None before the first; it has the directory of now.
        starts: how often the run was started.
        status: ``running`` or the ending.
        pending_exit: an ending was announced, but only the exit code can tell which.
        ended: when it ended, seconds since the epoch, or None.
        reason: why it failed, if it did.
        tags: the tags.
        lost: records that the training could not write, of all its processes that ended the run.
        redacted: values in which a secret was replaced, likewise.
    """

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._offsets: dict[str, int] = {}
        self._records: dict[str, list[AnyRecord]] = {}
        self.launch: Launch | None = None
        self.starts = 0
        self.status: Status = "running"
        self.pending_exit = False
        self.ended: float | None = None
        self.reason: str | None = None
        self.tags: dict[str, str] = {}
        self.lost = self.redacted = 0

    def update(self) -> Lifecycle:
        """Read what is new, and return this object."""
        changed = False
        for process, record in self._fresh():
            self._records.setdefault(process, []).append(record)
            changed = True
        if changed:
            self._fold()
        return self

    @classmethod
    def of(cls, run_dir: RunDir) -> Lifecycle:
        """Read the life of a run that there is; its ``launch`` is never None.

        Raises:
            RunNotFoundError: the directory holds no run.
        """
        life = cls(run_dir).update()
        if life.launch is None:
            raise RunNotFoundError(
                f"{run_dir.path} holds no run: there is no journal, or it has no beginning"
            )
        return life

    def suppose(self, ending: Finished) -> None:
        """Take an ending for true that nobody has written yet."""
        self._records.setdefault("", []).append(ending)
        self._fold()

    def now(self) -> float:
        """Return a time behind all others in the life of the run, even if a clock was set back.

        The processes of a run are merged by time: an ending before the start would be none.
        """
        times = [record.time for records in self._records.values() for record in records]
        latest = max(times, default=0.0)
        return max(time.time(), math.nextafter(latest, math.inf))

    def _fold(self) -> None:
        self.tags = {}
        self.starts = self.lost = self.redacted = 0
        added: dict[str, dict[str, Any]] = {}
        started: dict[str, dict[str, Any]] = {}
        # Merged by time as everywhere; each process keeps its order even if its clock went back.
        for record in heapq.merge(*self._records.values(), key=lambda record: record.time):
            if type(record) is Started:
                try:
                    self.launch = msgspec.convert(record.info, Launch)
                except msgspec.ValidationError:  # a damaged line that is one of JSON still
                    continue
                # Where it is, and not where it was: it may have been moved since, or copied.
                self.launch.run.dir = str(self._run_dir.path.absolute())
                started.update((entry["name"], entry) for entry in self.launch.backends)
                self.starts += 1
                self.status, self.ended, self.reason = "running", None, None
                self.pending_exit = False
            elif type(record) is Finished:
                if not self.pending_exit:  # else it was over then, and is only told how
                    self.ended = record.time
                self.pending_exit = record.status is None
                self.status = record.status or "running"
                self.reason = record.reason or self.reason
                self.lost += record.lost
                self.redacted += record.redacted
            elif type(record) is Tags:
                self.tags.update(record.values)
            elif type(record) is BackendAdded:
                added[record.backend["name"]] = record.backend
        if self.launch is not None:
            known = {entry["name"] for entry in self.launch.backends}
            self.launch.left = [name for name in started if name not in {*known, *added}]
            more = {**{name: started[name] for name in self.launch.left}, **added}
            self.launch.backends += [entry for name, entry in more.items() if name not in known]

    def _fresh(self) -> Iterator[tuple[str, AnyRecord]]:
        directory = self._run_dir.journal
        for chain in chains(directory):
            for name in chain:
                process = name.rpartition("-")[0]
                for record in self._decoded(self._new_lines(directory, name)):
                    yield process, record

    def _new_lines(self, directory: Path, name: str) -> Iterator[bytes]:
        offset = self._offsets.get(name, 0)
        if not offset and (life := packed_life(directory, name)) is not None:
            self._offsets[name] = segment_size(directory, name) or 0
            yield from life
            return
        if offset == segment_size(directory, name):
            return
        file = SegmentFile(directory, name)
        while data := file.read(offset, _CHUNK):
            end = data.rfind(b"\n") + 1
            if not end:
                break
            yield from lines_of_life(data[:end])
            offset += end
            self._offsets[name] = offset
        file.close()

    def _decoded(self, lines: Iterator[bytes]) -> Iterator[AnyRecord]:
        for line in lines:
            try:
                (record,) = decode_lines(line)
                if type(record) is Stored:
                    (record,) = decode_lines(self._run_dir.blobs.path(record.digest).read_bytes())
            except (OSError, ValueError):
                continue  # counted by the reader
            if isinstance(record, Started | Finished | Tags | BackendAdded):
                yield record
