"""Names that MLflow takes, for names that it does not; two names must never become one.

MLflow allows letters, digits, ``_ - . : /`` and spaces, at most 250 of them, and nothing that a
file system would call by another name (``a//b``, ``../a``). Every other character becomes
``:x<hex>:``, so that ``mean@1`` is ``mean:x40:1``. That needs no table: a name is the same in every
run and after every restart, no two names meet, and :func:`logged_name` gives the original back.
Only what is too long is cut, and ends in a hash of the whole.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping

LONGEST = 250
"""The longest key of a parameter, metric or tag."""

_FORBIDDEN = re.compile(r"[^\w\-. /]")
"""What is replaced in a name that has to be changed; the colon, too, which marks what was."""
_VALID = re.compile(r"[\w\-. :/]+")
_MARK = re.compile(r":x([0-9a-f]*):")
_RESERVED = re.compile(r":(x[0-9a-f]*|by):|:x[0-9a-f]{16}$")
_URL_SIGN = re.compile(r"[\x00-\x1f\x7f#?%;:\\]")
_URL_SIGN_OR_MARK = re.compile(r"[\x00-\x1f\x7f#?%;:\\~]")
_URL_MARK = re.compile(r"~[0-9a-f]{2}")


def stored_name(name: str, limit: int = LONGEST) -> str:
    """Return the key under which MLflow keeps a name; the name itself wherever that is possible."""
    if _is_valid(name):
        stored = name
    else:
        stored = _FORBIDDEN.sub(_mark, name) or ":x:"
        if _is_ambiguous(stored):
            stored = stored.replace("/", ":x2f:")
            if _is_ambiguous(stored):
                stored = stored.replace(".", ":x2e:")
    if len(stored) > limit:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        stored = f"{stored[: limit - 20].rstrip('/.:')}:x{digest}"
    return stored


def logged_name(stored: str) -> str:
    """Undo :func:`stored_name`, for a name that was not cut."""
    return _MARK.sub(lambda mark: chr(int(mark[1], 16)) if mark[1] else "", stored)


def series_name(metric: str, axis: str) -> str:
    """Return the key of a metric's points on an axis other than its first: ``loss:by:epoch``."""
    return stored_name(metric, LONGEST - 60) + ":by:" + stored_name(axis, 50)


def name_tag(prefix: str, key: str, said: Mapping[str, str]) -> dict[str, str]:
    """Return the tag that says what a key of MLflow was called when it was logged."""
    name = prefix + key
    if len(name) > LONGEST:
        name = prefix + hashlib.sha256(key.encode()).hexdigest()[:32]
    return {name: json.dumps({**said, "key": key}, ensure_ascii=False)}


def stored_path(destination: str) -> str:
    """Return where an artifact goes; its destination itself wherever that is possible.

    Reading a file back, MLflow takes its path for a URL: it decodes ``%41`` until nothing is left
    to be decoded, and refuses ``#``. What means something in a URL becomes ``~<hex>``.
    """
    path = destination
    if _URL_SIGN.search(path) or _URL_MARK.search(path):
        path = _URL_SIGN_OR_MARK.sub(lambda char: f"~{ord(char[0]):02x}", path)
    if path.startswith(".."):  # a file may be called so, but MLflow sees the way out of the run
        path = "~2e" + path[1:]
    return path


def _is_valid(name: str) -> bool:
    return (
        _VALID.fullmatch(name) is not None
        and not _is_ambiguous(name)
        and _RESERVED.search(name) is None
    )


def _is_ambiguous(name: str) -> bool:
    normal = posixpath.normpath(name)
    return normal != name or normal == "." or normal.startswith(("..", "/"))


def _mark(char: re.Match[str]) -> str:
    return f":x{ord(char[0]):x}:"
