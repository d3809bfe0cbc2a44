"""The command line in processes of its own, on runs that scripts have really logged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from user_scripts import TESTS

import tracelet

PATH = re.compile(r"[./]\S*/\S+")


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)

    def fits(self, width: int = 80) -> bool:
        """Whether no line is wider, but for those with a path or a command, copied whole."""
        return not [line for line in self.out.splitlines() if len(line.rstrip()) > width]


def tracelet_command(*arguments: object, **environment: str) -> Ran:
    """Run ``python -m tracelet`` in the working directory."""
    done = subprocess.run(
        [sys.executable, "-m", "tracelet", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": str(TESTS), **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "\x1b" not in done.stdout
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli() -> Callable[..., Ran]:
    return tracelet_command


@pytest.fixture
def logged(tmp_path: Path) -> tracelet.Run:
    """A finished run that has something of everything."""
    model = tmp_path / "model.txt"
    model.write_text("weights" * 300)
    with tracelet.start_logging(
        "everything",
        "examples",
        tags={"team": "ml", "note": "[bold]not markup[/bold]"},
        params={"model": {"depth": 18, "name": "1e3"}, "api_key": "abc123secret"},
    ) as exp:
        exp.log_params({"Args/epochs": 3, "Args/verbose": None, "escape": "a\x1b[31mred"})
        for iteration in range(50):
            exp.log_metric("train/loss", 1 / (iteration + 1), iteration=iteration)
        exp.log_metric("gradient", float("nan"), iteration=0)
        exp.log_metric("accuracy", 0.5, iteration=3, axis="epoch")
        exp.log_artifact(model, "models/last.txt")
        exp.connect_configuration({"lr": 0.1}, name="optimizer")
        exp.set_user_properties(reviewer="ada")
    assert exp.dir is not None
    return tracelet.load_run(exp.dir)
