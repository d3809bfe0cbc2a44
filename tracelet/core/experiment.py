"""The experiment: the user's handle of one run.

Promises:

- When a call returns, its records are in the journal: they survive the death of the process, of a
  backend and of the courier. Only ``flush`` and ``stop`` wait for a backend.
- A call that raises has written nothing.
- Values, iterations and order are the same in every backend. The report counts what a backend
  cannot store as given.
"""

from __future__ import annotations

import contextlib
import functools
import math
import types
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from time import time as clock
from typing import TYPE_CHECKING, Any, Never, NoReturn, Self, TypeVar

import msgspec

from tracelet.capture import captured as kinds
from tracelet.core.active import activate, deactivate, running_in
from tracelet.core.connect import Connections
from tracelet.core.parameter_calls import ParameterCalls
from tracelet.core.parameters import Parameters
from tracelet.core.run_name import run_name
from tracelet.core.session import Session
from tracelet.core.tags import as_str, given_tags, tag_values
from tracelet.core.track import Track
from tracelet.errors import (
    InvalidValueError,
    NotRunningError,
    TraceletWarning,
    ValueTypeError,
    nearest,
)
from tracelet.plugin_hooks import foreign_params, notify_plugins
from tracelet.records import (
    DEFAULT_AXIS,
    AnyRecord,
    Params,
    Properties,
    RunInfo,
    RunLink,
    Status,
    Tags,
    Text,
    encode_plain,
    encode_points,
)
from tracelet.redaction import Redactor
from tracelet.settings import ExperimentConfig, Settings, resolve
from tracelet.values.plain import copy_mapping, describe, refuse_content
from tracelet.values.scalars import (
    flat_metrics,
    iteration_value,
    metric_name,
    metric_value,
    seconds_value,
    timestamp_value,
)
from tracelet.values.sections import GENERAL
from tracelet.wire import clean_text

if TYPE_CHECKING:  # start-up time: these bring the courier's side
    from tracelet.backends.base import Backend
    from tracelet.core.artifacts import Destinations, PathLike
    from tracelet.core.configurations import Configurations
    from tracelet.core.start import EarlierRecords, StartRequest
    from tracelet.courier.report import DeliveryReport

__all__ = ["Experiment", "ExperimentConfig"]

_Object = TypeVar("_Object")
_LEVELS = ("debug", "info", "warning", "error", "critical")
_MAX_ITERATION = 2**63 - 1
_SMALL, _COMMON = -(2**30), 2**30
"""Python compares integers between them in the shortest time."""
_MAX_IN_LINE = 256
"""Points in one line: a longer line would be stored in a blob."""
_NUMBERS = frozenset({float, int})
_METRIC_KEYWORDS = ("iteration", "axis", "time")
_ITERATION_HINT = "the position on the x-axis is called iteration here: iteration={}"
_KEYWORD_HINTS = {
    "step": _ITERATION_HINT,
    "global_step": _ITERATION_HINT,
    "iter": _ITERATION_HINT,
    "index": _ITERATION_HINT,
    "epoch": "another x-axis is named: iteration={}, axis='epoch'",
    "timestamp": "the time of a point is called time: time={}",
    "walltime": "the time of a point is called time: time={}",
}


