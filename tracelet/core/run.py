"""Finds runs, and reads them back from their journals, independent of their backends.

A run can be read while it runs. Parameters and properties can be set on it: they are journaled and
delivered as if the run had logged them, also after its end.
"""

from __future__ import annotations

import contextlib
import functools
import os
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from tracelet.backends.base import Property, TextLine
from tracelet.core.active import running_in
from tracelet.core.artifacts import ArtifactFiles, PathLike
from tracelet.core.configurations import configurations_in, find_configuration
from tracelet.core.parameter_calls import ParameterCalls
from tracelet.core.parameters import Parameters
from tracelet.core.post_run import PostRunRecords
from tracelet.core.run_directories import Unread, views
from tracelet.courier.reconcile import reconcile, view_of
from tracelet.courier.report import DeliveryReport, make_report
from tracelet.destinations import slug
from tracelet.errors import DamageWarning, RunNotFoundError, ValueTypeError, warn
from tracelet.inner_path import InnerPath
from tracelet.journal.reader import Position
from tracelet.journal.rundir import RunDir, find_runs
from tracelet.plugin_hooks import foreign_params
from tracelet.records import (
    AnyRecord,
    Artifact,
    Metric,
    MetricPoint,
    Params,
    Properties,
    RunLink,
    Status,
    Text,
)
from tracelet.redaction import Redactor
from tracelet.settings import Settings, resolve
from tracelet.values.plain import describe

if TYPE_CHECKING:
    import pandas as pd

_BATCH_BYTES = 1 << 20


