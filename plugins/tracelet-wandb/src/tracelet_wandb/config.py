"""Everything of a run that is not a series: ``config``, tags, notes and summary.

What W&B has no place for is in ``config`` under ``tracelet``: the exact tags, properties, project
and status, and which keys of ``config`` are configuration objects, or were parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tracelet.backends.base import ConfigObject, Property
from tracelet.records import ParamValue, RunInfo, Status
from tracelet_wandb.names import LONGEST_TAG
from tracelet_wandb.tree import OWN, ParamTree, config_key, holdable, top_key


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
