"""The TensorBoard backend: one folder a run, one event file in it, and the artifacts beside it.

This adapter is the model for one of your own. Read it from top to bottom: what the tracker can hold
is declared in ``capabilities``; ``__init__`` keeps the options; ``open`` begins the run, or goes on
with it where the checkpoint says; each call stores what it is given; ``flush`` returns the
checkpoint; ``close`` ends the run. How TensorBoard wants its events is in ``events``, how a file of
them is framed in ``event_file``; both need the SDK, and only ``open`` imports them, so that the
training process never does.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tracelet.backends.base import (
    ArtifactFile,
    Backend,
    Capabilities,
    ConfigObject,
    Property,
    Support,
    TextLine,
)
from tracelet.backends.files import place_file
from tracelet.errors import SettingsError
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status

if TYPE_CHECKING:
    from types import ModuleType

    from tracelet_tensorboard.event_file import EventFile
    from tracelet_tensorboard.events import PointEncoder

RUN, STATUS, LOG = "tracelet/run", "tracelet/status", "tracelet/log"
PARAMETERS, TAGS, PROPERTIES = "tracelet/parameters", "tracelet/tags", "tracelet/properties"
CONFIGURATIONS, ARTIFACTS = "tracelet/configurations/", "tracelet/artifacts"

_LONGEST_SHOWN = 100_000
"""Characters of a configuration object that are shown; its file has all of it."""


class TensorboardBackend(Backend):
    """Event files for TensorBoard, written with the ``tensorboard`` package alone.

    - Every point is in the file once, in the order of the log, also after the worker was killed.
    - Parameters, tags and properties are texts. Each holds all of them and is written when one of
      them changes, at most once a commit: the last one counts.
    - The hparams page sees a run when it has ended.

    Args:
        log_dir: the directory for ``tensorboard --logdir``; None: ``tensorboard`` in the project's
            directory, beside its runs. Relative to where the training was started.
    """

    name: ClassVar[str] = "tensorboard"
    own_files: ClassVar[frozenset[str]] = frozenset({"tracelet/adjusted.jsonl"})
    requires: ClassVar[Mapping[str, str]] = {"tensorboard": "tensorboard>=2.20"}
    capabilities: ClassVar[Capabilities] = Capabilities.everything(
        float64=Support.EMULATED,  # shown as float32; exact beside it in the same event
        integers=Support.EMULATED,  # the same
        unordered_iterations=Support.EMULATED,  # kept; the default server shows the last of them
        axes=Support.EMULATED,  # a chart for each axis: "loss [epoch]"
        statuses=Support.EMULATED,  # killed is a failure on the hparams page; the text is exact
        batch_limit=50_000,
    )

    def __init__(self, log_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(log_dir=log_dir)
        self._log_dir = None if log_dir is None else os.fspath(log_dir)
        self._folder = Path()
        self._run: RunInfo
        self._events: ModuleType
        self._file: EventFile
        self._points: PointEncoder
        self._tables: dict[str, dict[str, Any]] = {}
        self._changed_tables: set[str] = set()
        self._offsets: dict[str, int] = {}
        self._steps: dict[str, int] = {}

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        super().check(options)
        log_dir = os.fspath(options.get("log_dir") or "")
        if "://" in log_dir:
            raise SettingsError(
                f"backends.tensorboard.log_dir is a directory of this machine, not {log_dir!r}"
            )

    def local_stores(self, run: RunInfo) -> Sequence[Path]:
        return () if self._log_dir is None else (run_folder(run, self._log_dir).parent,)

    def open(self, run: RunInfo) -> RunLink:
        from tracelet_tensorboard import events
        from tracelet_tensorboard.event_file import EventFile

        self._events, self._points, self._run = events, events.PointEncoder(), run
        self._folder = run_folder(run, self._log_dir)
        kept: dict[str, Any] = run.checkpoint or {"size": 0, "tables": {}, "steps": {}}
        self._file = EventFile(self._folder / event_file_name(run), kept["size"])
        self._offsets, self._steps = dict(kept["tables"]), dict(kept["steps"])
        self._tables = {
            tag: events.table_of(self._file.read(at)) for tag, at in self._offsets.items()
        }
        self._changed_tables.clear()
        # Behind the checkpoint stands the ending of a run that goes on now, or what comes again.
        ending = self._file.keep_rest(events.without_ending)
        self._file.cut()
        if run.checkpoint is None:
            self._file.append_records([events.first_record()])
            self._write_text(RUN, events.json_text(_identity(run)), run.started)
        if ending is not None:
            self._steps[STATUS] = events.step_of(ending) + 1
        if run.checkpoint is None or ending is not None:
            self._write_text(STATUS, "running")
        return RunLink(str(self._folder), self._folder.as_uri())

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        self._update(PARAMETERS, params)

    def remove_params(self, keys: Sequence[str]) -> None:
        table = self._tables.setdefault(PARAMETERS, {})
        for key in keys:
            table.pop(key, None)
        self._changed_tables.add(PARAMETERS)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self._file.append_records(self._points.encode(batch))

    def log_artifact(self, artifact: ArtifactFile) -> None:
        self._place(artifact.source, f"artifacts/{artifact.path}")
        shown = {"path": artifact.path, "size": artifact.size, "sha256": artifact.digest}
        self._write_text(ARTIFACTS, self._events.json_text(shown))

    def log_config(self, config: ConfigObject) -> None:
        self._place(config.source, config.path)
        if config.value is not None:
            shown = self._events.json_text(config.value)
        else:
            text = config.source.read_text(encoding="utf-8", errors="backslashreplace")
            shown = f"{config.path} ({config.size} bytes)\n\n{text}"
        if len(shown) > _LONGEST_SHOWN:
            shown = f"{config.path} ({config.size} bytes)\n\n{shown[:_LONGEST_SHOWN]}\n…"
        self._write_text(CONFIGURATIONS + config.name, shown)

    def log_text(self, lines: Sequence[TextLine]) -> None:
        first = self._take_steps(LOG, len(lines))
        self._file.append_records(
            [
                self._events.text_record(LOG, line.format(), first + index, line.time)
                for index, line in enumerate(lines)
            ]
        )

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._update(TAGS, tags)

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        self._update(
            PROPERTIES,
            {
                name: {"value": one.value, "description": one.description, "type": one.type}
                for name, one in properties.items()
            },
        )

    def flush(self) -> dict[str, Any]:
        for tag in sorted(self._changed_tables):
            self._offsets[tag] = self._write_text(tag, self._events.json_text(self._tables[tag]))
        self._changed_tables.clear()
        # Copies: the courier keeps the checkpoint while the run goes on.
        return {
            "size": self._file.size,
            "tables": dict(self._offsets),
            "steps": dict(self._steps),
        }

    def close(self, status: Status) -> None:
        self.flush()
        self._file.append_records(
            [
                self._events.ending_record(
                    self._tables.get(PARAMETERS, {}),
                    status,
                    STATUS,
                    self._take_steps(STATUS, 1),
                    run_id=self._run.run_id,
                    started=self._run.started,
                    ended=self.ended,
                )
            ]
        )

    @property
    def native(self) -> Path:
        """The run's folder: TensorBoard has no live object."""
        return self._folder

    def _place(self, source: Path, path: str) -> None:
        # What is outside of the run's directory was logged without a copy, and may change.
        is_blob = source.is_relative_to(self._run.dir)
        place_file(source, self._folder / path, link=is_blob)

    def _update(self, tag: str, values: Mapping[str, Any]) -> None:
        self._tables.setdefault(tag, {}).update(values)
        self._changed_tables.add(tag)

    def _write_text(self, tag: str, text: str, when: float | None = None) -> int:
        step = self._take_steps(tag, 1)
        record = self._events.text_record(tag, text, step, time.time() if when is None else when)
        return self._file.append_records([record])

    def _take_steps(self, tag: str, number: int) -> int:
        """Return the next step of a text: how many there were before it."""
        step = self._steps.get(tag, 0)
        self._steps[tag] = step + number
        return step


