"""Reads a run from its session folder, with nothing but a JSON parser and the README.

It is for tests and for ``tracelet check``; it never asks the adapter what it wrote.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tracelet.backends.base import Property
from tracelet.records import DEFAULT_AXIS, MetricPoint, Status
from tracelet.testing import ReadBack, is_bookkeeping, parse_adjusted
from tracelet.wire import from_wire

_STATUSES: dict[str, Status] = {"completed": "finished", "failed": "failed", "stopped": "killed"}
_TITLE = re.compile(r"(.*?)(?: \(over ([^()]*)\))?(?: \((NaN|Infinity|-Infinity)\))?", re.DOTALL)


class Session:
    """A session folder.

    Args:
        folder: the folder itself, ``offline-…``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.task: dict[str, Any] = json.loads((folder / "task.json").read_bytes())
        self.scalars = _lines(folder / "metrics.jsonl")
        self.log = _lines(folder / "log.jsonl")
        self.configuration: dict[str, Any] = self.task["configuration"]
        self.own: dict[str, Any] = from_wire(json.loads(self.configuration["tracelet"]["value"]))

    def points(self) -> list[MetricPoint]:
        """Return the points, in the order in which they were stored."""
        return [point_of(event) for event in self.scalars]

    def params(self) -> dict[str, Any]:
        """Return the parameters, flat and typed."""
        return {
            key_of(section, name): value_of(item["value"], item.get("type"))
            for section, items in self.task["hyperparams"].items()
            for name, item in items.items()
            if section != "properties"
        }

    def properties(self) -> dict[str, Property]:
        """Return the user properties."""
        return {
            _plain(name): Property(
                value_of(item["value"], item.get("type")),
                item.get("description"),
                _type_of_user(item),
            )
            for name, item in self.task["hyperparams"].get("properties", {}).items()
        }

    def artifacts(self) -> dict[str, bytes]:
        """Return the content of all artifacts, below the session folder, by destination."""
        found = {}
        data = f"{self.task['offline_folder']}/data/"
        for item in self.task["execution"].get("artifacts", ()):
            place = item["uri"].removeprefix(data)
            assert place != item["uri"], f"{item['uri']} is outside of the session"
            content = (self.folder / "data" / place).read_bytes()
            assert item["hash"] == hashlib.sha256(content).hexdigest(), item
            assert item["content_size"] == len(content), item
            found[item["key"]] = content
        return found

    def configs(self) -> dict[str, Any]:
        """Return configuration objects: the value, or the bytes of one that was a file."""
        found: dict[str, Any] = {}
        for name, item in self.configuration.items():
            if name == "tracelet":
                continue
            plain = config_of(name)
            if item["type"] == "dictionary":
                found[plain] = json.loads(item["value"])
            elif item["type"] == "tracelet/file":
                found[plain] = self.artifacts()[item["value"]]
            else:
                found[plain] = item["value"].encode()
        return found

    def read_back(self, runs: int = 1) -> ReadBack:
        """Return everything, in one shape."""
        contents = self.artifacts()
        return ReadBack(
            params=self.params(),
            points=self.points(),
            artifacts={path: one for path, one in contents.items() if not is_bookkeeping(path)},
            configs=self.configs(),
            texts=[event["msg"] for event in self.log],
            tags=self.own.get("tags", {}),
            properties=dict(self.properties()),
            status=_STATUSES.get(self.task["status"]),
            name=_exact(self.task["name"], self.own["name"]),
            project=_exact(self.task["project_name"], self.own["project"]),
            group=self.own["group"],
            adjusted=parse_adjusted(contents.get("tracelet/adjusted.jsonl")),
            runs=runs,
        )


def point_of(event: dict[str, Any]) -> MetricPoint:
    """Return the point that an event was made of."""
    name, axis, mark = scalar_of(event["metric"], event["variant"])
    value = float(mark) if mark else event["value"]
    return MetricPoint(name, value, event["iter"], axis, event["timestamp"] / 1000)


def scalar_of(title: str, series: str) -> tuple[str, str, str]:
    """Return the metric and the axis of a series, and the non-finite number that it marks."""
    found = _TITLE.fullmatch(title)
    assert found is not None
    plain = found[1].removesuffix(" ()")
    name = plain if series == plain else f"{plain}/{series.removeprefix('./')}"
    axis = DEFAULT_AXIS if found[2] is None else re.sub("_x([0-9a-f]*)_", _character, found[2])
    return name, axis, found[3] or ""


def _character(mark: re.Match[str]) -> str:
    return chr(int(mark[1], 16)) if mark[1] else ""


def key_of(section: str, name: str) -> str:
    """Return the key of a parameter."""
    plain = _plain(name)
    return plain if section == "General" else f"{section}/{plain}"


def config_of(stored: str) -> str:
    """Return the name of a configuration object."""
    return stored[:-1] if re.fullmatch("tracelet_+", stored) else stored


def sessions(folder: Path, task_id: str = "*") -> list[Session]:
    """Return the session folders below a folder, or those of one task."""
    name = task_id if task_id != "*" else "offline-*"
    return [Session(file.parent) for file in sorted(folder.glob(f"**/{name}/task.json"))]


def _exact(shown: str, exact: str) -> str:
    """Return a name that ClearML wants to have three characters."""
    return exact if len(exact) < 3 and shown.rstrip("_") == exact.rstrip("_") else shown


def _plain(name: str) -> str:
    return name[:-1] if re.fullmatch("self_+", name) else name


def value_of(text: str, kind: str | None) -> Any:
    """Return a value, given its text and its type as the SDK names it."""
    if kind is None and text == "":
        return None
    if kind == "bool":
        return text == "True"
    casts: dict[str, Any] = {"int": int, "float": float, "list": json.loads, "dict": json.loads}
    return casts[kind](text) if kind in casts else text


def _type_of_user(item: dict[str, Any]) -> str | None:
    kind = item.get("type")
    return None if kind in ("str", "int", "float", "bool", "list", "dict") else kind


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    lines = file.read_bytes().split(b"\n")
    assert lines.pop() == b"", f"{file} ends in the middle of a line"
    return [event for line in lines for event in json.loads(line)]
