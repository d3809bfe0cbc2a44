"""A run of somebody else goes to the reader's own MLflow, whatever server it names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

import tracelet


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A tracking server that nobody must call, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET  # noqa: N815 - the name of the server

        def log_message(self, *_: object) -> None:
            """Keep it to itself."""

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def test_the_address_and_the_link_in_a_downloaded_run_are_not_used(
    tmp_path: Path, server: tuple[str, list[str]]
) -> None:
    address, asked = server
    with tracelet.start_logging("base", run_id="r", dir=tmp_path / "theirs") as exp:
        exp.log_metric("loss", 0.5, iteration=1)
    assert exp.dir is not None
    copy = shutil.copytree(exp.dir, tmp_path / "download/default/r")
    (segment,) = (copy / "journal").glob("*.jsonl")
    lines = [json.loads(line) for line in segment.read_text().splitlines()]
    lines[0][2]["backends"] = [
        {"name": "mlflow", "target": "mlflow", "options": {"tracking_uri": address}}
    ]
    segment.write_text("".join(json.dumps(line) + "\n" for line in lines))
    cursor = {"link": {"id": "my-best-run", "url": f"{address}/x"}, "checkpoint": {"clocks": {}}}
    (copy / "cursors/mlflow.json").write_text(json.dumps(cursor))
    store = f"sqlite:///{tmp_path}/mine.db"
    done = subprocess.run(
        [sys.executable, "-m", "tracelet", "sync", str(copy), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "TRACELET_BACKEND": "mlflow",
            "TRACELET_BACKENDS__MLFLOW__TRACKING_URI": store,
        },
    )
    assert done.returncode == 0, done.stderr
    assert asked == []
    report = json.loads(done.stdout)[0]["report"]["backends"]["mlflow"]
    client = MlflowClient(store)
    (point,) = client.get_metric_history(report["link"]["id"], "loss")
    assert (point.value, point.step) == (0.5, 1)
