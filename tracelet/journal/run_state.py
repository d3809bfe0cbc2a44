"""The state of a run: whether it was started, whether it runs, how it ended.

The state depends on the control records only: starts, endings, tags, and added backends. They are
found by the first bytes of their lines. So reading the state of a run of ten million points decodes
no point.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tracelet.destinations import check_run_id
from tracelet.errors import RunNotFoundError
from tracelet.inner_path import InnerPath
from tracelet.journal.process import ProcessId, check_process
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import SegmentFile, chains, control_lines, segment_size
from tracelet.records import (
    AnyRecord,
    BackendAdded,
    BlobRef,
    Finished,
    RunInfo,
    Started,
    Status,
    Tags,
    check_backend,
    check_time,
    decode_lines,
)
from tracelet.wire import REDACTED

_CHUNK = 2 * 1024 * 1024


class RunStart(msgspec.Struct, kw_only=True):
    """The content of a ``Started`` record: the run, its process, and its backends.

    Attributes:
        run: the identity of the run.
        process: the process whose death ends the run.
        backends: ``{"name", "target", "options"}`` of each backend, including those that were
            added later, and those of earlier starts. Secrets are redacted.
        left: the names of the backends that only an earlier start has. The report counts what they
            lack, and ``tracelet sync`` delivers it.
    """

    run: RunInfo
    process: ProcessId
    backends: list[dict[str, Any]]
    left: list[str] = []

    @property
    def names(self) -> list[str]:
        """The names of the backends that the run is delivered to while it runs."""
        return [entry["name"] for entry in self.backends if entry["name"] not in self.left]

    def options(self, name: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the options of a backend.

        Args:
            name: the backend's name.
            given: options from elsewhere. They are used where the journal has none, or has a
                redacted secret.
        """
        stored: dict[str, Any] = {}
        for entry in self.backends:
            if entry["name"] == name:
                stored = entry.get("options") or {}
        known = {key: value for key, value in stored.items() if REDACTED not in str(value)}
        return {**(given or {}), **known}


def _checked(start: RunStart) -> RunStart:
    """Return a start that is as the start of a run writes it.

    Raises:
        ValueError: it is not.
    """
    check_run_id(start.run.run_id)
    check_time(start.run.started)
    check_process(start.process)
    for entry in start.backends:
        check_backend(entry)
    start.run.link = start.run.checkpoint = None
    return start


