"""Names as ClearML has them, made reversibly: two metrics that became one would be lost in a chart.

A scalar has a title, which is a chart, and a series in it. A parameter has a section and a name.
What a plain pair cannot say is in the title, behind it and in parentheses: the axis, if it is not
``iteration``, and which non-finite number a mark stands for. ``train/loss`` becomes

=====================  =====================  ======
logged                 title                  series
=====================  =====================  ======
a number               ``train``              loss
on the axis ``epoch``  ``train (over epoch)``  loss
NaN                    ``train (NaN)``        loss
=====================  =====================  ======
"""

from __future__ import annotations

import hashlib
import re

from tracelet.backends.names import encode_name
from tracelet.records import DEFAULT_AXIS, RunInfo

GENERAL, PROPERTIES = "General", "properties"
OWN = "tracelet"
"""The configuration object with what ClearML has no place for."""
SHORTEST = 3
"""The server takes no shorter name of a project or task."""
_GUARD = " ()"
_LOOKS_MARKED = re.compile(r" \((?:over [^()]*|NaN|Infinity|-Infinity|)\)\Z")
_SAME = "./"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def title_and_series(metric: str, axis: str = DEFAULT_AXIS, mark: str = "") -> tuple[str, str]:
    """Return the chart and the series of a metric's points, or of a non-finite number of it."""
    title, slash, series = metric.partition("/")
    if not slash:
        series = title
    elif series == title or series.startswith(_SAME):
        series = _SAME + series
    if _LOOKS_MARKED.search(title):
        title += _GUARD
    if axis != DEFAULT_AXIS:
        title += f" (over {encode_name(axis, '^()')})"
    if mark:
        title += f" ({mark})"
    return title, series


def section_and_name(key: str) -> tuple[str, str]:
    """Return where a parameter is: in its section, or in ``General`` if ClearML has no such."""
    section, slash, name = key.partition("/")
    # The server takes the section of user properties for the same however it is written.
    if not slash or not section or not name or section == GENERAL or section.lower() == PROPERTIES:
        return GENERAL, param_name(key)
    return section, param_name(name)


def param_name(name: str) -> str:
    """Return the name of a parameter or property; the SDK cannot import one called ``self``."""
    return f"{name}_" if name.rstrip("_") == "self" else name


def config_name(name: str) -> str:
    """Return the name of a user's configuration object, out of the way of our own."""
    return f"{name}_" if name.rstrip("_") == OWN else name


def long_enough(name: str) -> str:
    """Return the name of a project or task as the server takes it."""
    return name if len(name.strip()) >= SHORTEST else name.strip().ljust(SHORTEST, "_")


def mark(run: RunInfo) -> str:
    """Name a run, and no other of its id: its session's folder, its tag for the system."""
    return digest(f"{run.project}\n{run.run_id}")


def digest(text: str) -> str:
    """Return 32 characters that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def artifact_place(project: str, task: str, task_id: str, path: str) -> str:
    """Return where an artifact is stored below the storage's root.

    The layout is the SDK's, such that importing a session finds the task's id in it. Storages
    disagree about quoting, so no character of it needs any; what is lost of the destination by that
    is in the artifact's key.
    """
    folder = f"{_safe(path)[:80]}.{digest(path)[:8]}"
    file = _safe(path.rpartition("/")[2])
    return f"{_safe(project)}/{_safe(task)}.{task_id}/artifacts/{folder}/{file}"


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)[:100].lstrip(".") or "_"
