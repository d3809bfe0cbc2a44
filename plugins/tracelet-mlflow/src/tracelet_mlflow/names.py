"""Names that MLflow takes, for names that it does not; two names must never become one.

MLflow allows letters, digits, ``_ - . : /`` and spaces, at most 250 of them, and nothing that a
file system would call by another name (``a//b``, ``../a``).
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping

from tracelet.backends.names import encode_name

LONGEST = 250
"""The longest key of a parameter, metric or tag."""
BY = ":by:"
"""Stands between metric and axis in the key of a metric's points on a second axis."""
_ALLOWED = (r"\w\-. :/", r"\w\-. ", r"\w\- ")
"""What is kept in a name: the first of these that makes one which MLflow takes."""
_ALLOWED_IN_PATHS = r"^\x00-\x1f\x7f#?%;:\\"


def stored_name(name: str, limit: int = LONGEST) -> str:
    """Return the key under which MLflow keeps a name; the name itself wherever that is possible."""
    made = (encode_name(name, allowed, limit) for allowed in _ALLOWED)
    return next(stored for stored in made if not _is_ambiguous(stored))


def series_name(metric: str, axis: str) -> str:
    """Return the key of a metric's points on an axis other than its first: ``loss:by:epoch``."""
    return stored_name(metric, LONGEST - 60) + BY + encode_name(axis, r"\w\-. ", 50)


def name_tag(prefix: str, key: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the tag that says what a key of MLflow was called when it was logged."""
    name = encode_name(prefix + key, _ALLOWED[0], LONGEST)
    return {name: json.dumps({**fields, "key": key}, ensure_ascii=False)}


def stored_path(destination: str) -> str:
    """Return where an artifact goes; its destination itself wherever that is possible.

    Reading a file back, MLflow takes its path for a URL: it decodes ``%41`` until nothing is left
    to be decoded, and refuses ``#``. In a file called ``..a`` it sees the way out of the run.
    """
    path = encode_name(destination, _ALLOWED_IN_PATHS)
    return f"_x2e_{path[1:]}" if path.startswith("..") else path


def _is_ambiguous(name: str) -> bool:
    return (
        posixpath.normpath(name) != name
        or name == "."
        or name.startswith(("..", "/"))
        or BY in name
    )
