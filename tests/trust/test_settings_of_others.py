"""Settings decide where everything goes: a file that is not the user's own is not taken."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from tracelet.settings import resolve

ANOTHER = 54321


@pytest.fixture
def of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in a project that belongs to another user; who is that depends on who tests."""
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    (project / "tracelet.toml").write_text('project = "evil"\n')
    if os.geteuid() == 0:
        os.chown(project / "tracelet.toml", ANOTHER, ANOTHER)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: ANOTHER)
    return project / "sub"


def test_a_file_of_another_user_is_not_taken_and_one_line_says_so(
    of_another: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert resolve(cwd=of_another).project == "default"
    assert resolve(cwd=of_another).project == "default"
    (said,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert "tracelet.toml" in said
    assert "TRACELET_TRUST_SETTINGS=1" in said


def test_a_variable_is_the_way_in(of_another: Path) -> None:
    environ = {"TRACELET_TRUST_SETTINGS": "1"}
    assert resolve(cwd=of_another, environ=environ).project == "evil"


def test_a_file_that_is_named_is_taken(of_another: Path) -> None:
    assert resolve(of_another.parent / "tracelet.toml", cwd=of_another).project == "evil"


def test_the_directory_must_be_the_users_own_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/tracelet.toml").write_text('project = "mine"\n')
    assert resolve(cwd=tmp_path / "shared").project == "mine"
    (tmp_path / "link").mkdir()
    (tmp_path / "link/tracelet.toml").symlink_to(tmp_path / "shared/tracelet.toml")
    assert resolve(cwd=tmp_path / "link").project == "mine"
    if os.geteuid() == 0:
        os.chown(tmp_path / "shared", ANOTHER, ANOTHER)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: ANOTHER)
    assert resolve(cwd=tmp_path / "shared").project == "default"


def test_a_file_above_that_is_the_users_own_is_taken_instead(
    of_another: Path, tmp_path: Path
) -> None:
    (tmp_path / "tracelet.toml").write_text('project = "mine"\n')
    expected = "mine" if os.geteuid() == 0 else "default"
    assert resolve(cwd=of_another).project == expected


def test_a_pyproject_of_another_user_without_the_table_is_nothing_to_speak_of(
    of_another: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = of_another / "pyproject.toml"
    file.write_text('[project]\ndependencies = ["tracelet"]\n')
    if os.geteuid() == 0:
        os.chown(file, ANOTHER, ANOTHER)
    resolve(cwd=of_another, environ={"TRACELET_TRUST_SETTINGS": "1"})
    assert not caplog.records
