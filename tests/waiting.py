"""Waiting for another thread or process: for a condition, with a bound, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def eventually(condition: Callable[[], _Result], timeout: float = 60.0) -> _Result:
    """Return what ``condition`` returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {timeout} s: {condition}, {result!r}")
        time.sleep(0.01)
