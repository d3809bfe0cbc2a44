"""The example does what its reader is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tracelet

EXAMPLE = Path(__file__).parents[2] / "examples" / "sweep_digits.py"


def test_the_example_searches_and_says_what_is_best(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--epochs", "1", "--backend", "local", "--workers", "1"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=150,
        check=True,
    )

    runs = tracelet.runs("examples")
    assert len(runs) == 6
    best = min(runs, key=lambda run: run.metrics["val_loss"][-1].value)
    assert f"lr={best.params['lr']}, alpha={best.params['alpha']}" in done.stdout
    assert f"tracelet show {best.run_id}" in done.stdout