def _identity(run: RunInfo) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "name": run.name,
        "project": run.project,
        "group": run.group,
        "facts": run.facts,
    }


def run_folder(run: RunInfo, log_dir: str | None) -> Path:
    """Return the folder of a run: where it was before, or ``<log_dir>/<run id>``.

    A relative ``log_dir`` is meant from where the training was started, not from where the courier
    runs. Without one, the runs of a project are together, in ``tensorboard`` beside them. A folder
    in which there are events of another run gets a number behind its name.
    """
    if run.link is not None:
        return Path(run.link.id)
    if log_dir is None:
        parent = Path(run.dir).parent / "tensorboard"
    else:
        parent = Path(run.facts.get("cwd") or run.dir) / Path(log_dir).expanduser()
    folder, number = parent / run.run_id, 1
    while _is_taken(folder, event_file_name(run)):
        number += 1
        folder = parent / f"{run.run_id}-{number}"
    return folder


def event_file_name(run: RunInfo) -> str:
    """Return the name of a run's event file, always the same; names are the order of reading."""
    who = hashlib.sha256(f"{run.project}/{run.run_id}/{run.started}".encode()).hexdigest()[:12]
    return f"events.out.tfevents.{int(run.started):010d}.tracelet.{who}"


def _is_taken(folder: Path, own: str) -> bool:
    return folder.is_dir() and any(
        "tfevents" in file.name and file.name != own for file in folder.iterdir()
    )
