"""The page about backends declares of each what the code declares, and says what it means."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from trackers import TRACKERS

from tracelet.backends.base import Capabilities, Support
from tracelet.backends.registry import resolve

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
CONTENT = PAGE.read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Return what is under a heading, with the headings below it."""
    level = len(heading.partition(" ")[0])
    end = rf"(?=^#{{1,{level}}} |\Z)"
    found = re.search(rf"^{heading}$(.*?){end}", CONTENT, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def table(heading: str) -> dict[str, dict[str, str]]:
    """Return the table under a heading: by the first cell, and by the head of the column."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    (_, *heads), _, *rows = ([cell.strip("` ") for cell in line[1:-1].split("|")] for line in lines)
    return {first: dict(zip(heads, cells, strict=True)) for first, *cells in rows}


def said(value: object) -> str:
    """Return a declared value as the page has it."""
    if isinstance(value, Support):
        return value.value
    if isinstance(value, float):
        return f"{value:g}"
    return {True: "yes", False: "no", None: "any"}.get(value, str(value))


@pytest.mark.parametrize("name", TRACKERS)
def test_the_table_has_what_is_declared(name: str) -> None:
    declared = msgspec.structs.asdict(resolve(name).cls.capabilities)
    documented = {field: cells[name] for field, cells in table("## Declared limits").items()}
    assert documented == {field: said(value) for field, value in declared.items()}


@pytest.mark.parametrize("name", TRACKERS)
def test_each_limit_is_explained(name: str) -> None:
    declared = resolve(name).cls.capabilities
    usual = Capabilities.everything(
        batch_limit=declared.batch_limit,
        time_bound=declared.time_bound,
        lightweight=declared.lightweight,
    )
    explained = section(f"### Limits of {name}")
    for field in Capabilities.__struct_fields__:
        if getattr(declared, field) != getattr(usual, field):
            assert f"`{field}`" in explained


def test_it_is_said_of_each_where_everything_is() -> None:
    places = table("## What is stored where")
    for thing, cells in places.items():
        assert set(cells) == set(TRACKERS), thing
        assert all(cells.values()), thing
