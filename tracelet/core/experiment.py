"""The experiment: the user's handle of one run. What it accepts, it has normalised and journaled.

Promises:

- A call that returns has put what it logged into the journal, where the death of the process, of a
  backend or of the courier does not reach it. No call waits for a backend, but ``flush`` and
  ``stop``.
- A call that raises has written nothing.
- Values, iterations and order are the same in every backend; what one cannot hold is reported.
"""

from __future__ import annotations

import contextlib
import functools
import math
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import time as clock
from typing import TYPE_CHECKING, Any, Never, NoReturn, Self, TypeVar

import msgspec

from tracelet.core.active import activate, deactivate, running_in
from tracelet.core.connect import Connections
from tracelet.core.parameter_calls import ParameterCalls
from tracelet.core.parameters import Parameters
from tracelet.core.run_name import run_name
from tracelet.core.session import Session
from tracelet.core.tags import as_str, given_tags, tag_values
from tracelet.core.track import Track
from tracelet.errors import InvalidValueError, NotRunningError, ValueTypeError, nearest
from tracelet.plugin_hooks import foreign_params, tell_plugins
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
from tracelet.values.plain import copied, describe, refuse_content
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
    from tracelet.capture.captured import Captured
    from tracelet.core.artifacts import Destinations, PathLike
    from tracelet.core.configurations import Configurations
    from tracelet.core.start import Earlier, StartRequest
    from tracelet.courier.report import DeliveryReport

__all__ = ["Experiment", "ExperimentConfig"]

_Object = TypeVar("_Object")
_LEVELS = ("debug", "info", "warning", "error", "critical")
_MAX_ITERATION = 2**63 - 1
_SMALL, _COMMON = -(2**30), 2**30
"""Between them Python compares integers in the shortest time."""
_MAX_IN_LINE = 256
"""Points in one line, which stays shorter than what is kept in a blob, unless names are long."""
_NUMBERS = frozenset({float, int})
_METRIC_KEYWORDS = ("iteration", "axis", "time")
_OUR_AXIS = "the position on the x-axis is called iteration here: iteration={}"
_OUR_WORDS = {
    "step": _OUR_AXIS,
    "global_step": _OUR_AXIS,
    "iter": _OUR_AXIS,
    "index": _OUR_AXIS,
    "epoch": "another x-axis is named: iteration={}, axis='epoch'",
    "timestamp": "the time of a point is called time: time={}",
    "walltime": "the time of a point is called time: time={}",
}


