"""Parameters as W&B's ``config`` shows them, nested; and the values that its config can hold.

The keys of parameters are flat, ``model.depth``; a value of ``config`` that is a mapping is
replaced as a whole. So the flat parameters are kept here, and the branches that a call has changed
are made anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tracelet.records import ParamValue

OWN = "tracelet"
"""The key in ``config`` of what W&B has no place for."""
PARAM, CONFIG = "param:", "config:"
_ARTIFACT = "wandb-artifact://"


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
        return PARAM + key.replace("%", "%25").replace("-", "%2D")
    return key


def config_key(name: str, params: set[str]) -> str:
    """Return the key in ``config`` of a configuration object, which makes way for parameters."""
    if name in params or top_key(name) != name:
        return CONFIG + name.replace("%", "%25").replace("-", "%2D")
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
    if isinstance(value, float):
        return not math.isnan(value)
    if isinstance(value, str):
        return not value.startswith(_ARTIFACT)
    if isinstance(value, list):
        return all(map(is_holdable, value))
    if isinstance(value, dict):
        return value.get("_type") != "artifactVersion" and all(map(is_holdable, value.values()))
    return True
