"""Which single arguments are recorded: what the setting ``capture_arguments`` means."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

_Value = TypeVar("_Value")


def wanted(values: Mapping[str, _Value], chosen: bool | Mapping[str, bool]) -> dict[str, _Value]:
    """Return the arguments that the setting leaves.

    A name counts more than a glob, and a longer glob more than a shorter one. A name that none is
    given for is recorded, unless all that is given are names to record: ``{"lr": True}`` means
    ``lr`` alone.
    """
    if isinstance(chosen, bool):
        return dict(values) if chosen else {}
    others = not chosen or not all(chosen.values())
    globs = sorted(chosen, key=len, reverse=True)

    def is_wanted(name: str) -> bool:
        if name in chosen:
            return chosen[name]
        return next((chosen[glob] for glob in globs if fnmatchcase(name, glob)), others)

    return {name: value for name, value in values.items() if is_wanted(name)}
