"""A keyword that a call does not take: the word of another tracker is answered with ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from tracelet.errors import ValueTypeError, nearest

_AXIS = "the position on the x-axis is called iteration here: iteration={}"
_OURS = {
    "step": _AXIS,
    "global_step": _AXIS,
    "iter": _AXIS,
    "index": _AXIS,
    "epoch": "another x-axis is named: iteration={}, axis='epoch'",
    "timestamp": "the time of a point is called time: time={}",
    "walltime": "the time of a point is called time: time={}",
}


def refuse_keywords(call: str, unknown: Mapping[str, object], known: Iterable[str]) -> NoReturn:
    """Refuse keywords that a call does not take, with the word that may be meant.

    Args:
        call: the name of the call.
        unknown: the keywords, at least one, and what they were given.
        known: those that the call takes.

    Raises:
        ValueTypeError: always.
    """
    name, value = next(iter(unknown.items()))
    hint = f"; {_OURS[name].format(repr(value)[:40])}" if name in _OURS else nearest(name, known)
    raise ValueTypeError(f"{call}() takes no argument {name!r}{hint}")
