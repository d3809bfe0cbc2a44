"""Which single arguments are recorded: what the setting ``capture_arguments`` means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

_Value = TypeVar("_Value")


def wanted(
    values: Mapping[str, _Value], chosen: bool | Mapping[str, bool], section: str
) -> dict[str, _Value]:
    """Return the arguments that the setting leaves.

    A name counts more than a glob, and a longer glob more than a shorter one. A name that none is
    given for is recorded, unless all that is given are names to record: ``{"lr": True}`` means
    ``lr`` alone. The names can have their ``section`` in front.
    """
    if isinstance(chosen, bool):
        return dict(values) if chosen else {}
    others = not chosen or not all(chosen.values())
    here = {**{name.removeprefix(f"{section}/"): flag for name, flag in chosen.items()}, **chosen}
    globs = sorted(here, key=len, reverse=True)

    def is_wanted(name: str) -> bool:
        if name in here:
            return here[name]
        return next((here[glob] for glob in globs if fnmatchcase(name, glob)), others)

    return {name: value for name, value in values.items() if is_wanted(name)}


def mistaken(chosen: Collection[str], seen: Mapping[str, Collection[str]]) -> list[str]:
    """Return what is wrong with names that were given, and are no argument's.

    Args:
        chosen: the names and globs of the setting.
        seen: the section of each source to the names of its arguments.

    Returns:
        A sentence for each name that looks much like one that there is; one that does not may be
        meant for other programs.
    """
    from difflib import get_close_matches

    names = {name for found in seen.values() for name in found}
    full = {f"{section}/{name}" for section, found in seen.items() for name in found}
    mistakes = []
    for glob in chosen:
        if any(fnmatchcase(name, glob) for name in names | full):
            continue
        small = glob.lower().replace("-", "_")
        alike = {name.lower().replace("-", "_"): name for name in (full if "/" in glob else names)}
        near = [alike[name] for name in alike if fnmatchcase(name, small)]
        near = near or [alike[name] for name in get_close_matches(small, alike)]
        if near:
            meant = " or ".join(map(repr, sorted(near)))
            mistakes.append(f"{glob!r} is no argument; did you mean {meant}?")
    return mistakes
