"""Names that W&B takes, made of any name; a metric called ``_step`` would be lost without.

A key of the history is the metric's own name, an axis's own name, or, where that key is taken or
reserved, ``metric:<name>`` or ``axis:<name>``. Whoever comes first has the plain key, so that a
metric ``epoch`` and an axis ``epoch`` can be in one run.
"""

from __future__ import annotations

import re

from tracelet.backends.names import encode_name
from tracelet.records import DEFAULT_AXIS

TIMES = "_times"
"""The key of the times of those points of a row that are not from the row's ``_timestamp``."""
METRIC, AXIS = "metric:", "axis:"
_RESERVED = {"", "_step", "_runtime", "_timestamp", TIMES}
_IN_ID = r"^:;,#?/'\\\x00-\x1f\x7f"
_NO_PROJECT = re.compile(r"[\\/#?%:\x00-\x1f\x7f]")
_LONGEST_ID = 100
"""In bytes."""
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
            return prefix + (name if glob else encode_name(name, "^*"))
        self._taken.add(name)
        return name


def run_id(text: str) -> str:
    """Return the id of a run in W&B; the run's own, wherever W&B takes that."""
    spaces = "" if text == text.strip() else r"\s"
    is_short = len(text.encode()) <= _LONGEST_ID
    return encode_name(text, _IN_ID + spaces, _LONGEST_ID if is_short else _LONGEST_ID // 4)


def project(text: str) -> str:
    """Return the project's name in W&B."""
    return _NO_PROJECT.sub("_", text).strip()[:_LONGEST_PROJECT] or "_"


def artifact(text: str) -> str:
    """Return the name of an artifact in W&B."""
    return encode_name(text, r"A-Za-z0-9._-", _LONGEST_ID)
