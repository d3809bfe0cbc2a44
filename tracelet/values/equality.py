"""Compares values by type and content: ``==`` would take 1 and True for the same parameter."""

from __future__ import annotations

import math
from typing import Any


def same_value(left: Any, right: Any) -> bool:
    """Return whether two values have the same type and content, at any depth.

    1 is neither 1.0 nor True, 0.0 is not -0.0, and NaN is the same as NaN.

    Args:
        left: a value of any type.
        right: a value of any type. Values that cannot be compared, e.g. arrays and lists that
            contain themselves, are different unless they are the same object.
    """
    if left is right:
        return True
    kind = type(left)
    if kind is not type(right):
        return False
    try:
        if kind is float:
            if left != right:
                return bool(left != left and right != right)  # noqa: PLR0124 - both are NaN
            return bool(left) or math.copysign(1, left) == math.copysign(1, right)
        if kind is list or kind is tuple:
            return len(left) == len(right) and all(map(same_value, left, right))
        if kind is dict:
            return left.keys() == right.keys() and all(
                same_value(left[key], right[key]) for key in left
            )
        return bool(left == right)
    except Exception:  # noqa: BLE001 - how a foreign type compares is foreign code
        return False
