"""The parameters of a run: the first text of each in MLflow, all values in ``parameters.json``.

MLflow refuses to change a parameter, and keeps no types. So a tag ``param.<key>`` has the text of
one that was changed, and the artifact the typed values of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tracelet.errors import CheckpointLostError
from tracelet.records import ParamValue
from tracelet.wire import from_wire, to_wire
from tracelet_mlflow.names import name_tag, stored_name
from tracelet_mlflow.values import PARAM_LENGTH, TAG_LENGTH, shown

MANIFEST = "parameters.json"
TAG = "param."
NAME_TAG = "tracelet.param."
REMOVED = "(removed)"


class Change(NamedTuple):
    """What a call means for MLflow, and what of it could not be kept there."""

    params: dict[str, str]
    tags: dict[str, str]
    adjusted: dict[str, str]


class Parameters:
    """The parameters of one run.

    Args:
        params: the parameters that the run has in MLflow.
        tags: the tags that it has.
        manifest: our copy of ``parameters.json``.
        count: how many parameters it must have at least one of; None: the run begins anew.
    """

    def __init__(
        self,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        manifest: Path,
        count: int | None,
    ) -> None:
        self._first = dict(params)
        self._tagged = {tag for tag in tags if tag.startswith(TAG)}
        self._manifest = manifest
        self.values: dict[str, ParamValue] = {}
        self._changed = False
        if count:
            try:
                self.values = from_wire(msgspec.json.decode(manifest.read_bytes()))
            except (OSError, msgspec.DecodeError) as error:
                raise CheckpointLostError(f"{manifest} cannot be read any more") from error

    def change(self, given: Mapping[str, ParamValue]) -> Change:
        """Decide what to send; nothing is remembered until :meth:`done`."""
        change = Change({}, {}, {})
        for key, value in given.items():
            stored = stored_name(key)
            text, reason = shown(value, PARAM_LENGTH, MANIFEST)
            tag = stored_name(TAG + key)
            if stored not in self._first:
                change.params[stored] = text
                if stored != key:
                    change.tags.update(name_tag(NAME_TAG, stored, {"param": key[:2000]}))
            elif text != self._first[stored] or tag in self._tagged:
                change.tags[tag], reason = shown(value, TAG_LENGTH, MANIFEST)
            if reason is not None:
                change.adjusted[key] = reason
        return change

    def done(self, change: Change, given: Mapping[str, ParamValue]) -> None:
        """Remember what MLflow has now."""
        self._first.update(change.params)
        self._tagged.update(tag for tag in change.tags if tag.startswith(TAG))
        self.values.update(given)
        self._changed = True

    def removal(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the tags that say so of parameters which ceased to exist."""
        return {stored_name(TAG + key): REMOVED for key in keys}

    def removed(self, keys: Iterable[str], tags: Iterable[str]) -> None:
        """Remember that parameters ceased to exist."""
        self._tagged.update(tags)
        for key in keys:
            self.values.pop(key, None)
        self._changed = True

    def save(self) -> bytes | None:
        """Write our copy of ``parameters.json``; return its content if it has changed."""
        if not self._changed:
            return None
        content = msgspec.json.format(msgspec.json.encode(to_wire(self.values))) + b"\n"
        self._manifest.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._manifest.with_suffix(".tmp")
        temporary.write_bytes(content)
        temporary.replace(self._manifest)
        return content

    def saved(self) -> None:
        """Note that MLflow has what :meth:`save` returned."""
        self._changed = False

    @property
    def checkpoint(self) -> Any:
        """How many there are, for the checkpoint."""
        return len(self.values)
