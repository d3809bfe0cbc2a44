"""Makes names that a tracker takes of any names, so that no two become one and each comes back.

A character that the tracker does not take becomes ``_x<hex>_``: ``mean@1`` is ``mean_x40_1``. A
name that needs no change stays as it is. There is no table, so a name is the same in every run.
"""

from __future__ import annotations

import functools
import hashlib
import re

_MARK = re.compile(r"_x([0-9a-f]*)_")
_LOOKS_MARKED = re.compile(r"_x[0-9a-f]*_|_x[0-9a-f]{16}\Z")


def encode_name(name: str, allowed: str, limit: int | None = None) -> str:
    r"""Return the name under which a tracker keeps ``name``.

    Args:
        name: any name.
        allowed: the characters that the tracker takes, as they stand between the brackets of a
            regular expression: ``r"\w.-"``, or ``"^/#"`` for all but these. Letters without
            accents, digits and ``_`` must be among them.
        limit: the most characters that the tracker takes. A longer name is cut and ends in a hash
            of the whole: no other name becomes the same, but it does not come back.

    Returns:
        ``name`` itself if the tracker takes it, and it does not look like an encoded one; else an
        encoded name, which is never empty.
    """
    taken, to_mark = _patterns(allowed)
    encoded = name
    if not taken.fullmatch(name) or _LOOKS_MARKED.search(name):
        encoded = to_mark.sub(lambda char: f"_x{ord(char[0]):x}_", name) or "_x_"
    if limit is not None and len(encoded) > limit:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        encoded = f"{encoded[: limit - 18]}_x{digest}"
    return encoded


def decode_name(encoded: str) -> str:
    """Undo :func:`encode_name`, whatever was allowed, for a name that was not cut."""
    return _MARK.sub(lambda mark: chr(int(mark[1], 16)) if mark[1] else "", encoded)


@functools.cache
def _patterns(allowed: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what matches a name that can stay, and what has to be marked in one that cannot.

    In a name that is changed, a ``_`` before an ``x`` is marked too, so that each ``_x`` is a mark.
    """
    others = allowed[1:] if allowed.startswith("^") else f"^{allowed}"
    return re.compile(f"[{allowed}]+"), re.compile(f"[{others}]|_(?=x)")