class Experiment(ParameterCalls):
    """One run being logged.

    ``tracelet.start_logging`` makes and starts one; used directly, call :meth:`start`, or use it
    as a context manager.

    Args:
        name: the run's name; runs may share it.
        config: an :class:`ExperimentConfig`, a mapping of settings, or the path of a file of them.
        backend: a backend's name, ``"module:Class"``, a class, an instance, or a list of such.
        resume: a run id to go on with; True: the run called ``run_id`` if it is there, or without
            that the latest run of this name that has not finished, and else a new one.
        run_id: the id of a new run, unless one is to be made up.
        tags, params: logged at the start.
        settings: any other setting of :class:`ExperimentConfig`, such as ``project``.

    Raises:
        SettingsError: for a setting that is unknown or of the wrong type.
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
        """Where each metric's last point is; the key has the axis unless it is the default one."""
        self._properties: dict[str, Mapping[str, Any]] | None = None
        """The fields of each property; None if they have to be looked for."""
        self._asked_to_stop: Callable[[], bool] | None = None

    # -- the run ------------------------------------------------------------------------------

    def start(self, *, instead_of: Experiment | None = None) -> Self:
        """Start the run; harmless if it runs. A run that was stopped is resumed.

        Args:
            instead_of: an experiment that is stopped first: as late as possible, and not for a
                start that is refused.

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
            started.capture.begin(self._log_captured)
        if self._first_tags:
            self.set_tags(self._first_tags)
        if self._first_params is not None:
            self.log_params(self._first_params)
        if started.capture is not None:
            tell_plugins("tracelet_run_started", run=started.session.run)
        return self

    def check_start(self) -> None:
        """Raise what the start of a run of its own would raise for a mistake; write nothing."""
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
            status: ``finished``, ``failed`` or ``killed``; None: ``finished``, or as the exception
                says that is being handled while this is called, as in a ``finally`` block; or, in
                a function that is called at exit, as the program has ended.
            timeout: seconds to wait for the backends; None: the setting ``drain_timeout``. After
                that the courier is left running, and delivers what is left.
            wait: False returns at once.

        Returns:
            What became of everything that was logged.

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
    ) -> DeliveryReport:
        """End the run as :meth:`stop` does, for a caller who knows more of its end.

        Args:
            status: as for :meth:`stop`.
            reason: why the run has ended, unless it was stopped.
            timeout: as for :meth:`stop`.
            wait: as for :meth:`stop`.
            may_raise: whether a strict run may raise.
            show: whether a report that is complete is written to stderr, too.
        """
        from tracelet.core.exit import (  # start-up time: the courier's side
            exit_status,
            forget,
            handled_exception,
            is_exiting,
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
            with session.connections.read_again():
                if status is None and self.owns_run and is_exiting():
                    forget(session)
                    return session.end_at_exit(seconds if wait else None)
                if status is None:
                    status, reason = exit_status(handled_exception(self.dir), self._redactor)
                session.close(status)
                deactivate(self)
                forget(session)
                return session.finish(
                    reason, timeout=seconds, wait=wait, may_raise=may_raise, show=show
                )
        finally:
            if not session.is_running:
                session.connections.end()

    def flush(self, timeout: float = 10.0) -> bool:
        """Sync the journal to the disk and wait for the backends; connected objects are read again.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether every healthy backend has everything that was logged before the call.
        """
        return self._session.flush(timeout)

    def should_stop(self) -> bool:
        """Whether the run is not worth going on with: then end the training.

        A search asks its pruner, with the metrics that were logged so far; a run that is no trial
        of one is never stopped.
        """
        return self._asked_to_stop is not None and self._asked_to_stop()

    def stop_when(self, asked: Callable[[], bool] | None) -> None:
        """Set what :meth:`should_stop` asks; None: nothing."""
        self._asked_to_stop = asked

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self.is_running:
            from tracelet.core.exit import exit_status  # start-up time: the courier's side

            status, reason = exit_status(error, self._redactor)
            self.end(status, reason=reason, may_raise=error is None)

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
        """``running``, or the ending; None before the start."""
        return self._session.status

    @property
    def links(self) -> dict[str, RunLink]:
        """Where the run is in each backend that has opened it by now."""
        return self._session.links()

    @property
    def report(self) -> DeliveryReport | None:
        """What became of everything, once the run was stopped."""
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
            name: the metric's name; any text, ``train/loss`` groups in most trackers.
            value: anything with one number in it: bool, int, float, Decimal, a NumPy or Torch
                scalar, an array or tensor with one element. NaN and the infinities are kept.
            iteration: the integer position on the axis; None: the current iteration, or else a
                one more than this metric's last point on the axis, 0 for its first.
            axis: the name of the x-axis.
            time: seconds since the epoch; None: now.
            unknown: none; ``step=3`` and the like are answered with the word that is meant.

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
                except (TypeError, OverflowError):  # a name that only equals a text, a vast integer
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
            values = copied("log_metrics: the mapping", values)
        if any(isinstance(value, Mapping) for value in values.values()):
            values = flat_metrics(values)
        if not values and iteration is not None:
            iteration_value(None, iteration, "log_metrics")
        self._log_points(values, iteration, axis, time)

    def track(self, name: str) -> Track:
        """Return a metric as an object: ``exp.track("loss").append(value=0.1, epoch=3)``."""
        return Track(self.log_metric, metric_name(name))

    # -- parameters, files, texts and tags ----------------------------------------------------

    def connect(self, obj: _Object, name: str | None = GENERAL) -> _Object:
        """Log the fields of an object as parameters, and again what of them changes.

        The object is read again at :meth:`flush` and at the end of the run, and what has changed in
        it since is logged. Until then it is kept.

        Args:
            obj: a mapping, Namespace, dataclass, attrs or pydantic instance, an OmegaConf
                configuration, or any class or object, of which the public attributes are taken.
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
        self, file: PathLike, destination: PathLike | None = None, *, copy: bool = True
    ) -> None:
        """Store a file or a directory; its content is taken now.

        Args:
            file: the file or directory.
            destination: where it goes in the run, relative; None: under its own name; ``models/``:
                into that folder. The same destination again: the later content wins.
            copy: False only notes where the file is, and trusts it to stay.

        Raises:
            ArtifactNotFoundError: it does not exist.
            ArtifactUnreadableError: it, or something in it, cannot be read.
            InvalidValueError: the destination is a folder of other artifacts, or in one of them, or
                is longer than file systems allow: 255 bytes a name.
            UnsafePathError: the destination is absolute or contains ``..``.
        """
        session = self._session
        session.check_running()
        from tracelet.core.artifacts import artifact_records  # start-up time

        with session.counting_losses():
            for record in artifact_records(
                file, destination, session.blobs, clock(), copy=copy, known=self._destinations
            ):
                session.write(record)

    def log(self, text: str, level: str = "info") -> None:
        """Log a line of text.

        Args:
            text: the line. A number, or an object that has a place in a line, is written with
                ``str``.
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
        """Set tags, short texts by name; a tag that is there is replaced."""
        self._session.check_running()
        stored = tag_values({**given_tags(tags), **values})
        if stored:
            self._session.write(Tags(clock(), self._redactor.params(stored)))

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""
        self.set_tags({key: value})

    def connect_configuration(self, configuration: Any, name: str = "General") -> Any:
        """Keep a configuration object whole: a mapping or a list typed, a file byte for byte.

        Args:
            configuration: a mapping, a list, an object with fields, or the path of a file.
            name: what it is called; a later one of the same name takes its place.

        Returns:
            What was given.

        Raises:
            ArtifactNotFoundError: the file does not exist.
            ValueTypeError: it is nothing that can be a configuration.
        """
        session, record = self._session, None
        session.check_running()
        with session.counting_losses():
            record = self._configurations.take(name, configuration, session.blobs, clock())
        if record is not None:
            session.write(record)
        return configuration

    def get_configuration(self, name: str = "General") -> Any:
        """Return a configuration object of this run: the value, or the path of the file as it was.

        Raises:
            ConfigurationNotFoundError: there is none of that name.
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
        """Return the iteration of the next points of metrics; None if there is not one for all."""
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
        """Take calls for a session; if it runs, be the active experiment."""
        from tracelet.core.exit import end_at_exit, note_handled  # start-up time
        from tracelet.core.lenient import make_lenient

        self._session = session
        if self.settings.on_error == "warn":
            make_lenient(self)
        if session.is_running:
            if session.dir is not None:
                note_handled(session.dir)
            end_at_exit(session)
            activate(self)

    def _continue_from(self, earlier: Earlier) -> None:
        """Take over what the run has logged before, as if this object had."""
        self._current = None  # as for a process that has not set it
        for record in earlier.params:
            self._params.apply(record)
        for (name, axis), iteration in earlier.iterations.items():
            self._last[name if axis == DEFAULT_AXIS else (name, axis)] = iteration
        for destination in earlier.destinations:
            self._destinations.add(destination)
        self._properties = dict(earlier.properties)

    def _log_captured(self, captured: Captured) -> None:
        """Log what a source of capture has seen."""
        from tracelet.capture import captured as kinds  # start-up time

        match captured:
            case kinds.CapturedParams(flat=flat, descriptions=texts):
                self._params.merge(flat, texts, may_have_secrets=False)
            case kinds.CapturedMetric(name, value, iteration, axis, time):
                self.log_metric(name, value, iteration, axis=axis, time=time)
            case kinds.CapturedText(line=line, level=level):
                self.log(line, level)
            case kinds.CapturedConfig(name=name, value=value):
                self.connect_configuration(value, name)
            case kinds.CapturedFile(path=path, content=content):
                self._log_captured_file(path, content)

    def _log_captured_file(self, path: str, content: bytes) -> None:
        from tracelet.core.artifacts import bytes_record  # start-up time
        from tracelet.journal.rundir import ABOUT

        session = self._session
        with session.counting_losses():
            record = bytes_record(path, content, session.blobs, clock(), aside=ABOUT)
            if record is not None:
                session.write(record)
            else:
                session.write_about(path, content)

    # -- in another process -------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process it is what it is here: to be started, a handle of the run, or over.
        if self.status is None:
            first = (self._resume, self._wanted_id, self._first_tags, self._first_params)
            return (self._with_settings, (self.settings, *first))
        # It delivers nothing there: backends that are objects need not be such as can be pickled.
        names = tuple(one for one in self.settings.backend if isinstance(one, str))
        settings = msgspec.structs.replace(self.settings, backend=names)
        if self.is_running:
            return (self.joined, (str(self.dir) if self.dir else None, settings))
        state = (self._session.run, self.status, self.report, self.params.flat())
        return (self._ended, (settings, *state))

    @classmethod
    def _with_settings(cls, settings: Settings, *first: Any) -> Self:
        """Return an experiment with the settings that were decided for another one.

        Args:
            settings: those settings.
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
            settings: those of the other process; None: they are looked for here.

        Raises:
            RunNotFoundError: the run is not there, or not on this machine.
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
        """Return an experiment that was stopped elsewhere; ``start()`` goes on with its run.

        Args:
            settings: those of the other process.
            run: who the run is; None: it was of an experiment that writes nothing.
            status: how it has ended.
            report: what became of everything.
            params: its parameters.
        """
        exp = cls._with_settings(settings)
        exp.params.apply(Params(0.0, dict(params)))
        name = run.name if run is not None else run_name(settings)
        state: dict[str, Any] = {"status": status, "run": run, "report": report}
        cls._run_with(exp, cls._make_session(exp, name, **state))
        return exp


def _lines(points: list[tuple[str, float, str, Any, int, str]]) -> bytes:
    """Make one line of points at the same iteration, and else one of each."""
    if 1 < len(points) <= _MAX_IN_LINE:
        _, now, _, _, at, axis = points[0]
        values = {name: value for _, _, name, value, _, _ in points}
        if len(values) == len(points) and all(point[4] == at for point in points):
            return encode_plain(("metrics", now, values, at, axis)) + b"\n"
    return encode_points(points)


def _stop_previous(experiment: Experiment | None) -> None:
    """Stop an experiment, unless another thread has done so meanwhile."""
    if experiment is not None:
        with contextlib.suppress(NotRunningError):
            experiment.stop()


def _refuse_keywords(call: str, unknown: Mapping[str, object], known: Iterable[str]) -> NoReturn:
    """Refuse keywords that a call does not take, with the word that may be meant.

    Args:
        call: the name of the call.
        unknown: the keywords, at least one, and what they were given.
        known: those that the call takes.

    Raises:
        ValueTypeError: always.
    """
    name, value = next(iter(unknown.items()))
    hint = (
        f"; {_OUR_WORDS[name].format(repr(value)[:40])}"
        if name in _OUR_WORDS
        else nearest(name, known)
    )
    raise ValueTypeError(f"{call}() takes no argument {name!r}{hint}")
