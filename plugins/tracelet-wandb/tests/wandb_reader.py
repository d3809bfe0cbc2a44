"""Reads a run of W&B from its offline file, by the format of the file, never through the adapter.

It does not know the adapter: what this module knows, anybody who reads the README can know. It is
for tests and for ``tracelet check``; without it nobody could tell what W&B really has of a run. A
record of the file is a ``wandb.proto`` message.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb
from wandb_frames import BadFileError, pieces

from tracelet.backends.base import Property
from tracelet.records import MetricPoint, Status
from tracelet.testing import ReadBack, parse_adjusted, parse_log


def records(file: Path) -> Iterator[Any]:
    """Yield the records of a file."""
    for content in pieces(file.read_bytes()):
        record = pb.Record()
        record.ParseFromString(content)
        yield record


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise BadFileError(otherwise)


def _items(items: Any) -> dict[str, Any]:
    found = {}
    for item in items:
        keys = list(item.nested_key) or [item.key]
        _require(len(keys) == 1 or keys[0] == "_wandb", f"nested keys {keys}")
        found[keys[0]] = json.loads(item.value_json)
    return found


class OfflineRun:
    """One ``.wandb`` file.

    Attributes:
        run: the last record of the run itself: id, name, project, notes, tags.
        config: the configuration.
        rows: the history, as it is.
        hidden: the names of hidden metrics.
        steps: the axis of metrics that were given one of their own.
        summary: the summary.
        saved: the paths of the files that are uploaded.
        manifest: the files of the artifact: path to (local path, digest).
        exit_code: None if the run was not ended.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.run: Any = None
        self.config: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.hidden: set[str] = set()
        self.steps: dict[str, str] = {}
        self.summary: dict[str, Any] = {}
        self.saved: list[str] = []
        self.manifest: dict[str, tuple[Path, str]] = {}
        self.artifacts = 0
        self.exit_code: int | None = None
        for record in records(file):
            reader = getattr(self, f"_{record.WhichOneof('record_type')}", None)
            if reader is not None:
                reader(record)

    def _run(self, record: Any) -> None:
        self.run = record.run
        self.config.update(_items(record.run.config.update))

    def _config(self, record: Any) -> None:
        self.config.update(_items(record.config.update))
        _require(not record.config.remove, "something was removed from config")

    def _history(self, record: Any) -> None:
        row = _items(record.history.item)
        step = record.history.step.num
        _require(row["_step"] == step == len(self.rows), f"row {len(self.rows)} has step {step}")
        self.rows.append(row)

    def _metric(self, record: Any) -> None:
        name = record.metric.name or record.metric.glob_name
        if record.metric.options.hidden:
            self.hidden.add(name)
        if record.metric.step_metric:
            self.steps[name] = record.metric.step_metric
        _require(not record.metric.options.step_sync, f"{name} would repeat its last step")

    def _summary(self, record: Any) -> None:
        self.summary.update(_items(record.summary.update))

    def _files(self, record: Any) -> None:
        self.saved += [file.path for file in record.files.files]

    def _artifact(self, record: Any) -> None:
        self.artifacts += 1
        for entry in record.artifact.manifest.contents:
            self.manifest[entry.path] = (Path(entry.local_path), entry.digest)

    def _exit(self, record: Any) -> None:
        self.exit_code = record.exit.exit_code

    # -------------------------------------------------------------- in tracelet's words

    @property
    def own(self) -> dict[str, Any]:
        """What tracelet keeps in ``config``."""
        own: dict[str, Any] = self.config.get("tracelet", {})
        return own

    def points(self) -> list[MetricPoint]:
        """The points, in the order of the rows."""
        axes = self.hidden - {"_times"}
        found = []
        for row in self.rows:
            (axis,) = axes & row.keys()
            times = dict(row.get("_times", ()))
            found += [
                MetricPoint(
                    key.removeprefix("metric:"),
                    value,
                    row[axis],
                    decoded(axis[5:]) if axis.startswith("axis:") else axis,
                    times.get(key, row["_timestamp"]),
                )
                for key, value in row.items()
                if key not in ("_step", "_runtime", "_timestamp", "_times", axis)
            ]
        return found

    def params(self) -> dict[str, Any]:
        """The parameters, flat."""
        others = {"tracelet", "_wandb", *self.own["removed"], *self.own.get("configs", {}).values()}
        found: dict[str, Any] = {}
        for key, value in self.config.items():
            if key not in others:
                top = decoded(key[6:]) if key.startswith("param:") else key
                _flatten(top, value, found)
        return found

    def contents(self) -> dict[str, bytes]:
        """The artifacts by destination."""
        found = {}
        for path, (local, digest) in self.manifest.items():
            content = local.read_bytes()
            files = self.file.parent / "files"
            _require(files in local.parents, f"{local} is outside of the run's files")
            md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
            _require(md5 == digest, f"{path} has another digest")
            saved = local.relative_to(files).as_posix()
            _require(saved in self.saved, f"{saved} is not among the files that are uploaded")
            found[path] = content
        return found

    def configs(self) -> dict[str, Any]:
        """The configuration objects: values, and the bytes of those that were given as files."""
        values = {name: self.config[key] for name, key in self.own.get("configs", {}).items()}
        files = {
            Path(path).stem: content
            for path, content in self.contents().items()
            if path.startswith("configs/")
        }
        return {**files, **values}

    def status(self) -> Status | None:
        """How the run ended; None if it did not."""
        if self.exit_code is None:
            return None
        status: Status = self.own["status"]
        meant = {"finished": 0, "failed": 1, "killed": 255}[status]
        _require(self.exit_code == meant, f"exit code {self.exit_code}, and {status}")
        return status

    def read_back(self, runs: int = 1) -> ReadBack:
        """Everything, in one shape."""
        contents = self.contents()
        return ReadBack(
            params=self.params(),
            points=self.points(),
            artifacts=contents,
            configs=self.configs(),
            texts=parse_log(contents.get("log.txt")),
            tags=self.own.get("tags", {}),
            properties={
                name: Property(found["value"], found.get("description"), found.get("type"))
                for name, found in self.own.get("properties", {}).items()
            },
            status=self.status(),
            name=self.run.display_name,
            project=self.own["project"],
            group=self.run.run_group or None,
            adjusted=parse_adjusted(contents.get("tracelet/adjusted.jsonl")),
            runs=runs,
        )


def decoded(name: str) -> str:
    """Undo what was done to a name that W&B does not take."""
    return re.sub("_x([0-9a-f]*)_", lambda mark: chr(int(mark[1], 16)) if mark[1] else "", name)


def _flatten(key: str, value: Any, found: dict[str, Any]) -> None:
    if isinstance(value, dict) and value:
        for part, item in value.items():
            _flatten(f"{key}.{part}", item, found)
    else:
        found[key] = value


def runs_below(folder: Path, run_id: str = "*") -> list[OfflineRun]:
    """Every offline run below a folder, or those of one id."""
    files = folder.glob(f"**/offline-run-*/run-{run_id}.wandb")
    return [OfflineRun(file) for file in sorted(files)]
