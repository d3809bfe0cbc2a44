"""How fast 20,000 points reach MLflow, against ``log_batch`` of 1,000 written by hand.

Both write to one SQLite database through one ``MlflowClient``. What a careful user writes makes the
entities and sends a thousand at a time; delivery reads the journal and keeps a cursor besides.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import tracelet
from benchmarks.tools import directory, row
from tracelet.backends.registry import resolve
from tracelet.courier.delivery import Delivery
from tracelet.journal.lifecycle import Lifecycle
from tracelet.journal.rundir import RunDir

POINTS = 20_000
ROUNDS = 5
BATCH = 1000
BUDGET = 0.8
"""The part of the speed by hand that delivery must reach."""
METRICS = ["train/loss", "train/accuracy", "val/loss", "val/accuracy"]


def main() -> dict[str, Any]:
    from mlflow import MlflowClient

    with directory() as root:
        uri = f"sqlite:///{root.as_posix()}/mlflow.db"
        client = MlflowClient(uri)
        experiment = client.create_experiment("by hand")
        run_dir = prepare(root)
        by_hand, delivered = [], []
        for _ in range(ROUNDS + 1):  # the first of each warms up, and does not count
            by_hand.append(log_by_hand(client, experiment))
            delivered.append(deliver(run_dir, uri, client))
    # The two of a round ran one after the other, under the same load.
    ratio = statistics.median(
        hand / ours for hand, ours in zip(by_hand[1:], delivered[1:], strict=True)
    )
    by_hand_speed = round(POINTS / statistics.median(by_hand[1:]))
    speed = round(POINTS / statistics.median(delivered[1:]))
    return {
        "points": POINTS,
        "by_hand_points_per_second": by_hand_speed,
        "tracelet_points_per_second": speed,
        "ratio": round(ratio, 2),
        "rows": [
            row(f"MLflow log_batch of {BATCH:,}, by hand", f"{by_hand_speed:,}/s"),
            row(
                "delivery to MLflow, from the journal",
                f"{speed:,}/s, {ratio:.2f} x",
                f">= {BUDGET} x",
                ratio >= BUDGET,
            ),
        ],
    }


def prepare(root: Path) -> RunDir:
    """Log the points to no backend, and return the run."""
    config = {"dir": root / "runs", "capture": False, "system_metrics": False}
    exp = tracelet.start_logging("delivery", backend="null", config=config)
    for index in range(POINTS):
        name = METRICS[index % len(METRICS)]
        exp.log_metric(name, 1 / (index + 1), iteration=index // len(METRICS))
    exp.stop()
    assert exp.dir is not None
    return RunDir(exp.dir)


def deliver(run_dir: RunDir, uri: str, client: Any) -> float:
    """Deliver the run from its journal into a new run of MLflow; return the seconds that took.

    Opening and closing the run are not part of it: by hand they are not, either.
    """
    launch = Lifecycle(run_dir).update().launch
    assert launch is not None
    cursor = run_dir.cursors / "mlflow.json"
    if cursor.exists():
        client.delete_run(json.loads(cursor.read_bytes())["link"]["id"])
        cursor.unlink()
    delivery = Delivery(
        run_dir, resolve("mlflow"), launch.run, {"tracking_uri": uri}, wait=lambda _: True
    )
    delivery._open()
    start = time.perf_counter()
    delivery.run()
    seconds = time.perf_counter() - start
    assert delivery.finished
    assert delivery.cursor.delivered == POINTS, delivery.cursor
    return seconds


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


if __name__ == "__main__":
    result = main()
    print(json.dumps(result))
    print(
        f"MLflow: {result['tracelet_points_per_second']:,} points/s delivered, "
        f"{result['by_hand_points_per_second']:,} by hand: {result['ratio']:.2f} x, of {BUDGET}"
    )
