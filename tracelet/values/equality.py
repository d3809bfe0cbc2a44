"""When two values are the same."""

from __future__ import annotations

import logging
import math
from typing import Any

log = logging.getLogger(__name__)


def same_value(left: Any, right: Any) -> bool:
    """Tell equality that knows 1 from 1.0 and True, and NaN as equal to itself.

    Values whose comparison fails, or is no truth, such as arrays, are the same only if they are one
    object.
    """
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        if left != right:
            return left != left and right != right  # noqa: PLR0124 - both are NaN
        return left != 0 or math.copysign(1, left) == math.copysign(1, right)
    if type(left) in (list, tuple):
        return len(left) == len(right) and all(map(same_value, left, right))
    if type(left) is dict:
        return left.keys() == right.keys() and all(
            same_value(left[key], right[key]) for key in left
        )
    try:
        return bool(left == right)
    except Exception:  # of foreign code
        log.debug("values of type %s cannot be compared", type(left), exc_info=True)
        return False
