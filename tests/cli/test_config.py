"""``tracelet config``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tracelet.settings import Settings

Cli = Callable[..., Any]


def rows(out: str) -> dict[str, str]:
    """The text of each setting's row by its key."""
    return {words[0]: " ".join(words[1:]) for line in out.splitlines() if (words := line.split())}


def test_every_setting_is_there_with_its_origin(cli: Cli) -> None:
    found = cli("config", "--json").json

    names = {field.name for field in msgspec.structs.fields(Settings)}
    assert set(found) == names - {"origins", "backends", "tags"}
    assert found["project"] == {"value": "default", "origin": "default"}
    assert found["backend"] == {"value": ["local"], "origin": "default"}


def test_values_come_from_files_and_the_environment(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "tracelet.toml").write_text(
        'project = "vision"\nbackend = ["local", "null"]\n[tags]\nteam = "ml"\n'
    )

    shown = cli("config", TRACELET_DRAIN_TIMEOUT="5", TRACELET_STRICT="yes")

    assert shown.code == 0
    assert shown.fits()
    found = rows(shown.out)
    assert found["project"] == "vision tracelet.toml"
    assert found["backend"] == "local, null tracelet.toml"
    assert found["tags.team"] == "ml tracelet.toml"
    assert found["drain_timeout"] == "5.0 environment TRACELET_DRAIN_TIMEOUT"
    assert found["strict"] == "true environment TRACELET_STRICT"
    assert found["courier"] == "auto default"


def test_secrets_are_redacted(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "tracelet.toml").write_text(
        "[backends.mlflow]\n"
        'tracking_uri = "http://user:hunter2secret@127.0.0.1:5000"\n'
        'api_key = "hunter2secret"\n'
    )

    for shown in (cli("config"), cli("config", "--json")):
        assert "hunter2secret" not in shown.out + shown.err
        assert "[redacted]" in shown.out
    assert "127.0.0.1:5000" in cli("config", "--json").out


def test_a_wrong_setting_is_one_line_in_every_command(cli: Cli) -> None:
    for command in ("config", "runs", "show", "sync"):
        wrong = cli(command, TRACELET_PROJEKT="x")
        assert (wrong.code, wrong.out) == (2, "")
        assert len(wrong.err.splitlines()) == 1
        assert "did you mean TRACELET_PROJECT?" in wrong.err


def test_what_is_installed_is_shown_in_spite_of_a_wrong_setting(cli: Cli) -> None:
    assert cli("backends", TRACELET_PROJEKT="x").code == 0


def test_a_long_path_is_wrapped(cli: Cli, tmp_path: Path) -> None:
    shown = cli("config", TRACELET_DIR="/" + "/".join(["a_long_directory_name"] * 8))

    assert shown.fits()
    head, *lines = shown.out.splitlines()
    values = "".join(line[head.index("value") : head.index("from")].strip() for line in lines)
    assert values.count("a_long_directory_name") == 8
