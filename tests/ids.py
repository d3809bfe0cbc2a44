"""Names of test cases that are the same in every process."""

from __future__ import annotations

import re


def stable(value: object) -> str:
    """Return the ``repr`` of a value without memory addresses, and of a set in order."""
    if isinstance(value, set | frozenset):
        return f"set {sorted(map(repr, value))}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
