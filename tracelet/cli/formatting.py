"""Numbers, sizes, times and values as people read them."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from tracelet.backends.base import nearest_float

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NUMBER_LIKE = re.compile(r"\s|^$|^[-+]?[.\d]|^(?:true|false|none|null|nan|inf\w*)$", re.IGNORECASE)


def clean(text: str) -> str:
    """Return a str in which control characters are escaped."""
    return _CONTROL.sub(lambda match: json.dumps(match.group())[1:-1], text)


def value_text(value: Any) -> str:
    """Return a parameter's value; a str has quotes where it looks like something else."""
    if isinstance(value, str):
        bare = not _NUMBER_LIKE.match(value) and value == value.strip()
        return clean(value if bare else json.dumps(value, ensure_ascii=False))
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        items = (f"{clean(key)}: {value_text(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    return clean(str(value))


def cut(text: str, longest: int) -> str:
    """Return a str, cut behind ``longest`` characters, with the option that shows all of it."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text):,} characters; --full shows them)"


def number(value: float, *, short: bool = False) -> str:
    """Return a number in five digits; integers whole up to 64 bits, or, if short, ten million."""
    if isinstance(value, int):
        whole = abs(value) < (1e7 if short else 2**64)
        if whole:
            return str(value)
        rounded = nearest_float(value)
        return f"{rounded if math.isfinite(rounded) else Decimal(value):.4g}"
    if math.isnan(value):
        return "NaN"
    return f"{value:.5g}"


def size(count: int) -> str:
    """Return a number of bytes: ``512 B``, ``1.2 kB``, ``3.4 MB``."""
    if count < 1000:
        return f"{count} B"
    for power, unit in enumerate(("kB", "MB", "GB"), 1):
        if count < 999.5 * 1000**power:
            return f"{count / 1000**power:.3g} {unit}"
    return f"{count / 1000**4:,.3g} TB"


def when(seconds: float) -> str:
    """Return a time as this machine's clock shows it."""
    moment = _moment(seconds)
    return "?" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def when_short(seconds: float, now: float) -> str:
    """Return a time to the minute, without this year."""
    moment = _moment(seconds)
    if moment is None:
        return "?"
    this_year = moment.year == datetime.fromtimestamp(now).astimezone().year
    return f"{moment:%b %d %H:%M}" if this_year else f"{moment:%Y-%m-%d}"


def _moment(seconds: float) -> datetime | None:
    """Return a local time; None for a number that is no time, as a damaged file may have it."""
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


def duration(seconds: float) -> str:
    """Return how long something took: ``0.4 s``, ``2 min 05 s``, ``3 h 12 min``, ``2 d 4 h``."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 59.95:
        return f"{max(0.0, seconds):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def many(count: int, what: str) -> str:
    """Return ``1 run``, ``2 runs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
