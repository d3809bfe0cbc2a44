"""What a task is besides its events: what ClearML shows, and what it has no place for.

Everything here is known from the run, never from the process that delivers: its command line,
directory and repository are not the training's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracelet.backends.base import ArtifactFile, ConfigObject, Property
from tracelet.records import ParamValue, RunInfo, Status
from tracelet.wire import from_wire, to_wire
from tracelet_clearml import names

_TYPES: dict[type, str] = {str: "str", bool: "bool", int: "int", float: "float"}
STATUSES: dict[Status, str] = {"finished": "completed", "failed": "failed", "killed": "stopped"}
LONGEST_CONFIG = 1_000_000
"""Bytes of a configuration object beyond which the text refers to a file: the server's database has
16 MB for a whole task."""
UNCOMMITTED, PACKAGES = "tracelet/uncommitted.diff", "tracelet/packages.txt"
"""Files that tracelet logs of a run, which ClearML shows with its script."""
REFERENCE = "tracelet/file"
"""The type of a configuration object whose text is the key of an artifact."""


class Own:
    """What ClearML has no place for: exact names, tags and status, in a configuration object.

    Args:
        run: who the run is.
        stored: the text of the object, if the task has it already.
    """

    def __init__(self, run: RunInfo, stored: str | None = None) -> None:
        facts = run.facts
        self._values: dict[str, Any] = from_wire(json.loads(stored)) if stored else {}
        self._values |= {
            "run_id": run.run_id,
            "name": run.name,
            "project": run.project,
            "group": run.group,
            "started": run.started,
            "command": facts.get("argv"),
            "directory": facts.get("cwd"),
            "host": facts.get("host"),
            "python": facts.get("python"),
            "status": "running",
            "ended": None,
        }

    @property
    def tags(self) -> dict[str, str]:
        """The tags, exact."""
        found: dict[str, str] = self._values.setdefault("tags", {})
        return found

    def set_ending(self, status: str, ended: float | None) -> None:
        """Note how the run ended, and when: the server takes the time at which it is told."""
        self._values |= {"status": status, "ended": ended}

    def shown_tags(self) -> list[str]:
        """Return the tags as ClearML shows them."""
        group = self._values["group"]
        tags = [f"{name}:{value}" for name, value in self.tags.items()]
        return tags if group is None else [f"group:{group}", *tags]

    def item(self) -> dict[str, Any]:
        """Return the configuration object."""
        text = json.dumps(to_wire(self._values), indent=2)
        return {
            "name": names.OWN,
            "value": text,
            "type": "json",
            "description": "what tracelet knows of this run",
        }


def config_item(config: ConfigObject) -> dict[str, Any]:
    """Return a configuration object; one that ClearML cannot keep refers to an artifact."""
    name = names.config_name(config.name)
    reference = {"name": name, "value": config.path, "type": REFERENCE}
    if config.size > LONGEST_CONFIG:
        return reference
    if config.value is not None:
        text = json.dumps(config.value, indent=2, ensure_ascii=False)
        return {"name": name, "value": text, "type": "dictionary"}
    try:
        text = config.source.read_bytes().decode()
    except UnicodeDecodeError:
        return reference
    return {"name": name, "value": text, "type": config.suffix.removeprefix(".") or "text"}


def param_items(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return parameters as ClearML's hyperparameters."""
    items = []
    for key, value in params.items():
        section, name = names.section_and_name(key)
        text, kind = text_and_type(value)
        items.append(_item(section, name, text, kind))
    return items


def property_items(properties: Mapping[str, Property]) -> list[dict[str, Any]]:
    """Return user properties as ClearML has them: hyperparameters in a section of their own."""
    items = []
    for name, found in properties.items():
        text, kind = text_and_type(found.value)
        kind = kind if found.type is None else found.type
        item = _item(names.PROPERTIES, names.param_name(name), text, kind)
        items.append(
            item if found.description is None else {**item, "description": found.description}
        )
    return items


def is_typed(found: Property) -> bool:
    """Tell whether a property's value can be told from its text and the type it was given."""
    return found.type is None or found.type == text_and_type(found.value)[1]


def _item(section: str, name: str, text: str, kind: str | None) -> dict[str, Any]:
    item = {"section": section, "name": name, "value": text}
    return item if kind is None else {**item, "type": kind}


def artifact_item(file: ArtifactFile, uri: str, now: float) -> dict[str, Any]:
    """Return what ClearML keeps of an artifact, with where its content is."""
    return {
        "key": file.path,
        "type": "custom",
        "mode": "output",
        "uri": uri,
        "hash": file.digest,
        "content_size": file.size,
        "timestamp": int(now),
        "display_data": [["file name", file.path.split("/")[-1]], ["file size", str(file.size)]],
    }


def script(run: RunInfo) -> dict[str, Any]:
    """Return the user's script, with its repository as far as that is known."""
    facts = run.facts
    found = facts.get("git")
    git = found if isinstance(found, dict) else {}
    directory = Path(facts.get("cwd") or "/")
    program = directory / str((facts.get("argv") or [""])[0])
    root = Path(git["root"]) if git.get("root") else None
    if root is not None and directory.is_relative_to(root):
        place = directory.relative_to(root).as_posix()
    elif root is not None and program.is_relative_to(root):
        directory, place = root, "."
    else:
        place = directory.as_posix()
    known = {
        "binary": "python",
        "repository": git.get("remote"),
        "branch": git.get("branch"),
        "version_num": git.get("commit"),
        "entry_point": os.path.relpath(program, directory),
        "working_dir": place,
        "diff": "",
        "requirements": {"pip": f"# Python {facts.get('python') or ''}\n"},
    }
    return {name: value for name, value in known.items() if value is not None}


def script_with(script: Mapping[str, Any], file: ArtifactFile) -> dict[str, Any] | None:
    """Return the script with what a file of tracelet's says of it; None if that is nothing."""
    if file.path not in (UNCOMMITTED, PACKAGES):
        return None
    text = file.source.read_bytes().decode(errors="replace")
    if file.path == UNCOMMITTED:
        return {**script, "diff": text}
    head = str((script.get("requirements") or {}).get("pip") or "").partition("\n")[0]
    return {**script, "requirements": {"pip": f"{head}\n\n{text}"}}


def stamp(seconds: float) -> str:
    """Return a time as ClearML writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def comment(run: RunInfo) -> str:
    """Return the comment of a new task."""
    return f"Logged with tracelet on {run.facts.get('host') or 'an unknown host'}"


def text_and_type(value: ParamValue) -> tuple[str, str | None]:
    """Return the text of a value, and its type as the SDK names it; None for None."""
    if value is None:
        return "", None
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False), "list" if isinstance(value, list) else "dict"
    return str(value), _TYPES[type(value)]
