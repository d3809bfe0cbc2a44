"""The example does what its reader is told, and its run reads back."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

import tracelet

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits.py"
METRICS = {"train/loss", "train/accuracy", "val/loss", "val/accuracy"}


def run_example(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("model", ["sgd", "mlp"])
def test_a_training_reads_back(tmp_path: Path, model: str) -> None:
    done = run_example("--model", model, "--epochs", "3", "--backend", "local", "--seed", "7")

    run = tracelet.load_run(project="examples")
    assert run.status == "finished"
    assert run.report.complete
    assert run.tags == {"data": "digits", "model": model}
    assert run.params["epochs"] == 3
    assert run.params["seed"] == 7
    assert run.params["classifier.alpha"] == 1e-4
    assert run.params["samples.train"] + run.params["samples.val"] == 1797
    assert set(run.metrics) == METRICS
    for name in METRICS:
        assert [point.iteration for point in run.metrics[name]] == [0, 1, 2]
    assert run.metrics["train/loss"][-1].value < run.metrics["train/loss"][0].value
    assert set(run.artifacts) == {"models/model.pkl", "plots/confusion.png"}
    assert run.artifacts["plots/confusion.png"].read_bytes().startswith(b"\x89PNG")
    accuracy = run.metrics["val/accuracy"][-1].value
    assert f"validation set: {accuracy:.3f}" in done.stdout
    assert f"tracelet show {run.dir}" in done.stdout


def test_the_logged_model_is_the_trained_one(tmp_path: Path) -> None:
    run_example("--epochs", "5")
    run = tracelet.load_run(project="examples")

    with run.artifacts["models/model.pkl"].open("rb") as file:
        model = pickle.load(file)

    images, digits = load_digits(return_X_y=True)
    assert model.score(images / 16, digits) > 0.9


def test_dir_project_and_backends_are_obeyed(tmp_path: Path) -> None:
    run_example("--epochs", "1", "--dir", "here", "--project", "vision", "--backend", "local,null")

    (run,) = tracelet.runs(dir=tmp_path / "here")
    assert run.project == "vision"
    assert run.backends == ["local", "null"]
    assert {name: one.pending for name, one in run.report.items()} == {"local": 0, "null": 0}
