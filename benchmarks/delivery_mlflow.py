"""How fast 20,000 points reach MLflow, against ``log_batch`` of 1,000 written by hand.

Both write to one SQLite database through one ``MlflowClient``. What a careful user writes makes the
entities and sends a thousand at a time; delivery reads the journal and keeps a cursor besides.
"""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks.delivering import METRICS, compared, deliver, prepare
from benchmarks.tools import directory
from tracelet.journal.rundir import RunDir

POINTS = 20_000
ROUNDS = 5
BATCH = 1000


def main() -> dict[str, Any]:
    from mlflow import MlflowClient

    with directory() as root:
        uri = f"sqlite:///{root.as_posix()}/mlflow.db"
        client = MlflowClient(uri)
        experiment = client.create_experiment("by hand")
        run_dir = prepare(root, POINTS)
        by_hand: list[float] = []
        delivered: list[float] = []
        for _ in range(ROUNDS + 1):
            by_hand.append(log_by_hand(client, experiment))
            forget(run_dir, client)
            delivered.append(deliver(run_dir, "mlflow", {"tracking_uri": uri}, POINTS))
    directly = f"MLflow log_batch of {BATCH:,}, by hand"
    return compared(POINTS, by_hand, delivered, directly, "MLflow")


def forget(run_dir: RunDir, client: Any) -> None:
    """Delete the run that the last delivery has made: the next one would find it."""
    cursor = run_dir.cursors.path / "mlflow.json"
    if cursor.exists():
        client.delete_run(json.loads(cursor.read_bytes())["link"]["id"])


def log_by_hand(client: Any, experiment: str) -> float:
    """Log the points with MLflow's own client; return the seconds that took."""
    from mlflow.entities import Metric

    run = client.create_run(experiment)
    start = time.perf_counter()
    for first in range(0, POINTS, BATCH):
        metrics = [
            Metric(
                METRICS[index % len(METRICS)],
                1 / (index + 1),
                int(time.time() * 1000),
                index // len(METRICS),
            )
            for index in range(first, first + BATCH)
        ]
        client.log_batch(run.info.run_id, metrics=metrics)
    client.set_terminated(run.info.run_id)
    return time.perf_counter() - start
