"""``tracelet backends``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.backends.registry import OFFICIAL, installed

Cli = Callable[..., Any]

PLUGIN = """
from tracelet.backends.null import NullBackend
from tracelet.hookspecs import hookimpl

class Mine(NullBackend):
    name = "mine"
    requires = {REQUIRES}

@hookimpl
def tracelet_register_backend():
    return Mine
"""


@pytest.fixture
def show(cli: Cli, tmp_path: Path) -> Callable[..., Any]:
    """Run the command beside plugins, given as name and text of their modules."""

    def show(*arguments: str, **plugins: str) -> Any:
        for name, text in plugins.items():
            (tmp_path / f"plugin_{name}.py").write_text(text)
            info = tmp_path / f"plugin_{name}-1.2.dist-info"
            info.mkdir(exist_ok=True)
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: tracelet-{name}\nVersion: 1.2\n"
            )
            (info / "entry_points.txt").write_text(f"[tracelet]\n{name} = plugin_{name}\n")
        return cli("backends", *arguments, PYTHONPATH=str(tmp_path))

    return show


def by_name(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in found}


def test_the_core_is_ready_and_the_rest_has_its_install_line(cli: Cli) -> None:
    found = by_name(cli("backends", "--json").json)

    for name in ("local", "memory", "null"):
        assert found[name]["state"] == "ready"
        assert found[name]["version"] == tracelet.__version__
    for name in OFFICIAL.keys() - installed().keys():
        assert found[name]["state"] == "not installed"
        assert found[name]["install"] == f"python -m pip install tracelet-{name}"


def test_it_reads_well_at_80_columns(cli: Cli) -> None:
    shown = cli("backends")

    assert shown.code == 0
    assert shown.fits()
    assert f"local        ready          tracelet {tracelet.__version__}" in shown.out


def test_a_plugin_is_shown_with_its_version_and_that_of_its_sdk(show: Callable[..., Any]) -> None:
    plugin = PLUGIN.replace("{REQUIRES}", '{"msgspec": "msgspec>=0.18"}')

    mine = by_name(show("--json", mine=plugin).json)["mine"]

    assert (mine["state"], mine["package"], mine["version"]) == ("ready", "tracelet-mine", "1.2")
    assert list(mine["sdk"]) == ["msgspec"]
    row = next(line for line in show(mine=plugin).out.splitlines() if line.startswith("mine"))
    assert row.split()[:5] == ["mine", "ready", "tracelet-mine", "1.2", "msgspec"]
    assert row.split()[5] == mine["sdk"]["msgspec"]


def test_a_missing_sdk_has_its_install_line(show: Callable[..., Any]) -> None:
    plugin = PLUGIN.replace("{REQUIRES}", '{"no_such_sdk": "no-such-sdk>=2,<3"}')

    mine = by_name(show("--json", mine=plugin).json)["mine"]

    assert mine["state"] == "SDK missing"
    assert mine["sdk"] == {"no-such-sdk": None}
    assert mine["install"] == "python -m pip install 'no-such-sdk>=2,<3'"
    assert mine["install"] in show(mine=plugin).out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise SystemExit('no licence')", "no licence"),
        ("", "registers no backend"),
        (
            PLUGIN.replace("{REQUIRES}", "{}\n    def __init__(self): 1 / 0"),
            "ZeroDivisionError: division by zero",
        ),
    ],
)
def test_a_broken_plugin_is_shown_with_the_reason(
    show: Callable[..., Any], text: str, reason: str
) -> None:
    shown = show("--json", mine=text)

    found = by_name(shown.json)
    assert shown.code == 0
    assert found["mine"]["state"] == "broken"
    assert reason in found["mine"]["reason"]
    assert found["local"]["state"] == "ready"
    assert reason in show(mine=text).out
