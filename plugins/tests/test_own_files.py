"""The stores that the trackers keep on this machine are never part of a logged directory."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracelet

OPTIONS = {
    "tensorboard": {"log_dir": "events"},
    "mlflow": {"tracking_uri": "sqlite:///mlflow.db"},
    "wandb": {"mode": "offline", "dir": "."},
    "clearml": {"offline": True},
}


def test_a_logged_directory_has_no_store_of_a_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLEARML_CACHE_DIR", "cache")
    Path("train.py").write_text("code")
    for _ in range(2):
        exp = tracelet.start_logging(
            backend=["local", *OPTIONS], config={"backends": OPTIONS}, capture=False
        )
        exp.log_metric("loss", 0.5)
        with pytest.warns(tracelet.TraceletWarning, match="runs are kept there"):
            exp.log_artifact(".", "code")
        assert exp.stop().complete
        assert {*tracelet.load_run(exp.dir).artifacts} == {"code/train.py"}
    stores = {"events", "mlflow.db", "mlflow-artifacts", "wandb", "cache", ".tracelet"}
    assert stores <= {path.name for path in tmp_path.iterdir()}
