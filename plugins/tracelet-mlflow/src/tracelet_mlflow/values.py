"""What MLflow shows of a value: its text, and the float64 nearest to a number.

Whatever is changed here comes with a reason, which makes it count as adjusted.
"""

from __future__ import annotations

import math
import sys
from typing import Any

PARAM_LENGTH = 6000
TAG_LENGTH = 8000


def shown(value: Any, limit: int, full_text: str) -> tuple[str, str | None]:
    """Return the text of a value, and the reason if that is not all of it.

    Args:
        value: a parameter's, tag's or property's value.
        limit: the most characters that MLflow keeps.
        full_text: where the rest is, for the mark at the end of what is cut.
    """
    text = value if isinstance(value, str) else str(value)
    reason = None
    if "\0" in text:
        text, reason = text.replace("\0", "\N{SYMBOL FOR NULL}"), "databases refuse the character 0"
    if len(text) > limit:
        mark = f" [cut: {len(text):,} characters, all of them in {full_text}]"
        text, reason = text[: limit - len(mark)] + mark, f"longer than {limit} characters"
    return text, reason


def storable(value: float) -> tuple[float, str | None]:
    """Return the float64 that MLflow stores for a number, and the reason if they differ.

    Infinities become the largest floats, as MLflow's own SQL store has it; -0.0 loses its sign.
    """
    if isinstance(value, int):
        return _nearest(value)
    if math.isinf(value):
        return math.copysign(sys.float_info.max, value), "SQL has no infinity"
    if value == 0.0 and math.copysign(1.0, value) < 0:
        return 0.0, "SQL has no negative zero"
    return value, None


def _nearest(value: int) -> tuple[float, str | None]:
    try:
        number = float(value)
    except OverflowError:
        largest = sys.float_info.max
        return largest if value > 0 else -largest, "beyond the range of a float64"
    return number, None if number == value else "an integer that no float64 can hold"
