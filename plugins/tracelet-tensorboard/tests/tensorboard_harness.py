"""The harness of TensorBoard: reads runs back with TensorBoard's own readers.

Nothing here uses the code that writes, so that a mistake there is not made twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.util import tensor_util

from tracelet import Run
from tracelet.backends.base import Property
from tracelet.records import MetricPoint
from tracelet.testing import Harness, ReadBack, parse_adjusted, parse_log

_EXACT = re.compile(r"_tracelet_/(?P<axis>[^/]+)/(?P<name>.*)", re.DOTALL)
_CONFIGURATIONS = "tracelet/configurations/"


class RunReader:
    """The events of a run's folder, in the order in which TensorBoard reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = [event for file in event_files(folder) for event in _events(file)]
        self._texts: dict[str, list[str]] = {}
        for event in self.events:
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "text":
                    text = value.tensor.string_val[0].decode()
                    self._texts.setdefault(value.tag, []).append(_as_given(text))

    def points(self) -> list[MetricPoint]:
        """Return the points of all metrics as they were logged."""
        found = []
        for event in self.events:
            for value in event.summary.value:
                tag = _EXACT.fullmatch(value.tag)
                if tag is not None:
                    number = tensor_util.make_ndarray(value.tensor).item()
                    number = int(number) if isinstance(number, bytes) else number
                    axis = unquote(tag["axis"])
                    found.append(
                        MetricPoint(tag["name"], number, event.step, axis, event.wall_time)
                    )
        return found

    def texts(self, tag: str) -> list[str]:
        """Return the texts of a tag, without what makes them code for Markdown."""
        return self._texts.get(tag, [])

    def table(self, tag: str) -> dict[str, Any]:
        """Return the last JSON object of a tag, which is the one that counts."""
        texts = self.texts(tag)
        return dict(json.loads(texts[-1])) if texts else {}

    def configs(self) -> dict[str, Any]:
        """Return configuration objects: the value that is shown, or the bytes of a file."""
        found: dict[str, Any] = {}
        for tag, texts in self._texts.items():
            if tag.startswith(_CONFIGURATIONS):
                name = tag.removeprefix(_CONFIGURATIONS)
                if texts[-1].startswith("configs/"):  # where the file is, before what is in it
                    file = texts[-1].partition("\n")[0].rpartition(" (")[0]
                    found[name] = (self.folder / file).read_bytes()
                else:
                    found[name] = json.loads(texts[-1])
        return found

    def artifacts(self) -> dict[str, bytes]:
        """Return the files beside the events, by their destination."""
        below = self.folder / "artifacts"
        return {
            file.relative_to(below).as_posix(): file.read_bytes()
            for file in below.rglob("*")
            if file.is_file()
        }

    def read_back(self, runs: int = 1) -> ReadBack:
        """Return all that is there."""
        identity = self.table("tracelet/run")
        artifacts = self.artifacts()
        statuses: list[Any] = self.texts("tracelet/status")
        properties = self.table("tracelet/properties")
        return ReadBack(
            params=self.table("tracelet/parameters"),
            points=self.points(),
            artifacts=artifacts,
            configs=self.configs(),
            texts=[parse_log(text.encode())[0] for text in self.texts("tracelet/log")],
            tags=self.table("tracelet/tags"),
            properties={name: Property(**fields) for name, fields in properties.items()},
            status=statuses[-1] if statuses else None,
            name=identity.get("name"),
            project=identity.get("project"),
            group=identity.get("group"),
            adjusted=parse_adjusted(artifacts.get("tracelet/adjusted.jsonl")),
            runs=runs,
        )


class TensorboardHarness(Harness):
    """The backend ``tensorboard``, read with the loader of the ``tensorboard`` package."""

    backend: ClassVar[str] = "tensorboard"

    def options(self, folder: Path) -> dict[str, Any]:
        """Write below ``folder``."""
        return {"log_dir": str(folder)}

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        """Read the run's folder; any folder with events in it is a run for TensorBoard."""
        reader = RunReader(Path(run.links[self.backend].id))
        parents = {file.parent for file in folder.rglob("*") if "tfevents" in file.name}
        return reader.read_back(runs=sum(_is_of(run, parent, reader.folder) for parent in parents))


def event_files(folder: Path) -> list[Path]:
    """Return the event files of a folder, in the order in which they are read."""
    return sorted(file for file in folder.iterdir() if "tfevents" in file.name)


def _events(file: Path) -> Iterator[Any]:
    yield from LegacyEventFileLoader(str(file)).Load()


def _is_of(run: Run, folder: Path, own: Path) -> bool:
    """Tell whether a folder with events is the run's, one of its own, or another run's."""
    if folder.is_relative_to(own):
        return True
    for event in _events(event_files(folder)[0]):
        for value in event.summary.value:
            if value.tag == "tracelet/run":
                identity = json.loads(value.tensor.string_val[0])
                return (identity["project"], identity["run_id"]) == (run.project, run.run_id)
    return False


def _as_given(text: str) -> str:
    if not text.startswith("    "):
        raise ValueError(f"a text that Markdown would change: {text!r}")
    return text[4:].replace("\n    ", "\n")
