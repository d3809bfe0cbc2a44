"""Applies the setting ``capture_arguments``: which arguments are recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

_Value = TypeVar("_Value")


def wanted(
    values: Mapping[str, _Value], chosen: bool | Mapping[str, bool], section: str
) -> dict[str, _Value]:
    """Return the arguments that the setting selects.

    A name counts more than a glob, and a longer glob more than a shorter one. An argument without a
    match is recorded, unless all entries are True: ``{"lr": True}`` selects ``lr`` alone.

    Args:
        values: name to value.
        chosen: the setting: name or glob to whether it is recorded. The names may begin with
            ``section/``.
        section: the section of the arguments.
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


def misspelt(chosen: Collection[str], seen: Mapping[str, Collection[str]]) -> list[str]:
    """Return messages about names in the setting that no argument has, but a similar one.

    A name without a similar argument may be meant for other programs.

    Args:
        chosen: the names and globs of the setting.
        seen: section to the names of its arguments.
    """
    from difflib import get_close_matches  # start-up time: few runs need it

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
