"""When to try again: exponential backoff, with jitter so that not all runs knock at once."""

from __future__ import annotations

import random

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
DEGRADED_AFTER = 3
"""Failures in a row after which a backend is called degraded."""


def backoff(failures: int) -> float:
    """Return the seconds to wait after ``failures`` failures in a row, the first being 1.

    The wait doubles from 1 s to 60 s; half of it is random ("equal jitter").
    """
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest / 2 + random.uniform(0, longest / 2)
