"""A metric as a sparkline: its values as one line of blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=+*%#"
"""For terminals that cannot show the blocks."""
NOT_FINITE = "!"


def sparkline(values: Sequence[float], width: int, ticks: str = BLOCKS) -> str:
    """Return at most ``width`` characters, each the mean of its part of the values.

    A part without a finite value is an exclamation mark.
    """
    count = min(width, len(values))
    means: list[float | None] = []
    for index in range(count):
        part = values[index * len(values) // count : (index + 1) * len(values) // count]
        finite = [value for value in part if math.isfinite(value)]
        means.append(math.fsum(value / len(finite) for value in finite) if finite else None)
    known = [mean for mean in means if mean is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    # Halves, because the difference of two finite floats can be infinite.
    span = high / 2 - low / 2

    def tick(mean: float | None) -> str:
        if mean is None:
            return NOT_FINITE
        if not span:
            return ticks[len(ticks) // 2 - 1]
        return ticks[min(len(ticks) - 1, int((mean / 2 - low / 2) / span * len(ticks)))]

    return "".join(map(tick, means))
