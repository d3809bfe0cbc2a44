"""Everything of a run that is not a series: ``config``, tags, notes and summary.

What W&B has no place for is in ``config`` under ``tracelet``: the exact tags, properties, project
and status, and which keys of ``config`` are configuration objects, or were parameters.

The keys of parameters are flat, ``model.depth``; a value of ``config`` that is a mapping is
replaced as a whole. So the flat parameters are kept here, and the branches that a call has changed
are made again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tracelet.backends.base import ConfigObject, Property
from tracelet.backends.names import encode_name
from tracelet.records import ParamValue, RunInfo, Status
from tracelet_wandb.names import LONGEST_TAG

OWN = "tracelet"
"""The key in ``config`` of what W&B has no place for."""
PARAM, CONFIG = "param:", "config:"
_ARTIFACT = "wandb-artifact://"


class Config:
    """What was written to one open run.

    Args:
        live: the SDK's run.
        run: who the run is.
    """

    def __init__(self, live: Any, run: RunInfo) -> None:
        self._live = live
        self._notes: str | None = live.notes
        self._params = ParamTree()
        self._objects: dict[str, Any] = {}
        self._properties: dict[str, Property] = {}
        self._removed: dict[str, None] = {}
        self._own: dict[str, Any] = {
            "run_id": run.run_id,
            "project": run.project,
            "started": run.started,
            "status": "running",
        }
        self._write({})

    def set_params(self, values: Mapping[str, ParamValue]) -> None:
        """Set parameters."""
        known = self._params.tops
        tops = self._params.update(values)
        self._write_branches(tops, moved=bool((tops - known) & self._objects.keys()))

    def remove_params(self, keys: Iterable[str]) -> None:
        """Forget parameters: a key of ``config`` cannot be deleted, but be null and listed."""
        self._write_branches(self._params.remove(keys), moved=False)

    def set_object(self, config: ConfigObject) -> None:
        """Set a configuration object; one that was given as a file is in the file alone."""
        if config.value is not None:
            self._objects[config.name] = holdable(config.value)
            self._write(self._object_entries([config.name]))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags: ``name:value`` in W&B's list of tags, exact in ``config``."""
        kept = self._own.setdefault("tags", {})
        kept.update(tags)
        self._live.tags = tuple(
            dict.fromkeys(f"{name}:{value}"[:LONGEST_TAG] for name, value in kept.items())
        )
        self._write({})

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        """Set user properties, in the summary, the notes and ``config``."""
        kept = self._own.setdefault("properties", {})
        for name, found in properties.items():
            self._properties[name] = found
            value = holdable(found.value)
            self._live.summary[f"properties/{name}"] = value
            described = {"description": found.description, "type": found.type}
            kept[name] = {
                "value": value,
                **{key: text for key, text in described.items() if text is not None},
            }
        self._live.notes = "\n".join(self._note_lines())
        self._write({})

    def set_ending(self, status: Status, ended: float | None) -> None:
        """Write how the run ended, and when."""
        self._own["status"] = status
        if ended is not None:
            self._own["ended"] = ended
        self._write({})

    def _note_lines(self) -> list[str]:
        lines = [self._notes] if self._notes else []
        for name, found in self._properties.items():
            text = f"{name}: {found.value}"
            lines.append(f"{text} ({found.description})" if found.description else text)
        return lines

    def _write_branches(self, tops: set[str], *, moved: bool) -> None:
        entries: dict[str, Any] = {}
        before = dict(self._removed)
        for top in tops:
            made = {top_key(key): value for key, value in self._params.branch(top).items()}
            if top_key(top) not in made:
                made[top_key(top)] = None
                self._removed[top_key(top)] = None
            else:
                self._removed.pop(top_key(top), None)
            entries.update({key: holdable(value) for key, value in made.items()})
        if moved:
            entries = {**self._object_entries(self._objects), **entries}
        self._write(entries, own=moved or before != self._removed)

    def _object_entries(self, names: Iterable[str]) -> dict[str, Any]:
        tops = self._params.tops
        keys = self._own.setdefault("configs", {})
        entries = {}
        for name in names:
            keys[name] = config_key(name, tops)
            entries[keys[name]] = self._objects[name]
        return entries

    def _write(self, entries: dict[str, Any], *, own: bool = True) -> None:
        if own:
            self._own["removed"] = list(self._removed)
            entries = {**entries, OWN: dict(self._own)}
        self._live.config.update(entries, allow_val_change=True)


class ParamTree:
    """The parameters of a run."""

    def __init__(self) -> None:
        self._flat: dict[str, ParamValue] = {}
        self._of: dict[str, dict[str, None]] = {}

    @property
    def tops(self) -> set[str]:
        """The first parts of all keys that there are or were."""
        return set(self._of)

    def update(self, values: Mapping[str, ParamValue]) -> set[str]:
        """Set parameters; return the first parts of their keys."""
        tops = set()
        for key, value in values.items():
            top = key.split(".", 1)[0]
            self._flat[key] = value
            self._of.setdefault(top, {})[key] = None
            tops.add(top)
        return tops

    def remove(self, keys: Iterable[str]) -> set[str]:
        """Forget parameters; return the first parts of their keys."""
        tops = set()
        for key in keys:
            top = key.split(".", 1)[0]
            if self._flat.pop(key, self) is not self:
                self._of[top].pop(key, None)
                tops.add(top)
        return tops

    def branch(self, top: str) -> dict[str, Any]:
        """Return what ``config`` has to hold of all keys that begin with ``top``.

        That is one entry, but for ``a`` beside ``a.b``: then ``a.b`` is the key of an entry.
        """
        made: dict[str, Any] = {}
        keys = self._of.get(top, {})
        for key in keys:
            _place(made, key, self._flat[key], keys)
        return made


def _place(made: dict[str, Any], key: str, value: Any, keys: Iterable[str]) -> None:
    parts = key.split(".")
    node = made
    for index in range(len(parts) - 1):
        if ".".join(parts[: index + 1]) in keys:  # a leaf there: what is left is one literal key
            node[".".join(parts[index:])] = value
            return
        node = node.setdefault(parts[index], {})
    node[parts[-1]] = value


def top_key(key: str) -> str:
    """Return the key in ``config`` of a parameter's first part; W&B strips and reserves some."""
    if key in ("", OWN, "_wandb") or key != key.strip("-") or key.startswith((PARAM, CONFIG)):
        return PARAM + encode_name(key, "^-")
    return key


def config_key(name: str, params: set[str]) -> str:
    """Return the key in ``config`` of a configuration object, which makes way for parameters."""
    if name in params or top_key(name) != name:
        return CONFIG + encode_name(name, "^-")
    return name


def holdable(value: Any) -> Any:
    """Return a value as ``config`` can hold it: its NaN are null, and some texts mean artifacts."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, str) and value.startswith(_ARTIFACT):
        return " " + value
    if isinstance(value, list):
        return [holdable(item) for item in value]
    if isinstance(value, dict):
        artifact = value.get("_type") == "artifactVersion"
        return {
            " _type" if artifact and key == "_type" else key: holdable(item)
            for key, item in value.items()
        }
    return value


def is_holdable(value: Any) -> bool:
    """Tell whether :func:`holdable` changes nothing."""
    return bool(holdable(value) == value)
