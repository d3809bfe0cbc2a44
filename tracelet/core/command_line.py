"""What a command line does not tell of itself: only a parser knows that ``-p`` is a password."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise

_OPTION = re.compile(r"-[A-Za-z][\w-]*")
_JOINED = re.compile(r"-[A-Za-z](?P<value>[A-Za-z_]*[^A-Za-z_].*)", re.DOTALL)
"""An option of one letter and its value; letters alone are options, as ``-xvf``."""
_TOLD = re.compile(r"[-+]?[\d.][\d._eE+-]*|true|false|yes|no|on|off|none|null", re.IGNORECASE)


def untold(argv: Sequence[str]) -> set[str]:
    """Return the values that can be secrets as long as no parser has said what they are.

    They stand behind an option with one dash, in ``-p X`` and ``-pX``. Numbers, words such as
    ``true`` and the paths of what there is are none.
    """
    found = set()
    for before, item in pairwise(argv):
        if joined := _JOINED.fullmatch(item):
            found.add(joined["value"])
        elif _OPTION.fullmatch(before) and before is not argv[0] and not item.startswith("-"):
            found.add(item)
    return {value for value in found if not (_TOLD.fullmatch(value) or _is_path(value))}


def _is_path(value: str) -> bool:
    return os.path.exists(value)  # noqa: PTH110 - False for what is too long for one, too
