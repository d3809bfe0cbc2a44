"""Draws numbers without replacement below any limit; ``random.sample`` ends at 64 bits."""

from __future__ import annotations

import random
import sys


def draw(below: int, count: int, source: random.Random) -> list[int]:
    """Return ``count`` different numbers from 0 to ``below - 1``, in the order they were drawn."""
    if below <= sys.maxsize:
        return source.sample(range(below), count)
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[source.randrange(below)] = None
    return list(drawn)
