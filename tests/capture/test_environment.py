"""Of the environment, what ``log_environment`` asks for is captured."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

import tracelet

VARIABLES = {
    "CUDA_VERSION": "12.4",
    "CUDA_HOME": "/cuda",
    "AWS_REGION": "eu",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "NUMBER": "1",
}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "CUDA_")):
            monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def captured(**settings: Any) -> dict[str, Any]:
    with tracelet.start_logging(**settings) as exp:
        return exp.params.flat()


CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing without the setting": ({}, set()),
    "names and globs": ({"log_environment": ["CUDA_*", "NUMBER"]},
                        {"CUDA_VERSION", "CUDA_HOME", "NUMBER"}),
    "some not": ({"log_environment": ["!CUDA_H*", "CUDA_*"]}, {"CUDA_VERSION"}),
    "letters count": ({"log_environment": ["cuda_*"]}, set()),
    "the source is not named, but the setting is": (
        {"log_environment": ["NUMBER"], "capture": ["argparse"]}, {"NUMBER"}),
    "capture is off": ({"log_environment": ["NUMBER"], "capture": False}, set()),
    "a variable is no argument": (
        {"log_environment": ["NUMBER"], "capture_arguments": False}, {"NUMBER"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_captured_are(case: str) -> None:
    settings, names = CASES[case]
    found = captured(**{"capture": ["environment"], **settings})
    assert found == {f"Environment/{name}": VARIABLES[name] for name in names}


def test_the_variable_replaces_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "tracelet.toml").write_text('log_environment = ["NUMBER"]\n')
    assert captured(capture=["environment"]) == {"Environment/NUMBER": "1"}
    monkeypatch.setenv("TRACELET_LOG_ENVIRONMENT", "AWS_*,CUDA_VERSION")
    assert captured(capture=["environment"]) == {
        "Environment/AWS_REGION": "eu",
        "Environment/AWS_SECRET_ACCESS_KEY": "[redacted]",
        "Environment/CUDA_VERSION": "12.4",
    }


def test_a_glob_that_matches_nothing_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tracelet.capture.environment")
    captured(log_environment=["NUMBER", "NO_SUCH_*", "!NOR_THIS"])
    assert [record.message for record in caplog.records] == [
        "log_environment: no variable matches 'NO_SUCH_*'",
        "log_environment: no variable matches '!NOR_THIS'",
    ]
