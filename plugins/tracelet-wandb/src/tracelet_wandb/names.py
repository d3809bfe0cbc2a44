"""Names that W&B takes, made of any name, reversibly; a metric called ``_step`` is lost without.

A key of the history is the metric's own name, an axis's own name, or, where that key is taken or
reserved, ``metric:<name>`` or ``axis:<name>``. Whoever comes first has the plain key, so that a
metric ``epoch`` and an axis ``epoch`` can be in one run.
"""

from __future__ import annotations

import hashlib
import re

from tracelet.records import DEFAULT_AXIS

TIMES = "_times"
"""The key of the times of those points of a row that are not from the row's ``_timestamp``."""
METRIC, AXIS = "metric:", "axis:"
_RESERVED = {"", "_step", "_runtime", "_timestamp", TIMES}
_NO_ID = re.compile(r"[:;,#?/'\\\x00-\x1f\x7f]")
_NO_PROJECT = re.compile(r"[\\/#?%:\x00-\x1f\x7f]")
_NO_ARTIFACT = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_ID = 100
_LONGEST_PROJECT = 128
LONGEST_TAG = 64


class Keys:
    """The keys of one run's history: which metric and which axis has which."""

    def __init__(self) -> None:
        self._metrics: dict[str, str] = {}
        self._axes: dict[str, str] = {}
        self._taken: set[str] = {DEFAULT_AXIS}

    def metric(self, name: str) -> str:
        """Return the key of a metric."""
        key = self._metrics.get(name)
        if key is None:
            key = self._metrics[name] = self._claim(name, METRIC)
        return key

    def axis(self, name: str) -> str:
        """Return the key of an axis."""
        key = self._axes.get(name)
        if key is None:
            plain = name == DEFAULT_AXIS
            key = self._axes[name] = name if plain else self._claim(name, AXIS, glob=False)
        return key

    def _claim(self, name: str, prefix: str, *, glob: bool = True) -> str:
        free = name not in _RESERVED and name not in self._taken
        # W&B reads a star in the name of a defined metric, as axes are, as a pattern.
        if not free or name.startswith((METRIC, AXIS, "_wandb")) or (not glob and "*" in name):
            escaped = name if glob else name.replace("%", "%25").replace("*", "%2A")
            return prefix + escaped
        self._taken.add(name)
        return name


def run_id(text: str) -> str:
    """Return the id of a run in W&B; the run's own, wherever W&B takes that."""
    made = _NO_ID.sub("-", text).strip()
    if len(made.encode()) > _LONGEST_ID:
        made = made.encode()[: _LONGEST_ID - 9].decode(errors="ignore")
    return made if made == text else f"{made}-{digest(text)}"


def project(text: str) -> str:
    """Return the project's name in W&B."""
    return _NO_PROJECT.sub("_", text).strip()[:_LONGEST_PROJECT] or "_"


def artifact(text: str) -> str:
    """Return the name of an artifact in W&B."""
    made = _NO_ARTIFACT.sub("-", text)
    return made[:_LONGEST_ID] if made == text else f"{made[: _LONGEST_ID - 9]}-{digest(text)}"


def digest(text: str) -> str:
    """Return eight characters that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
