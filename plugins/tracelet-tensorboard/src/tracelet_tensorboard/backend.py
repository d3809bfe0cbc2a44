"""The TensorBoard backend: one folder a run, one event file in it, and the artifacts beside it.

Only :meth:`TensorboardBackend.open` imports the SDK, so that the training process never does.
"""

from __future__ import annotations

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
from tracelet.errors import SettingsError
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status
from tracelet_tensorboard.folder import event_file_name, place, run_folder

if TYPE_CHECKING:
    from types import ModuleType

    from tracelet_tensorboard.eventfile import EventFile
    from tracelet_tensorboard.points import PointEncoder

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
        self._sdk: ModuleType  # tracelet_tensorboard.summaries, which imports it
        self._file: EventFile
        self._points: PointEncoder
        self._tables: dict[str, dict[str, Any]] = {}
        self._changed_tables: set[str] = set()
        self._offsets: dict[str, int] = {}
        self._steps: dict[str, int] = {}

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        super().check(options)
        log_dir = options.get("log_dir")
        if log_dir is not None and (
            not isinstance(log_dir, str | os.PathLike) or "://" in os.fspath(log_dir)
        ):
            raise SettingsError(
                f"backends.tensorboard.log_dir is a directory of this machine: {log_dir!r}"
            )

    def open(self, run: RunInfo) -> RunLink:
        from tracelet_tensorboard import summaries
        from tracelet_tensorboard.eventfile import EventFile
        from tracelet_tensorboard.points import PointEncoder

        self._sdk, self._points, self._run = summaries, PointEncoder(), run
        self._folder = run_folder(run, self._log_dir)
        kept: dict[str, Any] = run.checkpoint or {"size": 0, "tables": {}, "steps": {}}
        self._file = EventFile(self._folder / event_file_name(run), kept["size"])
        self._offsets, self._steps = dict(kept["tables"]), dict(kept["steps"])
        self._tables = {
            tag: summaries.table_of(self._file.read(at)) for tag, at in self._offsets.items()
        }
        self._changed_tables.clear()
        # Behind the checkpoint stands the ending of a run that goes on now, or what comes again.
        ending = self._file.keep_rest(summaries.without_ending)
        self._file.cut()
        if run.checkpoint is None:
            self._file.append([summaries.first_record()])
            self._write_text(RUN, summaries.json_text(_identity(run)), run.started)
        if ending is not None:
            self._steps[STATUS] = summaries.step_of(ending) + 1
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
        self._file.append(self._points.encode(batch))

    def log_artifact(self, artifact: ArtifactFile) -> None:
        place(artifact.source, self._folder / "artifacts" / artifact.path, Path(self._run.dir))
        shown = {"path": artifact.path, "size": artifact.size, "sha256": artifact.digest}
        self._write_text(ARTIFACTS, self._sdk.json_text(shown))

    def log_config(self, config: ConfigObject) -> None:
        place(config.source, self._folder / config.path, Path(self._run.dir))
        if config.value is not None:
            shown = self._sdk.json_text(config.value)
        else:
            text = config.source.read_text(encoding="utf-8", errors="backslashreplace")
            shown = f"{config.path} ({config.size} bytes)\n\n{text}"
        if len(shown) > _LONGEST_SHOWN:
            shown = f"{config.path} ({config.size} bytes)\n\n{shown[:_LONGEST_SHOWN]}\n…"
        self._write_text(CONFIGURATIONS + config.name, shown)

    def log_text(self, lines: Sequence[TextLine]) -> None:
        first = self._take_steps(LOG, len(lines))
        self._file.append(
            [
                self._sdk.text_record(LOG, line.format(), first + index, line.time)
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
            self._offsets[tag] = self._write_text(tag, self._sdk.json_text(self._tables[tag]))
        self._changed_tables.clear()
        # Copies: the courier keeps the checkpoint while the run goes on.
        return {
            "size": self._file.size,
            "tables": dict(self._offsets),
            "steps": dict(self._steps),
        }

    def close(self, status: Status) -> None:
        self.flush()
        self._file.append(
            [
                self._sdk.ending_record(
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

    def _update(self, tag: str, values: Mapping[str, Any]) -> None:
        self._tables.setdefault(tag, {}).update(values)
        self._changed_tables.add(tag)

    def _write_text(self, tag: str, text: str, when: float | None = None) -> int:
        step = self._take_steps(tag, 1)
        record = self._sdk.text_record(tag, text, step, time.time() if when is None else when)
        return self._file.append([record])

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
