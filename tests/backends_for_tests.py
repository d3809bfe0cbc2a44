"""Backends that misbehave, each in one way; imported by the courier process and its workers.

All of them keep what they are given in ``<store>/<name>.jsonl``, one line a call, so that a test
reads what a tracker would have, whatever became of the processes.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tracelet.backends.base import ArtifactFile, Backend, Capabilities, Property, TextLine
from tracelet.courier import retrying
from tracelet.errors import TransientError
from tracelet.journal.rundir import RunDir
from tracelet.records import MetricPoint, Params, ParamValue, RunInfo, RunLink, Status

if os.environ.get("QUICK_RETRIES"):
    retrying.FIRST_SECONDS, retrying.LONGEST_SECONDS = 0.02, 0.2


class Recorder(Backend):
    """Keeps every call; runs in a worker process of its own."""

    name: ClassVar[str] = "recorder"
    capabilities: ClassVar[Capabilities] = Capabilities.everything(batch_limit=100)

    def __init__(self, store: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.store = Path(store)
        self.options = options

    def keep(self, kind: str, content: Any) -> None:
        with (self.store / f"{self.name}.jsonl").open("ab") as file:
            file.write(msgspec.json.encode([kind, content]) + b"\n")

    def note(self, what: str) -> int:
        """Count, across processes, how often something has happened; 1 is the first time."""
        with (self.store / f"{self.name}.{what}").open("ab") as file:
            file.write(b".")
            return file.tell()

    def open(self, run: RunInfo) -> RunLink:
        self.keep("open", run.link is not None)
        return RunLink(f"{self.name}-{run.run_id}", f"memory://{run.run_id}")

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        self.keep("params", params)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.keep("metrics", [(point.name, point.value, point.iteration) for point in batch])

    def log_artifact(self, artifact: ArtifactFile) -> None:
        self.keep("artifact", [artifact.path, artifact.source.read_text()])

    def log_run_file(self, file: ArtifactFile) -> None:
        """Leave it: here only what a script logs is of interest."""

    def log_text(self, lines: Sequence[TextLine]) -> None:
        self.keep("text", [line.text for line in lines])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.keep("tags", tags)

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        self.keep("properties", properties)

    def close(self, status: Status) -> None:
        self.keep("close", status)


class Light(Recorder):
    """Runs in the courier process itself."""

    name = "light"
    capabilities = Capabilities.everything(batch_limit=100, lightweight=True)


class Held(Recorder):
    """Waits in its first call until the file ``gate`` is there."""

    name = "held"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.note("called")
        while not Path(self.options["gate"]).exists():
            time.sleep(0.01)
        super().log_metrics(batch)


class Down(Recorder):
    """Cannot reach its tracker until the file ``gate`` is there."""

    name = "down"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.note("called")
        if not Path(self.options["gate"]).exists():
            raise TransientError("no connection")
        super().log_metrics(batch)


class Picky(Recorder):
    """Cannot take a parameter until the file ``gate`` is there."""

    name = "picky"

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        if not Path(self.options["gate"]).exists():
            self.note("refused")
            raise TransientError("no connection")
        super().log_params(params)


class Refusing(Recorder):
    """Refuses every point."""

    name = "refusing"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        raise RuntimeError("no metrics here")


class Flaky(Recorder):
    """Fails every third call."""

    name = "flaky"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if self.note("called") % 3 == 0:
            raise TransientError("busy")
        super().log_metrics(batch)


class Poisoned(Recorder):
    """Refuses a call in which anything is called ``poison``."""

    name = "poisoned"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if any(point.name == "poison" for point in batch):
            raise ValueError("cannot hold a point\ncalled poison")
        super().log_metrics(batch)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        if "poison" in params:
            raise ValueError("cannot hold a parameter called poison")
        super().log_params(params)


class UnspeakableError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class Speechless(Recorder):
    """Refuses what is called ``poison`` with an exception that is hard to write down."""

    name = "speechless"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if any(point.name == "poison" for point in batch):
            if self.options["how"] == "surrogate":
                raise ValueError("cannot write " + os.fsdecode(b"/data/\xff.csv"))
            raise {"unspeakable": UnspeakableError, "interrupt": KeyboardInterrupt}[
                self.options["how"]
            ]
        super().log_metrics(batch)


class OpensWrongly(Recorder):
    """Does not return what ``open`` must."""

    name = "openswrongly"

    def open(self, run: RunInfo) -> RunLink:
        super().open(run)
        answers: dict[str, Any] = {"text": "run-7", "number": RunLink(7)}  # type: ignore[arg-type]
        answer: RunLink = answers[self.options["how"]]
        return answer


class FlushesWrongly(Recorder):
    """Returns from ``flush`` what cannot be kept."""

    name = "flusheswrongly"

    def flush(self) -> Any:
        return object()


class Exiting(Recorder):
    """Calls ``sys.exit``, as SDKs do, on its first two calls."""

    name = "exiting"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if self.note("called") <= 2:
            sys.exit("not logged in")
        super().log_metrics(batch)


class Unopened(Recorder):
    """Cannot be opened before the third try."""

    name = "unopened"

    def open(self, run: RunInfo) -> RunLink:
        if self.note("opened") <= 2:
            raise RuntimeError("no such host")
        return super().open(run)


class Slow(Recorder):
    """Takes 2 ms a record, and for the last ones until the file ``gate`` is there."""

    name = "slow"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        for _ in batch:
            time.sleep(0.002)
        if batch[-1].iteration == self.options["last"]:
            while not Path(self.options["gate"]).exists():
                time.sleep(0.01)
        super().log_metrics(batch)


class HangsOnce(Recorder):
    """Never returns from its first call."""

    name = "hangsonce"
    capabilities = Capabilities.everything(batch_limit=100, time_bound=0.5)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if self.note("called") == 1:
            threading.Event().wait()
        super().log_metrics(batch)


class Hangs(Recorder):
    """Never returns from any call with points."""

    name = "hangs"
    capabilities = Capabilities.everything(batch_limit=100, time_bound=0.5)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.note("called")
        threading.Event().wait()


class StartsSlowly(Recorder):
    """Takes longer to open the run than any of its calls may take."""

    name = "startsslowly"
    capabilities = Capabilities.everything(batch_limit=100, time_bound=0.2)

    def open(self, run: RunInfo) -> RunLink:
        self.note("opening")
        time.sleep(self.options["seconds"])
        return super().open(run)


class Crashes(Recorder):
    """Ends its process in the ``crashes`` first calls, in the way ``how`` says."""

    name = "crashes"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if self.note("called") <= self.options.get("crashes", 1):
            if self.options["how"] == "segfault":
                ctypes.string_at(0)
            os._exit(self.options["how"])
        super().log_metrics(batch)


class Adjusting(Recorder):
    """Holds integers only, and says so of everything else."""

    name = "adjusting"

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        for point in batch:
            if point.value != int(point.value):
                self.adjusted(msgspec.structs.asdict(point), "integers only")
        super().log_metrics(batch)


class Checkpointed(Recorder):
    """Forgets what it was given after its last checkpoint when it is opened again."""

    name = "checkpointed"
    capabilities = Capabilities.everything(batch_limit=10)

    def open(self, run: RunInfo) -> RunLink:
        file = self.store / f"{self.name}.jsonl"
        if file.exists():
            os.truncate(file, run.checkpoint or 0)
        return super().open(run)

    def flush(self) -> int:
        return (self.store / f"{self.name}.jsonl").stat().st_size


class Replayed(Recorder):
    """Keeps nothing of an earlier process."""

    name = "replayed"
    capabilities = Capabilities.everything(batch_limit=10, restart="replay")

    def open(self, run: RunInfo) -> RunLink:
        (self.store / f"{self.name}.jsonl").unlink(missing_ok=True)
        return super().open(run)


class CannotClose(Recorder):
    """Refuses to be closed, always."""

    name = "cannotclose"

    def close(self, status: Status) -> None:
        raise RuntimeError("the run is locked")


class HangsAtExit(Recorder):
    """Leaves a thread behind that keeps its process from ending."""

    name = "hangsatexit"
    capabilities = Capabilities.everything(batch_limit=100, time_bound=0.5)

    def close(self, status: Status) -> None:
        super().close(status)
        threading.Thread(target=threading.Event().wait).start()


class AddsAtItsClose(Recorder):
    """Adds a parameter to the run whenever it is closed, as somebody else might just then."""

    name = "addsatitsclose"

    def open(self, run: RunInfo) -> RunLink:
        self.run_dir = RunDir(Path(run.dir))
        return super().open(run)

    def close(self, status: Status) -> None:
        super().close(status)
        if (number := self.note("closed")) <= self.options["times"]:
            writer = self.run_dir.writer()
            writer.append(Params(time.time(), {"number": number}))
            writer.close()


class CannotFlush(Recorder):
    """Cannot flush in its first three tries."""

    name = "cannotflush"

    def flush(self) -> None:
        if self.note("flushed") <= 3:
            raise OSError(5, "input/output error")


def target(cls: type[Backend]) -> str:
    """How a user names one of these."""
    return f"{__name__}:{cls.__name__}"


def stored(store: Path, name: str, kind: str) -> list[Any]:
    """What a backend was given in calls of one kind, oldest first."""
    file = store / f"{name}.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    calls = [msgspec.json.decode(line) for line in lines]
    return [content for what, content in calls if what == kind]


def stored_points(store: Path, name: str, metric: str = "loss") -> list[int]:
    """The iterations of a metric, in the order in which a backend was given them."""
    batches = stored(store, name, "metrics")
    return [iteration for batch in batches for what, _, iteration in batch if what == metric]


def count(store: Path, name: str, what: str) -> int:
    """How often something has happened in a backend."""
    file = store / f"{name}.{what}"
    return file.stat().st_size if file.exists() else 0