class Run(ParameterCalls):
    """A run that was logged, finished or not. Its journal is read at the first access.

    ``tracelet.load_run`` returns one. Its parameters and properties can be set: they are journaled,
    and delivered to the run's backends, like those that the run itself has logged.
    """

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._state = reconcile(run_dir)
        self._view = view_of(run_dir)
        self._position: Position = {}
        self._damaged = run_dir.seals.damage(contents=True)
        self._warned: set[str] = set()
        self._warn_of(self._damaged)

    def __repr__(self) -> str:
        return f"<Run {self.name!r} run_id={self.run_id!r} {self.status}>"

    @property
    def dir(self) -> Path:
        """The run's directory."""
        return self._run_dir.path

    @property
    def run_id(self) -> str:
        """The run's id, unique in its project."""
        return self._view.run_id

    @property
    def name(self) -> str:
        """The run's name."""
        return self._view.name

    @property
    def project(self) -> str:
        """The project of the run."""
        return self._view.project

    @property
    def status(self) -> Status:
        """``running``, ``finished``, ``failed`` or ``killed``."""
        return self._state.status

    @property
    def reason(self) -> str | None:
        """Why the run ended; None after ``stop()``, and while it runs."""
        return self._state.reason

    @property
    def started(self) -> float:
        """When the run was started first, in seconds since the epoch."""
        return self._view.started

    @property
    def ended(self) -> float | None:
        """When the run ended, in seconds since the epoch; None while it runs."""
        return self._state.ended

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags."""
        return MappingProxyType(self._state.tags)

    @property
    def facts(self) -> Mapping[str, Any]:
        """How the run was started: command line, host, Python and so on."""
        return MappingProxyType(self._view.facts)

    @property
    def backends(self) -> list[str]:
        """The names of the run's backends."""
        return list(self._view.backends)

    @property
    def links(self) -> dict[str, RunLink]:
        """The run's link in each backend that has opened it."""
        return {name: one.link for name, one in self.report.items() if one.link is not None}

    @functools.cached_property
    def report(self) -> DeliveryReport:
        """The present delivery report."""
        ended = self._view.report
        report = make_report(
            self._run_dir,
            self.backends,
            lost=max(self._state.lost, ended.lost if ended else 0),
            redacted=max(self._state.redacted, ended.redacted if ended else 0),
            damaged=self._damaged,
        )
        self._warn_of(report.damaged)
        return report

    def _warn_of(self, damaged: list[str]) -> None:
        """Warn of damage, once for this object; the report has all of it."""
        new = [one for one in damaged if one not in self._warned]
        if new:
            self._warned.update(new)
            more = f"; and {len(new) - 3:,} more" if len(new) > 3 else ""
            warn(f"the run {self.dir} is damaged: {'; '.join(new[:3])}{more}", DamageWarning)

    @functools.cached_property
    def _params(self) -> Parameters:  # type: ignore[override] # read when it is asked for
        params = Parameters(
            self._write,
            clock=self._now,
            policy=self._settings.on_param_conflict,
            redactor=self._redactor,
            foreign=foreign_params,
            news=self._news,
        )
        for record in self._records:
            if type(record) is Params:
                params.apply(record)
        return params

    @functools.cached_property
    def metrics(self) -> Mapping[str, list[MetricPoint]]:
        """The points of every metric, in the order they were logged."""
        found: dict[str, list[MetricPoint]] = {}
        for record in self._records:
            if type(record) is Metric:
                point = MetricPoint(
                    record.name, _number(record.value), record.iteration, record.axis, record.time
                )
                found.setdefault(record.name, []).append(point)
        return MappingProxyType(found)

    @functools.cached_property
    def artifacts(self) -> ArtifactFiles:
        """Destination to the file of each artifact; do not write to these files.

        A file that is looked up is verified: a warning says if it is not what was logged.
        """
        records = {record.path: record for record in self._records if type(record) is Artifact}
        placed, blobs = InnerPath(self.dir, "artifacts"), self._run_dir.blobs
        return ArtifactFiles(records, placed, blobs, is_own=self._run_dir.is_own)

    @functools.cached_property
    def configurations(self) -> Mapping[str, Any]:
        """Configuration objects by name: the value, or the path of the file that was given."""
        return MappingProxyType(configurations_in(self._records, self._run_dir.blobs))

    def get_configuration(self, name: str = "General") -> Any:
        """Return a configuration object: the value, or the path of the file that was given.

        Raises:
            ConfigurationNotFoundError: no object has that name.
        """
        return find_configuration(self.configurations, name)

    @functools.cached_property
    def properties(self) -> Mapping[str, Property]:
        """User properties by name."""
        found: dict[str, Property] = {}
        for record in self._records:
            if type(record) is Properties:
                # The backends have rejected a damaged one, too.
                with contextlib.suppress(msgspec.ValidationError):
                    found.update(msgspec.convert(record.values, dict[str, Property]))
        return MappingProxyType(found)

    @functools.cached_property
    def texts(self) -> list[TextLine]:
        """The lines of the run's log."""
        return [
            TextLine(record.text, record.level, record.time)
            for record in self._records
            if type(record) is Text
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """Return every metric point, one row each, in the order they were logged.

        Returns:
            A pandas DataFrame with the columns ``name``, ``value`` (float64; objects if an integer
            is too large for one), ``iteration``, ``axis`` and ``time`` (seconds since the epoch).

        Raises:
            ImportError: pandas is not installed; the message has the command that installs it.
        """
        from tracelet.core.frames import points_to_dataframe  # an optional library: pandas

        # Records that are in memory are used; they are not kept in memory for this call.
        if "_records" in self.__dict__:
            return points_to_dataframe([self._records])
        return points_to_dataframe(self._run_dir.reader(chunk_bytes=_BATCH_BYTES).batches())

    def flush(self, timeout: float = 60.0) -> bool:
        """Wait until the run's backends have everything that was set on this object.

        Args:
            timeout: seconds to wait at most; the rest is delivered later.

        Returns:
            Whether the backends have everything; if not, ``report`` has the pending records.
        """
        flushed = "_post_run" not in self.__dict__ or self._post_run.flush(timeout)
        self.__dict__.pop("report", None)
        return flushed

    @functools.cached_property
    def _settings(self) -> Settings:
        return resolve(dir=self.dir.parent.parent)

    @functools.cached_property
    def _redactor(self) -> Redactor:  # type: ignore[override] # made when it is asked for
        return Redactor.of(self._settings.redact)

    @functools.cached_property
    def _post_run(self) -> PostRunRecords:
        records = PostRunRecords(self._run_dir, self._settings)
        weakref.finalize(self, records.close)
        return records

    def _check_running(self) -> None:
        """Do nothing: a loaded run accepts records at any time."""

    def _known_property(self, name: str) -> Mapping[str, Any] | None:
        found = self.properties.get(name)
        return None if found is None else msgspec.structs.asdict(found)

    def _now(self) -> float:
        return self._post_run.now()

    def _write(self, record: AnyRecord) -> None:
        """Journal a record; add it to the records in memory, and to a running experiment's."""
        redactor = self._redactor
        redacted, redactor.count = redactor.count, 0
        self._post_run.add(record, redacted=redacted)
        live = running_in(str(self.dir))
        if live is not None and isinstance(record, Params):
            live.params.apply(record)
        if "_records" in self.__dict__:  # else it is read with the others
            self._records.append(record)
            self._position.update({name: (at, 0) for name, at in self._post_run.position.items()})
        for name in ("properties", "report"):
            self.__dict__.pop(name, None)

    @functools.cached_property
    def _records(self) -> list[AnyRecord]:
        return list(self._read_new())

    def _news(self) -> list[Params]:
        """Return the parameters that other processes have set since the last reading."""
        new = list(self._read_new())
        self._records.extend(new)
        return [record for record in new if isinstance(record, Params)]

    def _read_new(self) -> Iterator[AnyRecord]:
        reader = self._run_dir.reader()
        while (chunk := reader.read(self._position)) is not None:
            yield from chunk.records
            self._position = chunk.advance(self._position, len(chunk.records))
        reader.close()
        if reader.damaged_blobs:
            self._damaged += reader.damaged_blobs.values()
            self._warn_of(self._damaged)
            self.__dict__.pop("report", None)


def _number(value: float | str) -> float | int:
    return float(value) if isinstance(value, str) else value


def files_of(run: Run) -> RunDir:
    """Return the files of a loaded run, for the command line."""
    return run._run_dir  # noqa: SLF001 - a class of this module; users have ``dir``


def load_run(
    run: PathLike | None = None,
    *,
    project: str | None = None,
    exp_name: str | None = None,
    dir: PathLike | None = None,  # noqa: A002 - the setting's name
) -> Run:
    """Read a run back.

    Args:
        run: its directory, or its run id.
        project: with ``exp_name`` or alone: the latest run of that project.
        exp_name: the latest run of that name.
        dir: the directory of the runs; None: the setting ``dir``.

    Raises:
        RunNotFoundError: no run matches.
        ValueTypeError: ``run`` or ``dir`` is no path.
    """
    if run is not None:
        text = _path("load_run takes a directory or a run id", run)
        run_dir = RunDir(_absolute(text))
        if run_dir.exists:
            return Run(run_dir)
        matches = [one for one in find_runs(runs_root(dir)) if one.path.name == text]
        if project is not None:
            matches = [one for one in matches if one.path.parent.name == slug(project)]
        if len(matches) == 1:
            return Run(matches[0])
        if matches:
            places = ", ".join(one.path.parent.name for one in matches)
            raise RunNotFoundError(f"the run {text!r} is in several projects: {places}")
        raise RunNotFoundError(
            f"no run {text!r}: neither a directory nor an id in {runs_root(dir)}"
        )
    for found in views(runs_root(dir)):
        view = found[1]
        if (project is None or view.project == project) and (
            exp_name is None or view.name == exp_name
        ):
            return Run(found[0])
    asked = f"project={project!r}, exp_name={exp_name!r}"
    raise RunNotFoundError(f"no run with {asked} in {runs_root(dir)}")


def runs(
    project: str | None = None,
    *,
    dir: PathLike | None = None,  # noqa: A002 - the setting's name
) -> list[Run]:
    """Return all runs, newest first.

    Args:
        project: only the runs of this project.
        dir: the directory of the runs; None: the setting ``dir``.
    """
    found, unread = [], Unread()
    for one, view in views(runs_root(dir), unread):
        if project is None or view.project == project:
            with unread.skipping(one):
                found.append(Run(one))
    return found


def runs_root(dir: PathLike | None) -> Path:  # noqa: A002
    """Return the directory of the runs; None: the setting ``dir``."""
    return resolve().dir if dir is None else _absolute(_path("dir= is a directory", dir))


def _absolute(path: str) -> Path:
    """Return an absolute path; unchanged if its home or the working directory does not exist."""
    with contextlib.suppress(RuntimeError, OSError):
        return Path(path).expanduser().absolute()
    return Path(path)


def _path(what: str, given: object) -> str:
    path = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(path, str):
        raise ValueTypeError(f"{what}, not {describe(given):.80}")
    return path