class Experiment(ParameterCalls):
    """One run being logged.

    ``tracelet.start_logging`` creates and starts one. If you create one yourself, call
    :meth:`start`, or use it as a context manager.

    Args:
        name: the run's name; runs may share it.
        config: an :class:`ExperimentConfig`, a mapping of settings, or the path of a file of them.
        backend: a backend's name, ``"module:Class"``, a class, an instance, or a list of such.
        resume: a run id to go on with; True: the run called ``run_id`` if it is there, or without
            that the latest run of this name that has not finished, and else a new one.
        run_id: the id of a new run; None: an id is made up.
        tags, params: logged at the start.
        settings: any other setting of :class:`ExperimentConfig`, e.g. ``project``.

    Raises:
        SettingsError: a setting is unknown or has the wrong type.
    """

    def __init__(
        self,
        name: str | None = None,
        config: ExperimentConfig | Mapping[str, Any] | PathLike | None = None,
        backend: Any = None,
        *,
        resume: str | bool | None = None,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Any = None,
        **settings: Any,
    ) -> None:
        self._set_up(
            resolve(config, name=name, backend=backend, **settings), resume, run_id, tags, params
        )

    def _set_up(
        self,
        settings: Settings,
        resume: str | bool | None = None,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Any = None,
    ) -> None:
        self.settings: Settings = settings
        self._resume = resume
        self._wanted_id = run_id
        self._first_tags = {**settings.tags, **given_tags(tags)}
        self._first_params = params
        self._redactor = Redactor.of(settings.redact)
        self._params = Parameters(
            self._write,
            policy=settings.on_param_conflict,
            redactor=self._redactor,
            foreign=foreign_params,
        )
        self._connections = Connections(self._params, foreign_params)
        self._session = self._make_session(run_name(settings))
        self._current: int | None = None
        self._last: dict[str | tuple[str, str], int] = {}
        """The last iteration of each metric; the key has the axis unless it is the default one."""
        self._stop_condition: Callable[[], bool] | None = None
        self._properties: dict[str, Mapping[str, Any]] | None = None
        """The fields of each property; None if they have to be looked for."""

    # -- the run ------------------------------------------------------------------------------

    def start(self, *, instead_of: Experiment | None = None) -> Self:
        """Start the run; harmless if it runs. A run that was stopped is resumed.

        Args:
            instead_of: an experiment to stop first, once all arguments are checked.

        Raises:
            UnknownBackendError: a backend is not known, or not installed.
            RunNotFoundError: there is no run to resume.
        """
        if self.is_running:
            return self
        from tracelet.core.start import carry_out, make_plan  # start-up time: the courier's side

        request = self._request()
        started = carry_out(
            make_plan(request),
            request,
            previous_dir=instead_of.dir if instead_of is not None else None,
            stop_previous=functools.partial(_stop_previous, instead_of),
        )
        if started.earlier is not None:
            self._continue_from(started.earlier)
        elif started.session.owns_run:
            self._properties = {}
        self._run_with(started.session)
        if started.capture is not None:
            started.capture.begin(self._log_captured, started.session.call_before_log)
        if self._first_tags:
            self.set_tags(self._first_tags)
        if self._first_params is not None:
            self.log_params(self._first_params)
        if started.capture is not None:
            notify_plugins("tracelet_run_started", run=started.session.run)
        return self

    def check_start(self) -> None:
        """Check the arguments as the start of a run of its own does; write nothing.

        Raises:
            TraceletError: the start would raise it.
        """
        from tracelet.core.start import make_plan  # start-up time: the courier's side

        make_plan(self._request(), may_join=False)

    def stop(
        self,
        status: Status | None = None,
        *,
        timeout: float | None = None,
        wait: bool = True,
    ) -> DeliveryReport:
        """End the run, and wait until its backends have everything.

        Args:
            status: ``finished``, ``failed`` or ``killed``. None: ``finished``; if an exception is
                being handled, e.g. in a ``finally`` block, the status that fits it; in a function
                that is called at exit, the status of the program.
            timeout: seconds to wait for the backends; None: the setting ``drain_timeout``. After
                that the courier delivers the rest alone.
            wait: False: do not wait for the backends.

        Returns:
            The delivery report.

        Raises:
            NotRunningError: the run is not running.
            DeliveryError: with ``strict=True``, something was not delivered.
        """
        return self.end(status, timeout=timeout, wait=wait)

    def end(
        self,
        status: Status | None,
        *,
        reason: str | None = None,
        timeout: float | None = None,
        wait: bool = True,
        may_raise: bool = True,
        show: bool = True,
        for_next: bool = False,
    ) -> DeliveryReport:
        """End the run as :meth:`stop` does, with a reason.

        Args:
            status: as for :meth:`stop`.
            reason: why the run has ended, unless it was stopped.
            timeout: as for :meth:`stop`.
            wait: as for :meth:`stop`.
            may_raise: whether a run with ``strict=True`` may raise.
            show: whether a complete report is written to stderr, too.
            for_next: whether another run starts: how the connected objects have changed since they
                were read last belongs to that one.
        """
        from tracelet.core.exit import (  # start-up time: the courier's side
            Left,
            handled_exception,
            is_exiting,
            unregister,
        )

        session = self._session
        session.check_running()
        if status not in (None, "finished", "failed", "killed"):
            raise InvalidValueError(
                f"the ending of a run is finished, failed or killed: {status!r}"
            )
        seconds = self.settings.drain_timeout if timeout is None else timeout
        seconds = seconds_value("stop: timeout", seconds)
        try:
            connections = session.connections
            with connections.leave() if for_next else connections.read_again():
                if status is None and self.owns_run and is_exiting():
                    unregister(session)
                    return session.end_at_exit(seconds if wait else None)
                if status is None:
                    error = handled_exception(self.dir)
                    left = session.left() if error is None else Left.by(error, self._redactor)
                    status, reason = "finished", None
                    if left is not None:
                        status, reason = left.status, left.reason
                        self.set_tags(left.tags)
                session.close(status)
                deactivate(self)
                unregister(session)
                return session.finish(
                    reason, timeout=seconds, wait=wait, may_raise=may_raise, show=show
                )
        finally:
            if not session.is_running:
                session.connections.end()

    def end_by(
        self, error: BaseException | None, *, may_raise: bool = False, show: bool = True
    ) -> DeliveryReport:
        """End the run as :meth:`stop` does, with the status, reason and tags of an exception.

        Args:
            error: the exception that has left the run; None: it has finished.
            may_raise: whether a run with ``strict=True`` may raise.
            show: whether a complete report is written to stderr, too.
        """
        from tracelet.core.exit import exit_status, tags_of  # start-up time: the courier's side

        self.set_tags(tags_of(error))
        status, reason = exit_status(error, self._redactor)
        return self.end(status, reason=reason, may_raise=may_raise, show=show)

    def note_left(self, error: BaseException) -> None:
        """Note that an exception has left the run, e.g. the command of click that it began in.

        If the run ends without a status, the exception decides it, unless something is logged in
        between: then the program has gone on with the run.
        """
        from tracelet.core.exit import Left  # start-up time: the courier's side

        self._session.note_left(Left.by(error, self._redactor))

    def flush(self, timeout: float = 10.0) -> bool:
        """Read the connected objects again, sync the journal to the disk, wait for the backends.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether every healthy backend has everything that was logged before the call.
        """
        return self._session.flush(timeout)

    def should_stop(self) -> bool:
        """Return whether to end the training: the run is not worth going on with.

        In a search, the pruner decides it from the metrics so far. In any other run it is False.
        """
        return self._stop_condition is not None and self._stop_condition()

    def stop_when(self, condition: Callable[[], bool] | None) -> None:
        """Set the function that :meth:`should_stop` calls; None: it returns False."""
        self._stop_condition = condition

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self.is_running:
            with contextlib.suppress(*([TraceletWarning] if error is not None else [])):
                self._session.merge_held()
            self.end_by(error, may_raise=error is None)

    def __repr__(self) -> str:
        return f"<Experiment {self.name!r} run_id={self.run_id!r} {self.status}>"

    @property
    def is_running(self) -> bool:
        """Whether calls are accepted."""
        return self._session.is_running

    @property
    def owns_run(self) -> bool:
        """Whether this process began the run; its child processes only add to it."""
        return self._session.owns_run

    @property
    def run_id(self) -> str | None:
        """The run's id, unique in its project; None before the start."""
        run = self._session.run
        return run.run_id if run is not None else None

    @property
    def name(self) -> str:
        """The run's name."""
        run = self._session.run
        return run.name if run is not None else run_name(self.settings)

    @property
    def project(self) -> str:
        """The project of the run."""
        run = self._session.run
        return run.project if run is not None else self.settings.project

    @property
    def dir(self) -> Path | None:
        """The run's directory; None before the start, and for a rank that writes nothing."""
        return self._session.dir

    @property
    def status(self) -> Status | None:
        """``running``, ``finished``, ``failed`` or ``killed``; None before the start."""
        _ = self._session.is_running  # the process that began the run may have ended it
        return self._session.status

    @property
    def links(self) -> dict[str, RunLink]:
        """The run's link in each backend that has opened it."""
        return self._session.links()

    @property
    def report(self) -> DeliveryReport | None:
        """The delivery report; None until the run was stopped."""
        return self._session.report

    def backend(self, name: str) -> Backend | None:
        """Return a backend's live object; None if it lives in another process.

        Raises:
            UnknownBackendError: the run has no backend of that name.
            NotRunningError: the run was never started.
        """
        return self._session.backend(name)

    # -- metrics ------------------------------------------------------------------------------

    @property
    def iteration(self) -> int | None:
        """The current iteration; None until :meth:`set_iteration`."""
        return self._current

    def set_iteration(self, iteration: int) -> None:
        """Set the iteration of every metric that is logged without one.

        Raises:
            InvalidValueError: it is a fraction.
            ValueTypeError: it is no number.
        """
        self._session.check_running()
        self._current = iteration_value(None, iteration)

    def log_metric(
        self,
        name: str,
        value: Any,
        iteration: int | None = None,
        axis: str = DEFAULT_AXIS,
        time: float | None = None,
        **unknown: Never,
    ) -> None:
        """Log one point of a metric.

        Args:
            name: the metric's name; most trackers group names like ``train/loss``.
            value: any object that holds one number: bool, int, float, Decimal, a NumPy or Torch
                scalar, an array or tensor with one element. NaN and the infinities are kept.
            iteration: the integer position on the axis; None: the current iteration; without one,
                1 more than the metric's last point on the axis, 0 for its first point.
            axis: the name of the x-axis.
            time: seconds since the epoch; None: now.
            unknown: no other argument is accepted; for ``step=3`` the error has the right name.

        Raises:
            ValueTypeError: value or iteration is no number, or an argument is unknown.
            InvalidValueError: the iteration is a fraction, or the name is empty.
        """
        # The common case, a finite number of a metric that has been logged before, costs a few
        # tests and one write.
        kind = type(value)
        if (
            ((kind is float and value - value == 0.0) or (kind is int and _SMALL < value < _COMMON))
            and type(name) is str
            and name in self._last
            and axis is DEFAULT_AXIS
            and time is None
            and not unknown
        ):
            at = iteration
            if at is None:
                at = self._last[name] + 1 if self._current is None else self._current
            if type(at) is int and 0 <= at < _COMMON:
                now = clock()
                # The line of a Metric; a tuple is made in less time, here and below.
                line = encode_plain(("metric", now, name, value, at, axis)) + b"\n"
                append = self._session.append
                append(line, 1, now)
                self._last[name] = at
                return
        if unknown:
            _refuse_keywords("log_metric", unknown, ("name", "value", *_METRIC_KEYWORDS))
        self._log_points({metric_name(name): value}, iteration, axis, time)

    def log_metrics(
        self,
        values: Mapping[str, Any],
        iteration: int | None = None,
        *,
        axis: str = DEFAULT_AXIS,
        time: float | None = None,
        **unknown: Never,
    ) -> None:
        """Log one point of each of several metrics, all or none; see :meth:`log_metric`.

        Args:
            values: metric names and their values. Nested ones get names with a slash:
                ``{"train": {"loss": 0.1}}`` is the metric ``train/loss``.
            iteration: as in :meth:`log_metric`, for all of them.
            axis: as in :meth:`log_metric`.
            time: as in :meth:`log_metric`.
            unknown: as in :meth:`log_metric`.
        """
        # As in log_metric; here the points are one line.
        if (
            type(values) is dict
            and 0 < len(values) <= _MAX_IN_LINE
            and self._last.keys() >= values.keys()
            and _NUMBERS.issuperset(map(type, values.values()))
            and axis is DEFAULT_AXIS
            and time is None
            and not unknown
        ):
            at = self._next_of_all(values) if iteration is None else iteration
            if type(at) is int and 0 <= at < _COMMON:
                now = clock()
                try:
                    line = encode_plain(("metrics", now, values, at, axis)) + b"\n"
                    total = sum(values.values(), 0.0)
                except (TypeError, OverflowError):  # a name of another type, a huge integer
                    line, total = b"", math.nan
                if total - total == 0.0:  # not so for NaN and the infinities
                    append = self._session.append
                    append(line, len(values), now)
                    self._last.update(dict.fromkeys(values, at))
                    return
        if unknown:
            _refuse_keywords("log_metrics", unknown, ("values", *_METRIC_KEYWORDS))
        if not isinstance(values, Mapping):
            raise ValueTypeError(
                f"log_metrics takes a mapping of names to numbers, not {type(values).__name__}"
            )
        if type(values) is not dict:
            values = copy_mapping("log_metrics: the mapping", values)
        if any(isinstance(value, Mapping) for value in values.values()):
            values = flat_metrics(values)
        if not values and iteration is not None:
            iteration_value(None, iteration, "log_metrics")
        self._log_points(values, iteration, axis, time)

    def track(self, name: str) -> Track:
        """Return a metric as an object: ``exp.track("loss").append(value=0.1, epoch=3)``."""
        return Track(self.log_metric, metric_name(name))

    # -- parameters, files, lines of text and tags --------------------------------------------

    def connect(self, obj: _Object, name: str | None = GENERAL) -> _Object:
        """Log the fields of an object as parameters, and later changes of them, too.

        The object is read again at :meth:`flush` and at the end of the run. Fields that have
        changed are logged then.

        Args:
            obj: a mapping, Namespace, dataclass, attrs or pydantic instance, an OmegaConf
                configuration, or any class or object, which has its public attributes as fields.
            name: the section of the parameters.

        Returns:
            The same object.

        Raises:
            ValueTypeError: it has no named fields.
            InvalidValueError: the name is empty.
        """
        self._session.check_running()
        self._connections.add(obj, name)
        return obj

    def log_artifact(
        self,
        file: PathLike,
        destination: PathLike | None = None,
        *,
        copy: bool = True,
        size: int | None = None,
        digest: str | None = None,
    ) -> None:
        """Store a file or a directory, with its present content; of an address, a reference.

        A reference, e.g. of ``s3://bucket/data.csv``, is a small JSON file with ``uri``, ``size``
        and ``digest``, and its name ends in ``.ref.json``. The address is not opened.

        Args:
            file: the file or directory, or an address.
            destination: its path in the run, relative; None: its own name; ``models/``: its own
                name in that folder. A later artifact of the same destination replaces it.
            copy: False: only note where the file is; it must not change.
            size: the size in bytes of what is at an address, if you know it.
            digest: its digest or version, if you know it.

        Raises:
            ArtifactNotFoundError: the file does not exist.
            ArtifactUnreadableError: the file, or a file of the directory, cannot be read.
            InvalidValueError: the destination is a folder of other artifacts, or in one of them, or
                is longer than file systems allow: 255 bytes a name.
            UnsafePathError: the destination is absolute or contains ``..``.
        """
        session = self._session
        session.check_running()
        from tracelet.core.artifacts import (  # start-up time
            artifact_records,
            is_uri,
            reference_record,
        )

        known, now = self._destinations, clock()
        if is_uri(file):
            uri = self._redactor.text(file)
            with session.counting_losses():
                reference = reference_record(
                    uri, destination, session.blobs, now, size=size, digest=digest, known=known
                )
                if reference is not None:
                    session.write(reference)
            return
        if size is not None or digest is not None:
            raise InvalidValueError(
                "log_artifact: size and digest are of an address, such as 's3://bucket/data.csv'; "
                "those of a file are measured"
            )
        with session.counting_losses():
            for record in artifact_records(
                file,
                destination,
                session.blobs,
                now,
                copy=copy,
                known=known,
                own_files=self._own_files,
            ):
                session.write(record)

    def log(self, text: str, level: str = "info") -> None:
        """Log a line of text.

        Args:
            text: the line; any other type is converted with ``str``.
            level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.

        Raises:
            ValueTypeError: it is a mapping, an array or a figure: the message names their call.
        """
        self._session.check_running()
        refuse_content("log() takes a line of text", text)
        known = as_str("the level of a line", level).lower()
        if known not in _LEVELS:
            raise InvalidValueError(
                f"log: the level is one of {', '.join(_LEVELS)}: {describe(level):.80}"
            )
        line = self._redactor.text(as_str("a line of the log", text))
        self._session.write(Text(clock(), line, known))

    def set_tags(self, tags: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Set tags, short strings by name; a known tag is replaced."""
        self._session.check_running()
        stored = tag_values({**given_tags(tags), **values})
        if stored:
            self._session.write(Tags(clock(), self._redactor.params(stored)))

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""
        self.set_tags({key: value})

    def connect_configuration(self, configuration: Any, name: str = "General") -> Any:
        """Store a configuration object: a mapping or a list with its types, a file byte for byte.

        Args:
            configuration: a mapping, a list, an object with fields, or the path of a file.
            name: its name; a later object of the same name replaces it.

        Returns:
            ``configuration`` itself.

        Raises:
            ArtifactNotFoundError: the file does not exist.
            ValueTypeError: ``configuration`` cannot be a configuration object.
        """
        session, record = self._session, None
        session.check_running()
        with session.counting_losses():
            record = self._configurations.take(name, configuration, session.blobs, clock())
        if record is not None:
            session.write(record)
        return configuration

    def get_configuration(self, name: str = "General") -> Any:
        """Return a configuration object of this run: the value, or the path of a copy of the file.

        Raises:
            ConfigurationNotFoundError: no object has that name.
        """
        return self._configurations.get(name, self._session.read_records, self._session.blobs)

    # -- inside -------------------------------------------------------------------------------

    @functools.cached_property
    def _configurations(self) -> Configurations:
        from tracelet.core.configurations import Configurations  # start-up time

        return Configurations(self._redactor, foreign_params)

    @functools.cached_property
    def _destinations(self) -> Destinations:
        from tracelet.core.artifacts import Destinations  # start-up time

        return Destinations()

    def _log_points(
        self, values: Mapping[str, Any], iteration: Any, axis: str, time: float | None
    ) -> None:
        if axis is not DEFAULT_AXIS:
            axis = metric_name(axis, "the axis of a metric")
            axis = DEFAULT_AXIS if axis == DEFAULT_AXIS else axis
        now = clock() if time is None else timestamp_value(time)
        at = None
        points = []
        for name, value in values.items():
            if type(value) is not float or value - value != 0.0:
                value = metric_value(metric_name(name), value)  # noqa: PLW2901
            if type(name) is not str or not name or not name.isascii():
                name = clean_text(metric_name(name))  # noqa: PLW2901
            if iteration is None:
                at = self._next_iteration(name, axis)
            elif at is None:
                at = iteration_value(name, iteration)
            points.append(("metric", now, name, value, at, axis))  # the line of a Metric
        self._session.append(_lines(points), len(points), now if time is None else clock())
        last = self._last
        for _, _, name, _, at, _ in points:
            last[name if axis is DEFAULT_AXIS else (name, axis)] = at

    def _next_iteration(self, name: str, axis: str) -> int:
        if self._current is not None and axis is DEFAULT_AXIS:
            return self._current
        last = self._last.get(name if axis is DEFAULT_AXIS else (name, axis), -1)
        return min(last + 1, _MAX_ITERATION)

    def _next_of_all(self, names: Iterable[str]) -> int | None:
        """Return the iteration of the next points of metrics; None if they have different ones."""
        if self._current is not None:
            return self._current
        last, *others = set(map(self._last.__getitem__, names))
        return None if others else last + 1

    def _check_running(self) -> None:
        self._session.check_running()

    def _write(self, record: AnyRecord) -> None:
        self._session.write(record)
        if type(record) is Properties and self._properties is not None:
            self._properties.update(record.values)

    def _known_property(self, name: str) -> Mapping[str, Any] | None:
        if self._properties is None:  # the process that began the run may have set some
            self._properties = {}
            for record in self._session.read_records():
                if type(record) is Properties:
                    self._properties.update(record.values)
        return self._properties.get(name)

    def _request(self) -> StartRequest:
        from tracelet.core.start import StartRequest  # start-up time: the courier's side

        return StartRequest(
            settings=self.settings,
            redactor=self._redactor,
            connections=self._connections,
            params_now=self._params.flat(),
            first_tags=self._first_tags,
            first_params=self._first_params,
            run=self._session.run,
            resume=self._resume,
            run_id=self._wanted_id,
        )

    def _make_session(self, name: str, **state: Any) -> Session:
        return Session(name, self.settings, self._redactor, self._connections, **state)

    def _run_with(self, session: Session) -> None:
        """Use a session from now on; if it runs, make this the active experiment."""
        # Start-up time: the courier's side.
        from tracelet.core.departure import caller_of_tracelet
        from tracelet.core.exit import end_with_job, note_handled, register
        from tracelet.core.lenient import make_lenient  # start-up time

        self._session = session
        if self.settings.on_error == "warn":
            make_lenient(self)
        if session.is_running:
            if session.dir is not None:
                note_handled(session.dir)
            register(session)
            if session.owns_run:
                end_with_job(self)
                session.watch(caller_of_tracelet())
            activate(self)

    def _continue_from(self, earlier: EarlierRecords) -> None:
        """Continue after the earlier records of the run."""
        self._current = None  # this process has not set it
        for record in earlier.params:
            self._params.apply(record)
        for (name, axis), iteration in earlier.iterations.items():
            self._last[name if axis == DEFAULT_AXIS else (name, axis)] = iteration
        for destination in earlier.destinations:
            self._destinations.add(destination)
        self._properties = dict(earlier.properties)

    def _log_captured(self, captured: kinds.Captured) -> None:
        """Log a captured value."""
        match captured:
            case kinds.CapturedParams(flat=flat, descriptions=descriptions):
                self._params.merge(flat, descriptions, may_have_secrets=False)
            case kinds.CapturedMetric(name, value, iteration, axis, time):
                self.log_metric(name, value, iteration, axis=axis, time=time)
            case kinds.CapturedText(line=line, level=level):
                self.log(line, level)
            case kinds.CapturedConfig(name=name, value=value):
                self.connect_configuration(value, name)
            case kinds.CapturedFile(path=path, content=content):
                self._log_captured_file(path, content)

    def _own_files(self) -> Container[Path]:
        from tracelet.core.own_files import OwnFiles  # start-up time

        run = self._session.run
        return OwnFiles(run, self.settings) if run is not None else ()

    def _log_captured_file(self, path: str, content: bytes) -> None:
        from tracelet.core.artifacts import bytes_record  # start-up time

        session = self._session
        with session.counting_losses():
            record = bytes_record(path, content, session.blobs, clock())
            if record is not None:
                session.write(record)
            else:
                session.write_about(path, content)

    # -- in another process -------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process it is in the same state: not started, running, or stopped.
        if self.status is None:
            first = (self._resume, self._wanted_id, self._first_tags, self._first_params)
            return (self._with_settings, (self.settings, *first))
        # It delivers nothing there, so backends that are objects are left out: they need no pickle.
        names = tuple(one for one in self.settings.backend if isinstance(one, str))
        settings = msgspec.structs.replace(self.settings, backend=names)
        if self.is_running:
            return (self.joined, (str(self.dir) if self.dir else None, settings))
        state = (self._session.run, self.status, self.report, self.params.flat())
        return (self._ended, (settings, *state))

    @classmethod
    def _with_settings(cls, settings: Settings, *first: Any) -> Self:
        """Return an experiment with resolved settings.

        Args:
            settings: the settings.
            first: ``resume``, ``run_id``, ``tags`` and ``params``, as for the class.
        """
        exp = cls.__new__(cls)
        cls._set_up(exp, settings, *first)
        return exp

    @classmethod
    def joined(cls, path: str | None, settings: Settings | None = None) -> Experiment:
        """Return an experiment that adds to a run that another process began.

        Args:
            path: the run's directory; None: an experiment that writes nothing.
            settings: the settings of the other process; None: they are resolved here.

        Raises:
            RunNotFoundError: the run does not exist, at least not on this machine.
        """
        known: Experiment | None = running_in(path) if path is not None else None
        if known is not None:
            return known
        from tracelet.core.start import join_run  # start-up time: the courier's side

        exp = cls._with_settings(settings or resolve())
        cls._run_with(exp, join_run(cls._request(exp), path))
        return exp

    @classmethod
    def _ended(
        cls,
        settings: Settings,
        run: RunInfo | None,
        status: Status,
        report: DeliveryReport | None,
        params: Mapping[str, Any],
    ) -> Self:
        """Return an experiment that was stopped in another process; ``start()`` resumes its run.

        Args:
            settings: the settings of the other process.
            run: the identity of the run; None: the experiment wrote nothing.
            status: the status of the ending.
            report: the delivery report.
            params: the parameters.
        """
        exp = cls._with_settings(settings)
        exp.params.apply(Params(0.0, dict(params)))
        name = run.name if run is not None else run_name(settings)
        state: dict[str, Any] = {"status": status, "run": run, "report": report}
        cls._run_with(exp, cls._make_session(exp, name, **state))
        return exp


def _lines(points: list[tuple[str, float, str, Any, int, str]]) -> bytes:
    """Return points as lines: one line for all at the same iteration, else a line for each."""
    if 1 < len(points) <= _MAX_IN_LINE:
        _, now, _, _, at, axis = points[0]
        values = {name: value for _, _, name, value, _, _ in points}
        if len(values) == len(points) and all(point[4] == at for point in points):
            return encode_plain(("metrics", now, values, at, axis)) + b"\n"
    return encode_points(points)


def _stop_previous(experiment: Experiment | None) -> None:
    """Stop an experiment, unless another thread has stopped it meanwhile."""
    if experiment is not None:
        with contextlib.suppress(NotRunningError):
            experiment.end(None, for_next=True)


def _refuse_keywords(call: str, unknown: Mapping[str, object], known: Iterable[str]) -> NoReturn:
    """Refuse unknown keywords of a call, with a hint at the right one.

    Args:
        call: the name of the call.
        unknown: the unknown keywords, at least one, and their values.
        known: the keywords of the call.

    Raises:
        ValueTypeError: always.
    """
    name, value = next(iter(unknown.items()))
    hint = (
        f"; {_KEYWORD_HINTS[name].format(repr(value)[:40])}"
        if name in _KEYWORD_HINTS
        else nearest(name, known)
    )
    raise ValueTypeError(f"{call}() takes no argument {name!r}{hint}")
