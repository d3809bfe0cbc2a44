"""The documentation is run, and it is complete: what a page shows works, what exists is on a page.

Of a page, in order: Python blocks are executed, a block that begins with ``# some/file.py`` is
saved as that file, and the commands of a console block are run and must say what the page says
they do (``...`` stands for anything).
"""

from __future__ import annotations

import doctest
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

import tracelet
from tracelet import hookspecs
from tracelet.cli.app import app
from tracelet.settings import ExperimentConfig, Settings
from tracelet.settings_fields import kinds

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONTENT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
EVERYTHING = "\n".join(CONTENT.values())
NOT_RUN = ("nox", "python -m pip", "git ", "python -m benchmarks", "tracelet check")
"""What a page may tell its reader that is not run here: it builds environments, or is long."""

_FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")
_execute = PythonEvaluator()


def python(example: sybil.Example) -> None:
    """Execute a block, or save it."""
    if _FILE_NAME.match(example.parsed):
        saved(example)
    else:
        _execute(example)


def saved(example: sybil.Example) -> None:
    """Save a block that begins with the name of a file."""
    name = _FILE_NAME.match(example.parsed)
    if name is not None:
        Path(name[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(name[1]).write_text(example.parsed)


def console(example: sybil.Example) -> None:
    """Run the commands of a block, and compare what they say."""
    for part in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        command = command.partition("  #")[0].strip()
        if command.startswith(NOT_RUN):
            continue
        done = subprocess.run(
            command,
            shell=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "COLUMNS": "80",
            },
        )
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        same = doctest.OutputChecker().check_output(expected.strip(), done.stdout.strip(), options)
        assert same or not expected.strip(), (
            f"line {example.line}: {command}\nshould say\n{expected}\nand said\n{done.stdout}"
        )


PARSERS = [
    CodeBlockParser("python", python),
    CodeBlockParser("toml", saved),
    CodeBlockParser("console", console),
    SkipParser(),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_works(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    loaded = set(sys.modules)
    try:
        for example in sybil.Sybil(PARSERS).parse(page).examples():
            example.evaluate()
    finally:
        for name in set(sys.modules) - loaded:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
                del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", CONTENT[page.name]):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
            assert anchor in anchors, f"{page.name}: {target}; there are {anchors}"


def rows(page: str) -> dict[str, list[str]]:
    """Return the rows of a page's tables: what is in the first column to the other cells."""
    found = {}
    for line in CONTENT[page].splitlines():
        if line.startswith("| `"):
            first, *others = (cell.strip() for cell in line.strip("| \n").split(" | "))
            found[first.strip("`")] = others
    return found


@pytest.mark.parametrize("setting", ExperimentConfig.__struct_fields__)
def test_a_setting_is_documented_with_its_default_and_its_variable(setting: str) -> None:
    takes, default, variable, means = rows("settings.md")[setting]
    assert takes
    assert means
    spellings = {"tags": "TAGS__<NAME>", "backends": "BACKENDS__<BACKEND>__<OPTION>"}
    assert variable == f"`TRACELET_{spellings.get(setting, setting.upper())}`"
    assert default == default_of(setting)


def default_of(setting: str) -> str:
    """Return what the page has to say."""
    apart = {"dir": "`.tracelet`", "backend": "`local`", "name": "the script's name"}
    if setting in apart:
        return apart[setting]
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    value: Any = fields[setting].default if setting in fields else None
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str | float):
        return f"`{value}`"
    return "none"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert rows("settings.md").keys() == set(ExperimentConfig.__struct_fields__) == kinds().keys()


@pytest.mark.parametrize("name", tracelet.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    assert re.search(rf"`(tracelet\.)?{name}\b", EVERYTHING)


@pytest.mark.parametrize(
    ("variable", "cls"), [("exp", tracelet.Experiment), ("run", tracelet.Run)], ids=["exp", "run"]
)
def test_every_public_attribute_is_documented(variable: str, cls: type) -> None:
    names = {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")}
    if cls is tracelet.Experiment:
        names |= {"params", "settings"}
    missing = {name for name in names if not re.search(rf"\b{variable}\.{name}\b", EVERYTHING)}
    assert not missing


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("tracelet_")])
def test_a_hook_is_documented(hook: str) -> None:
    assert f"`{hook}" in CONTENT["backends.md"]


@pytest.mark.parametrize("capability", tracelet.Capabilities.__struct_fields__)
def test_a_capability_is_documented(capability: str) -> None:
    assert capability in rows("backends.md")


def test_every_command_is_documented() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"tracelet {command.callback.__name__}" in EVERYTHING


def test_every_file_that_the_map_names_is_there() -> None:
    named = re.findall(r"`(?:tracelet/)?((?:\w+/)*\w+\.py)`", CONTENT["architecture.md"])
    package = Path(tracelet.__file__).parent
    assert len(named) > 50
    assert not [name for name in named if not (package / name).is_file()]
