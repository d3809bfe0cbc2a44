"""A tracker made for the tests of the contract: one line an operation, one folder a run.

It is what a real tracker is to the courier: it has an option, a process of its own, and a store
that others read. It keeps the whole contract; the mutants break it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tracelet.backends.base import (
    ArtifactFile,
    Backend,
    Capabilities,
    ConfigObject,
    Property,
    TextLine,
)
from tracelet.core.run import Run
from tracelet.errors import CheckpointLostError
from tracelet.journal.files import replace_file
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status
from tracelet.testing import Harness, ReadBack
from tracelet.wire import from_wire, to_wire


class ShelfBackend(Backend):
    name: ClassVar[str] = "shelf"
    capabilities: ClassVar[Capabilities] = Capabilities.everything()

    def __init__(self, shelf: str) -> None:
        super().__init__()
        self.shelf = Path(shelf)
        self.place = Path()

    def open(self, run: RunInfo) -> RunLink:
        self.place = self.shelf / self.folder_of(run)
        self.place.mkdir(parents=True, exist_ok=True)
        file = self.place / "log.jsonl"
        size = file.stat().st_size if file.exists() else 0
        kept = run.checkpoint or 0
        if size < kept:
            raise CheckpointLostError(f"{file} was longer")
        if size > kept:
            os.truncate(file, kept)
        who = {"name": run.name, "project": run.project, "group": run.group}
        # Whole, because the runs beside it look at all that are there.
        replace_file(self.place / "run.json", msgspec.json.encode({"id": run.run_id, **who}))
        (self.place / "status").unlink(missing_ok=True)
        return RunLink(self.place.name)

    def folder_of(self, run: RunInfo) -> str:
        return run.run_id

    def write(self, what: str, *values: Any) -> None:
        line = msgspec.json.encode(to_wire(msgspec.to_builtins([what, *values]))) + b"\n"
        with (self.place / "log.jsonl").open("ab") as file:
            file.write(line)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        self.write("params", dict(params))

    def remove_params(self, keys: Sequence[str]) -> None:
        self.write("gone", list(keys))

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.write("points", [msgspec.structs.asdict(point) for point in batch])

    def log_artifact(self, artifact: ArtifactFile) -> None:
        path = self.place / "files" / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(artifact.source.read_bytes())

    def log_config(self, config: ConfigObject) -> None:
        content = config.source.read_bytes() if config.value is None else b""
        self.write("config", config.name, config.value, list(content))

    def log_text(self, lines: Sequence[TextLine]) -> None:
        self.write("texts", [line.text for line in lines])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.write("tags", dict(tags))

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        self.write("properties", dict(properties))

    def flush(self) -> int:
        file = self.place / "log.jsonl"
        return file.stat().st_size if file.exists() else 0

    def close(self, status: Status) -> None:
        (self.place / "status").write_text(status)


class ShelfHarness(Harness):
    backend = "shelf:ShelfBackend"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"shelf": str(folder)}

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        views = {
            path.parent: msgspec.json.decode(path.read_bytes())
            for path in folder.glob("*/run.json")
        }
        places = [place for place, view in views.items() if view["id"] == run.run_id]
        read = ReadBack(runs=len(places))
        for place in places:
            self.read_place(place, read)
            read.name, read.project, read.group = (
                views[place][what] for what in ("name", "project", "group")
            )
        return read

    def read_place(self, place: Path, read: ReadBack) -> None:
        for line in (place / "log.jsonl").read_bytes().splitlines():
            what, *values = from_wire(msgspec.json.decode(line))
            match what, *values:
                case "params", values:
                    read.params.update(values)
                case "gone", keys:
                    for key in keys:
                        read.params.pop(key, None)
                case "points", points:
                    read.points += [MetricPoint(**point) for point in points]
                case "config", name, value, content:
                    read.configs[name] = bytes(content) if value is None else value
                case "texts", lines:
                    read.texts += lines
                case "tags", tags:
                    read.tags.update(tags)
                case "properties", properties:
                    read.properties |= {name: Property(**one) for name, one in properties.items()}
        for path in (place / "files").rglob("*"):
            if path.is_file():
                read.artifacts[path.relative_to(place / "files").as_posix()] = path.read_bytes()
        status = place / "status"
        read.status = status.read_text() if status.exists() else None  # type: ignore[assignment]
