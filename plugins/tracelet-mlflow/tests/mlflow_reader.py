"""Reads a run from MLflow with MLflow's own client, and undoes what the README says was done.

It does not know the adapter: what this module knows, anybody who reads the README can know. It is
for tests and for ``tracelet check``; without it nobody could tell what MLflow really has of a run.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from mlflow import MlflowClient
from mlflow.entities import Run

from tracelet.backends.base import Property
from tracelet.records import MetricPoint, Status
from tracelet.testing import ReadBack, parse_adjusted, parse_log
from tracelet.wire import from_wire

STATUSES: dict[str, Status] = {
    "RUNNING": "running",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
}
_OF_OTHERS = ("mlflow.", "tracelet.", "param.", "property.")


def read(uri: str, run_id: str) -> ReadBack:
    """Read everything of a run."""
    client = MlflowClient(uri)
    run = client.get_run(run_id)
    tags = run.data.tags
    files = {logged(path): content for path, content in artifacts(client, run).items()}
    experiment = client.get_experiment(run.info.experiment_id)
    key = tags["tracelet.key"]
    same = client.search_runs([run.info.experiment_id], f"tags.`tracelet.key` = '{key}'")
    return ReadBack(
        params=from_wire(msgspec.json.decode(files.get("parameters.json", b"{}"))),
        points=points(client, run),
        artifacts=files,
        configs={
            Path(path).stem: json.loads(content) if path.endswith(".json") else content
            for path, content in files.items()
            if path.startswith("configs/")
        },
        texts=parse_log(files.get("log.txt")),
        tags={
            logged(tag).removeprefix("tag."): text for tag, text in tags.items() if is_of_user(tag)
        },
        properties=msgspec.convert(
            from_wire(msgspec.json.decode(files.get("properties.json", b"{}"))),
            dict[str, Property],
        ),
        status=STATUSES[run.info.status],
        name=tags.get("tracelet.name", run.info.run_name),
        project=experiment.name,
        group=tags.get("tracelet.group"),
        adjusted=parse_adjusted(files.get("tracelet/adjusted.jsonl")),
        runs=len(same),
    )


def points(client: MlflowClient, run: Run) -> list[MetricPoint]:
    """Return the points of every metric, in the order in which MLflow lists them."""
    named: dict[str, tuple[str, str]] = {}
    for tag, text in run.data.tags.items():
        if tag.startswith("tracelet.metric."):
            said = json.loads(text)
            named[said["key"]] = said["metric"], said["axis"]
    found = []
    for key in run.data.metrics:
        metric, axis = named.get(key, (key, "iteration"))
        found += [
            MetricPoint(metric, point.value, point.step, axis, point.timestamp / 1000)
            for point in client.get_metric_history(run.info.run_id, key)
        ]
    return found


def artifacts(client: MlflowClient, run: Run) -> dict[str, bytes]:
    """Return the content of every artifact."""
    with tempfile.TemporaryDirectory() as folder:
        if not client.list_artifacts(run.info.run_id):
            return {}
        top = Path(client.download_artifacts(run.info.run_id, "", folder))
        return {
            file.relative_to(top).as_posix(): file.read_bytes()
            for file in top.rglob("*")
            if file.is_file()
        }


def logged(stored: str) -> str:
    """Return the name of a tag, or the destination of an artifact, as it was logged."""
    return re.sub(r"_x([0-9a-f]+)_", lambda mark: chr(int(mark[1], 16)), stored)


def is_of_user(tag: str) -> bool:
    """Return whether a tag is one that the user has set."""
    return not tag.startswith(_OF_OTHERS) or tag == "mlflow.note.content"


def runs_of(uri: str, experiment: str) -> list[Any]:
    """Return all runs of an experiment."""
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found is not None else []
