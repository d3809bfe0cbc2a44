"""One configuration, run: what a worker does, wherever it is.

It needs nothing but what it is given. Where it sees the directory of the sweep it writes what it
does to the ledger itself, so that it counts even if nobody waits for it any more.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import pickle
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tracelet.core.exit import exit_status, message_of
from tracelet.core.experiment import Experiment
from tracelet.errors import DeliveryError, TraceletError, ValueTypeError
from tracelet.journal.rundir import RunDir, new_run_id
from tracelet.records import Metric
from tracelet.redaction import Redactor
from tracelet.sweep.calling import call
from tracelet.sweep.files import encoded
from tracelet.sweep.ledger import Entry, Failure, State, SweepDir
from tracelet.wire import clean_text, to_wire

log = logging.getLogger(__name__)

_LARGEST_PLAIN = 64 * 1024
"""A returned value that is longer, in bytes of JSON, gets a file of its own."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a worker is given.

    Attributes:
        train: what to call.
        bound: a class whose attributes are the parameters, or None.
        config: the configuration.
        key, index, attempt: as in the ledger.
        name: of the run.
        settings: of the run, all decided.
        tags: of the run.
        directory: that of the sweep, as the process that runs the sweep sees it.
        submission: how often it was submitted before; a scheduler may take equal tasks for one.
        stops: makes what ``exp.should_stop()`` asks, if anything can stop the run.
    """

    train: Callable[..., Any]
    bound: type | None
    config: dict[str, Any]
    key: str
    index: int
    attempt: int
    name: str
    settings: dict[str, Any]
    tags: dict[str, str]
    directory: str
    submission: int = 0
    stops: Callable[[Experiment], Callable[[], bool]] | None = None


class Outcome:
    """What a worker returns.

    Attributes:
        entry: the line of the ledger.
        is_written: whether it is there already.
        file: the content of the value's own file, if it has one and was not written.
        value: the returned object itself, for who is in the same process.
    """

    def __init__(self, entry: Entry, file: bytes | None, value: Any, *, is_written: bool) -> None:
        self.entry = entry
        self.file = file
        self.value = value
        self.is_written = is_written

    def __reduce__(self) -> tuple[Any, ...]:
        # To another process goes what is in the line or in the file, and nothing else.
        return _received, (self.entry, self.file, self.is_written)


NOT_HERE: Any = object()
"""The ``value`` of an outcome whose value is in the ledger only, and not in this process."""


def _received(entry: Entry, file: bytes | None, is_written: bool) -> Outcome:
    return Outcome(entry, file, NOT_HERE, is_written=is_written)


def work(task: Task) -> Outcome:
    """Run one configuration as a run of its own."""
    sweep_dir = SweepDir(Path(task.directory))
    shares = sweep_dir.ledger.is_dir()
    settings = task.settings
    if not shares:  # another machine: its runs are where its own settings say
        settings = {key: value for key, value in settings.items() if key not in _OF_THE_MACHINE}
    exp = Experiment(
        task.name, settings, run_id=new_run_id(task.name), tags=task.tags, params=task.config
    )
    began = time.monotonic()
    value: Any = None
    failure: Failure | None = None
    try:
        exp.start()
        if task.stops is not None and exp.dir is not None:
            exp.stop_when(task.stops(exp))
        _note(sweep_dir, task, exp, shares=shares)
        value = call(task.train, task.config, task.bound)
    except BaseException as error:
        status, _ = exit_status(error, Redactor())
        _stop(exp, error)
        if status == "killed":
            raise
        if status == "failed":
            failure = _failure(error)
    else:
        try:
            _stop(exp, None, raises=True)
        except DeliveryError as error:  # the setting "strict" asks for it
            failure = _failure(error)
    return _report(
        sweep_dir, task, exp, value, failure, seconds=time.monotonic() - began, shares=shares
    )


_OF_THE_MACHINE = ("dir", "journal_dir")


def _entry(task: Task, state: State, **values: Any) -> Entry:
    return Entry(
        key=task.key,
        state=state,
        attempt=task.attempt,
        time=time.time(),
        index=task.index,
        host=socket.gethostname(),
        pid=os.getpid(),
        **values,
    )


def _note(sweep_dir: SweepDir, task: Task, exp: Experiment, *, shares: bool) -> None:
    if shares:
        sweep_dir.append([_entry(task, "running", run=str(exp.dir) if exp.dir else None)])


def _stop(exp: Experiment, error: BaseException | None, *, raises: bool = False) -> None:
    """End the run, unless the training did, or never got one."""
    if exp.is_running:
        exp.end_by(error, may_raise=raises, show=False)


def _report(
    sweep_dir: SweepDir,
    task: Task,
    exp: Experiment,
    value: Any,
    failure: Failure | None,
    *,
    seconds: float,
    shares: bool,
) -> Outcome:
    plain, file = (None, None) if failure is not None else _stored(value, task)
    entry = _entry(
        task,
        "done" if failure is None else "failed",
        run=str(exp.dir) if exp.dir else None,
        seconds=seconds,
        value=plain,
        error=failure,
        metrics=summary(exp.dir) if exp.dir is not None else {},
    )
    if shares:
        sweep_dir.record(entry, file)
    return Outcome(entry, None if shares else file, value, is_written=shares)


def _stored(value: Any, task: Task) -> tuple[Any, bytes | None]:
    """Return what a line can hold of a value, and the content of its file, if that needs one."""
    try:
        plain = encoded(value, "the returned value")
        if len(msgspec.json.encode(plain)) <= _LARGEST_PLAIN:
            return plain, None
    except (ValueTypeError, OverflowError, msgspec.EncodeError):
        pass  # not plain
    try:
        return {"$pickle": f"values/{task.key}-{task.attempt}.pickle"}, pickle.dumps(value)
    except Exception:
        log.debug("what %s returned cannot be pickled", task.train, exc_info=True)
        return {"$lost": type(value).__qualname__}, None


def _failure(error: BaseException) -> Failure:
    hide = Redactor().text
    whole = message_of(error)[:10_000]
    trace = clean_text("".join(traceback.format_exception(error))[-20_000:])
    message = hide(whole)
    pickled = _pickled(error) if message == whole else None  # else the secret would be in there
    return Failure(type(error).__name__, message, hide(trace), pickled)


def _pickled(error: BaseException) -> bytes | None:
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:
        log.debug("an exception of type %s cannot be pickled", type(error), exc_info=True)
        return None
    return content if len(content) <= _LARGEST_PLAIN else None


def summary(directory: Path) -> dict[str, list[Any]]:
    """Return of each metric of a run the last, the smallest and the largest value.

    NaN is neither small nor large; what JSON cannot hold is as on the wire.
    """
    found: dict[str, list[Any]] = {}
    reader = RunDir(directory).reader()
    try:
        for records in reader.batches():
            for record in records:
                if type(record) is not Metric:
                    continue
                value = float(record.value) if isinstance(record.value, str) else record.value
                one = found.setdefault(record.name, [value, None, None])
                one[0] = value
                if not math.isnan(value):
                    one[1] = value if one[1] is None else min(one[1], value)
                    one[2] = value if one[2] is None else max(one[2], value)
    except (OSError, TraceletError):  # the run is there all the same
        log.warning("the metrics of %s cannot be read back", directory, exc_info=True)
    finally:
        reader.close()
    return {name: to_wire(values) for name, values in found.items()}


# -- to another process -------------------------------------------------------------------------


def to_pickle(what: Any) -> bytes:
    """Pickle something for a new process.

    Raises:
        AttributeError, TypeError, pickle.PicklingError: it cannot be pickled.
    """
    if _has_file(sys.modules.get("__main__")):
        try:
            return pickle.dumps(what)
        except (AttributeError, TypeError, pickle.PicklingError):
            if (content := _by_value(what)) is None:
                raise
            return content
    if (content := _by_value(what)) is not None:
        return content
    if getattr(what, "__module__", None) == "__main__":
        raise pickle.PicklingError("it is defined in a console or a notebook")
    return pickle.dumps(what)


def _has_file(main: Any) -> bool:
    """Whether a worker can import the main module again, as a script or as a package."""
    return (
        getattr(main, "__file__", None) is not None or getattr(main, "__spec__", None) is not None
    )


def _by_value(what: Any) -> bytes | None:
    try:
        import cloudpickle
    except ImportError:
        return None
    return bytes(cloudpickle.dumps(what))


def run_pickled(task: bytes) -> Outcome:
    """Run a task that was pickled, in the process of the worker."""
    return work(pickle.loads(task))
