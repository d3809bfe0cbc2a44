"""The installed packages, as a file of the run."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

import tracelet
from tracelet.capture.packages import FILE, installed


def test_the_file_has_every_package_that_python_finds(tmp_path: Path) -> None:
    with tracelet.start_logging(dir=tmp_path / "runs", capture=["packages"]) as exp:
        pass
    assert exp.dir is not None
    lines = (exp.dir / FILE).read_text().splitlines()
    expected: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        expected.setdefault(re.sub(r"[-_.]+", "-", found.name).lower(), found.version)
    assert lines == [f"{name}=={version}" for name, version in sorted(expected.items())]
    assert "numpy" in expected


def test_the_first_place_of_the_path_counts_and_what_is_no_directory_is_passed_over(
    tmp_path: Path,
) -> None:
    for name in (
        *("first/Some_Pkg-2.0.dist-info", "second/some_pkg-1.0.dist-info"),
        *("second/old.name-0.1-py3.11.egg-info", "second/develop.egg-info", "second/other-1.0"),
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "code.zip").touch()
    places = ["code.zip", "first", "missing", "second"]
    assert installed(str(tmp_path / place) for place in places) == {
        "old-name": "0.1",
        "some-pkg": "2.0",
    }


def test_a_package_whose_name_ends_like_a_secrets_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "google_auth-2.30.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])  # what pytest was given can be a secret
    with tracelet.start_logging(dir=tmp_path / "runs", capture=["packages"]) as exp:
        pass
    assert exp.dir is not None
    assert "google-auth==2.30.0" in (exp.dir / FILE).read_text().splitlines()
    assert exp.report is not None
    assert exp.report.redacted == 0


def test_a_run_can_do_without(tmp_path: Path) -> None:
    for capture in (False, ["git"]):
        with tracelet.start_logging(dir=tmp_path / "runs", capture=capture) as exp:
            pass
        assert exp.dir is not None
        assert not (exp.dir / FILE).exists()