class RunState:
    """The state of a run; :meth:`update` reads the new control records.

    Attributes:
        start: the latest start; None before the first. Its directory is the present one.
        start_count: how often the run was started.
        status: ``running``, ``finished``, ``failed`` or ``killed``.
        pending_exit: whether the process has written its end, and its status depends on its exit
            code.
        ended: when it ended, seconds since the epoch, or None.
        reason: why it failed, or None.
        tags: the tags.
        lost: how many records could not be written, in all processes that ended the run.
        redacted: in how many values a secret was replaced, in the same processes.
    """

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._offsets: dict[str, int] = {}
        self._records: dict[str, list[AnyRecord]] = {}
        self.start: RunStart | None = None
        self.start_count = 0
        self.status: Status = "running"
        self.pending_exit = False
        self.ended: float | None = None
        self.reason: str | None = None
        self.tags: dict[str, str] = {}
        self.lost = self.redacted = 0

    def update(self) -> RunState:
        """Read the new control records, and return this object."""
        changed = False
        for process, record in self._new_records():
            self._records.setdefault(process, []).append(record)
            changed = True
        if changed:
            self._replay()
        return self

    @classmethod
    def read(cls, run_dir: RunDir) -> RunState:
        """Read the state of an existing run; its ``start`` is not None.

        Raises:
            RunNotFoundError: the directory holds no run.
        """
        state = cls(run_dir).update()
        if state.start is None:
            elsewhere = run_dir.journal_elsewhere
            if elsewhere is not None and not run_dir.is_own:
                raise RunNotFoundError(
                    f"{run_dir.path} cannot be read: it is a run {run_dir.whose}, and its journal "
                    f"is outside of it, in {elsewhere}"
                )
            found = run_dir.seals.damage(contents=False)
            raise RunNotFoundError(
                f"{run_dir.path} holds no run: there is no journal, or it has no beginning"
                + "".join(f"; {one}" for one in found[:3])
            )
        return state

    def assume_ended(self, ending: Finished) -> None:
        """Behave as if the journal had this ending; nothing is written."""
        self._records.setdefault("", []).append(ending)
        self._replay()

    def now(self) -> float:
        """Return a time after all control records, even if a clock was set back.

        The records of the processes are merged by time, so an ending must be later than its start.
        """
        times = [record.time for records in self._records.values() for record in records]
        latest = max(times, default=0.0)
        return max(time.time(), math.nextafter(latest, math.inf))

    def _replay(self) -> None:
        """Compute the state from all control records."""
        self.tags = {}
        self.start_count = self.lost = self.redacted = 0
        added: dict[str, dict[str, Any]] = {}
        started: dict[str, dict[str, Any]] = {}
        # Merged by time; each process keeps its order even if its clock went back.
        for record in heapq.merge(*self._records.values(), key=lambda record: record.time):
            if type(record) is Started:
                try:
                    self.start = _checked(msgspec.convert(record.info, RunStart))
                except ValueError:  # a damaged line that is still JSON, or none of ours
                    continue
                # The run may have been moved, or copied.
                self.start.run.dir = str(self._run_dir.path.absolute())
                started.update((entry["name"], entry) for entry in self.start.backends)
                self.start_count += 1
                self.status, self.ended, self.reason = "running", None, None
                self.pending_exit = False
            elif type(record) is Finished:
                if not self.pending_exit:  # else it had ended, and this record has the status
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
        if self.start is not None and (choice := self._run_dir.reader_choice) is not None:
            # Nothing that the run says decides where it goes.
            self.start.backends, self.start.left = choice.backends, []
            assert self._run_dir.reader_dir is not None
            self.start.run.dir = str(self._run_dir.reader_dir)
            # A run of the reader's own in the same tracker may have that id.
            self.start.run.run_id = self._run_dir.reader_dir.name
            self.start.run.facts = {**self.start.run.facts, "cwd": choice.cwd}
        elif self.start is not None:
            known = {entry["name"] for entry in self.start.backends}
            self.start.left = [name for name in started if name not in {*known, *added}]
            more = {**{name: started[name] for name in self.start.left}, **added}
            self.start.backends += [entry for name, entry in more.items() if name not in known]
            if not self._run_dir.is_own:
                self.start.backends = [
                    {**entry, "target": None, "options": {}} for entry in self.start.backends
                ]

    def _new_records(self) -> Iterator[tuple[str, AnyRecord]]:
        directory = self._run_dir.journal
        for chain in chains(directory):
            for name in chain:
                process = name.rpartition("-")[0]
                for record in self._decoded(self._new_lines(directory, name)):
                    yield process, record

    def _new_lines(self, directory: InnerPath, name: str) -> Iterator[bytes]:
        offset = self._offsets.get(name, 0)
        if offset == segment_size(directory, name):
            return
        file = SegmentFile(directory, name)
        while (lines := file.lines(offset, _CHUNK)).end > offset:
            yield from control_lines(lines.data)
            self._offsets[name] = offset = lines.end
        file.close()

    def _decoded(self, lines: Iterator[bytes]) -> Iterator[AnyRecord]:
        for line in lines:
            try:
                (record,) = decode_lines(line)
                if type(record) is BlobRef:
                    (record,) = decode_lines(self._run_dir.blobs.read(record.digest))
            except (OSError, ValueError):
                continue  # counted by the reader
            if isinstance(record, Started | Finished | Tags | BackendAdded):
                yield record
