"""The SDK itself imports a session folder, and the server gets the run that was logged."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

from clearml_reader import point_of
from clearml_server import ClearmlServer
from conftest import Start

IMPORT = "import sys, clearml; print('task:', clearml.Task.import_offline_session(sys.argv[1]))"


def test_what_the_sdk_imports_is_the_run(
    server: ClearmlServer, start: Start, tmp_path: Path
) -> None:
    params = {"lr": 0.1, "self": 1, "Args/x": [1, None], "none": None}
    exp = start("näme", project="vision/cats", group="sweep", tags={"team": "ml"}, params=params)
    logged = [("train/loss", 0.5, 1), ("train/loss", 0.25, 1), ("train/loss", 0.25, -3)]
    for name, value, iteration in logged:
        exp.log_metric(name, value, iteration)
    exp.log_metric("train/loss", -math.inf, 2)
    exp.log("  a line ✓")
    exp.connect_configuration({"net": {"depth": 3}}, name="model")
    exp.set_user_properties(score=1)
    (tmp_path / "weights").write_bytes(b"weights")
    exp.log_artifact(tmp_path / "weights", "models/a b#%25.pt")
    exp.stop()
    assert exp.dir is not None
    folder = exp.dir / "clearml" / exp.links["clearml"].id
    assert exp.links["clearml"].url == folder.as_uri()

    done = subprocess.run(
        [sys.executable, "-c", IMPORT, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (task,) = server.tasks.values()
    assert f"task: {task['id']}" in done.stdout
    assert (task["name"], server.projects[task["project"]]) == ("näme", "vision/cats")
    assert task["status"] == "completed"
    assert task["tags"] == ["group:sweep", "team:ml"]
    assert task["hyperparams"]["General"]["lr"]["value"] == "0.1"
    assert task["hyperparams"]["General"]["self_"]["value"] == "1"
    assert task["hyperparams"]["properties"]["score"]["value"] == "1"
    assert set(task["configuration"]) == {"model", "tracelet"}
    found = [point_of(event) for event in server.scalars(task["id"])]
    assert [(p.name, p.value, p.iteration) for p in found] == [
        *logged,
        ("train/loss", -math.inf, 2),
    ]
    assert [line["msg"] for line in server.log[task["id"]]] == ["  a line ✓"]
    stored = {one["key"]: server.uploaded(one["uri"]) for one in task["execution"]["artifacts"]}
    assert stored["models/a b#%25.pt"] == b"weights"
    assert "-inf" in stored["tracelet/adjusted.jsonl"].decode().lower()
