"""A plugin that is broken, or in doubt, is an error when it is asked for, and for itself only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from user_scripts import run_script

import tracelet
from tracelet.backends import registry
from tracelet.errors import BrokenPluginError, MissingPluginError

GOOD = """
from tracelet.backends.null import NullBackend
from tracelet.hookspecs import hookimpl

class Good(NullBackend):
    name = "good"

@hookimpl
def tracelet_register_backend():
    return Good
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a plugin: its name, the text of its module, and the module's name."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    registry.plugins.cache_clear()
    modules = set(sys.modules)

    def install(name: str, text: str, module: str | None = None) -> None:
        module = module or f"plugin_{name}"
        (site / f"{module}.py").write_text(text)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[tracelet]\n{name} = {module}\n")

    yield install
    registry.plugins.cache_clear()
    for module in set(sys.modules) - modules:
        if module.startswith("plugin_"):
            del sys.modules[module]


def test_a_plugin_is_found_by_its_name(install: Callable[..., None]) -> None:
    install("good", GOOD)

    assert registry.resolve("good").cls.name == "good"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module", "no_such_module"),
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
        ("1 / 0", "ZeroDivisionError"),
        ("", "registers no backend"),
        (GOOD, "is called 'good'"),
        (GOOD.replace("return Good", "return 7"), "registers 7"),
        (GOOD.replace("return Good", "raise OSError('no display')"), "no display"),
        (GOOD.replace("_backend():", "_backend(unknown):"), "unknown"),
    ],
)
def test_a_broken_plugin_says_why(install: Callable[..., None], text: str, reason: str) -> None:
    install("bad", text)

    with pytest.raises(BrokenPluginError, match=reason):
        registry.resolve("bad")


def test_a_broken_plugin_leaves_the_others_alone(install: Callable[..., None]) -> None:
    install("bad", "import sys; sys.exit('no licence')")
    install("good", GOOD)

    with tracelet.start_logging(backend=["good", "local"]) as exp:
        exp.log_metric("loss", 1.0)

    assert exp.report is not None
    assert exp.report.complete


def test_two_plugins_of_one_name_are_an_error_of_that_name_only(
    install: Callable[..., None],
) -> None:
    install("twice", GOOD, "plugin_one")
    install("twice", GOOD, "plugin_two")
    install("good", GOOD)

    with pytest.raises(BrokenPluginError, match=r"plugin_one and plugin_two|plugin_two and plugin"):
        registry.resolve("twice")
    assert registry.resolve("good").name == "good"
    assert registry.resolve("local").name == "local"
    assert "good" in registry.installed()


def test_a_plugin_cannot_take_a_name_of_the_core(install: Callable[..., None]) -> None:
    install("local", "1 / 0")

    assert registry.resolve("local").cls.__module__ == "tracelet.backends.local"


def test_a_known_plugin_that_is_missing_has_its_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry.OFFICIAL, "absent", "tracelet-absent")

    with pytest.raises(MissingPluginError, match="python -m pip install tracelet-absent"):
        registry.resolve("absent")


HOOKS = """
import os, sys, tracelet
from tracelet import hookimpl
from tracelet.capture.base import CaptureSource

class Source(CaptureSource):
    name = "source-of-{name}"
    def start(self, recorder):
        recorder.params("{name}", {"started": True})
    def stop(self): pass

def note(text):
    with open("notes", "a") as notes:
        print("{name}", text, file=notes)

@hookimpl
def tracelet_capture():
    {fail}
    return Source

@hookimpl
def tracelet_as_params(value):
    {fail}
    if "{name}" in type(value).__name__:
        return {"of": "{name}"}

@hookimpl
def tracelet_run_started(run):
    note("started")
    {fail}

@hookimpl
def tracelet_run_finished(run, status):
    note(status)
    {fail}
"""
USES = """
import logging, tracelet
class Thing_first: ...
class Thing_last: ...
class Thing_of_nobody:
    def __init__(self): self.own = 1
with tracelet.start_logging(run_id="r") as exp:
    exp.log_params(Thing_first(), section="a")
    exp.log_params(Thing_last(), section="b")
    exp.log_params(Thing_of_nobody(), section="c")
"""


@pytest.mark.parametrize("raised", ["raise OSError('no display')", "sys.exit('no licence')"])
def test_a_plugin_that_fails_in_a_hook_silences_no_other(raised: str, tmp_path: Path) -> None:
    """Whichever is called before it or after it."""
    for name, fail in (("first", "pass"), ("middle", raised), ("last", "pass")):
        text = HOOKS.replace("{name}", name).replace("{fail}", fail)
        (tmp_path / f"plugin_{name}.py").write_text(text)
        info = tmp_path / f"plugin_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[tracelet]\n{name} = plugin_{name}\n")
    said = run_script(tmp_path, USES)
    assert tracelet.load_run(tmp_path / ".tracelet/default/r").params.flat() == {
        "first/started": True,
        "last/started": True,
        "a/of": "first",
        "b/of": "last",
        "c/own": 1,
    }
    notes = sorted((tmp_path / "notes").read_text().splitlines())
    assert notes == [f"{name} {what}" for name in sorted(("first", "middle", "last"))
                     for what in ("finished", "started")]  # fmt: skip
    for message in (
        "middle has no source: it is left out",
        "the plugin middle cannot give the parameters of a Thing_",
        "the plugin middle failed in tracelet_run_started",
        "the plugin middle failed in tracelet_run_finished",
    ):
        assert message in said
