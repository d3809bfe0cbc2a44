"""Reading a run back, from its journal: whatever its backends were, whether it lives or not."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from tracelet.backends.base import Property, TextLine
from tracelet.core.artifacts import PathLike
from tracelet.core.parameters import Parameters
from tracelet.core.placing import views
from tracelet.courier.reconcile import reconcile, view_of
from tracelet.courier.report import DeliveryReport, make_report
from tracelet.errors import RunNotFoundError, ValueTypeError
from tracelet.journal.rundir import RunDir, find_runs, slug
from tracelet.records import (
    AnyRecord,
    Artifact,
    Config,
    Metric,
    MetricPoint,
    Params,
    Properties,
    RunLink,
    Status,
    Text,
)
from tracelet.settings import resolve

if TYPE_CHECKING:
    import pandas as pd

_BATCH_BYTES = 1 << 20


class Run:
    """A run that was logged, finished or not, as its journal has it when it is first looked at.

    ``tracelet.load_run`` makes one.
    """

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._life = reconcile(run_dir)
        self._view = view_of(run_dir)

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
        return self._life.status

    @property
    def reason(self) -> str | None:
        """Why it ended, if not by ``stop()``."""
        return self._life.reason

    @property
    def started(self) -> float:
        """When it was started first, seconds since the epoch."""
        return self._view.started

    @property
    def ended(self) -> float | None:
        """When it ended, seconds since the epoch; None while it runs."""
        return self._life.ended

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags."""
        return MappingProxyType(self._life.tags)

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it was started: command line, host, Python and so on."""
        return MappingProxyType(self._view.facts)

    @property
    def backends(self) -> list[str]:
        """The names of its backends."""
        return list(self._view.backends)

    @property
    def links(self) -> dict[str, RunLink]:
        """Where the run is in its backends."""
        return {name: one.link for name, one in self.report.items() if one.link is not None}

    @functools.cached_property
    def report(self) -> DeliveryReport:
        """What became of everything that was logged, as of now."""
        ended = self._view.report
        return make_report(
            self._run_dir,
            self.backends,
            lost=max(self._life.lost, ended.lost if ended else 0),
            redacted=max(self._life.redacted, ended.redacted if ended else 0),
        )

    @functools.cached_property
    def params(self) -> Parameters:
        """The parameters: flat and typed; ``.nested()``, ``.history(key)``."""
        params = Parameters()
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
    def artifacts(self) -> Mapping[str, Path]:
        """The content of every artifact by its destination; read it, do not write to it."""
        blobs = self._run_dir.blobs
        found: dict[str, Path] = {}
        for record in self._records:
            if type(record) is Artifact:
                # Where the local backend has put it, the file has its name and suffix.
                named = self.dir / "artifacts" / record.path
                content = Path(record.source) if record.source else blobs.path(record.digest)
                same = not record.source and named.exists() and named.samefile(content)
                found[record.path] = named if same else content
        return MappingProxyType(found)

    @functools.cached_property
    def configurations(self) -> Mapping[str, Any]:
        """Configuration objects by name: the value, or the path of the file that was given."""
        blobs = self._run_dir.blobs
        return MappingProxyType(
            {
                record.name: blobs.path(record.digest) if record.value is None else record.value
                for record in self._records
                if type(record) is Config
            }
        )

    @functools.cached_property
    def properties(self) -> Mapping[str, Property]:
        """User properties by name."""
        found: dict[str, Property] = {}
        for record in self._records:
            if type(record) is Properties:
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
            ImportError: pandas is not installed; the message has the install line.
        """
        from tracelet.core.frames import points_to_dataframe

        # The records are kept once something else has asked for them, but not for this.
        if "_records" in self.__dict__:
            return points_to_dataframe([self._records])
        return points_to_dataframe(self._run_dir.reader(chunk_bytes=_BATCH_BYTES).batches())

    @functools.cached_property
    def _records(self) -> list[AnyRecord]:
        reader = self._run_dir.reader()
        records = list(reader.records())
        reader.close()
        return records


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
        dir: where the runs are; None: the setting ``dir``.

    Raises:
        RunNotFoundError: there is no such run.
    """
    if run is not None:
        text = os.fspath(run)
        if not isinstance(text, str):
            raise ValueTypeError(f"load_run takes a directory or a run id: {run!r}")
        run_dir = RunDir(Path(text).expanduser().absolute())
        if run_dir.run_json.exists():
            return Run(run_dir)
        matches = [one for one in find_runs(_root(dir)) if one.path.name == text]
        if project is not None:
            matches = [one for one in matches if one.path.parent.name == slug(project)]
        if len(matches) == 1:
            return Run(matches[0])
        if matches:
            places = ", ".join(one.path.parent.name for one in matches)
            raise RunNotFoundError(f"the run {text!r} is in several projects: {places}")
        raise RunNotFoundError(f"no run {text!r}: neither a directory nor an id in {_root(dir)}")
    for found in views(_root(dir)):
        view = found[1]
        if (project is None or view.project == project) and (
            exp_name is None or view.name == exp_name
        ):
            return Run(found[0])
    asked = f"project={project!r}, exp_name={exp_name!r}"
    raise RunNotFoundError(f"no run with {asked} in {_root(dir)}")


def runs(
    project: str | None = None,
    *,
    dir: PathLike | None = None,  # noqa: A002 - the setting's name
) -> list[Run]:
    """Return the runs there are, newest first.

    Args:
        project: only those of this project.
        dir: where the runs are; None: the setting ``dir``.
    """
    return [
        Run(one) for one, view in views(_root(dir)) if project is None or view.project == project
    ]


def _root(dir: PathLike | None) -> Path:  # noqa: A002
    return Path(resolve().dir if dir is None else dir).expanduser().absolute()


def _number(value: float | str) -> float | int:
    return float(value) if isinstance(value, str) else value
