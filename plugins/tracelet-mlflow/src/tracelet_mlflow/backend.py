"""The MLflow backend: one run through an ``MlflowClient`` and its explicit id, no global state.

What MLflow cannot hold is decided in the modules beside this one; this one makes the calls. A call
that raises has changed nothing here, so that the same batch, sent again, means the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tracelet.backends.base import ArtifactFile, Backend, Capabilities, Property, Support
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status
from tracelet_mlflow import errors
from tracelet_mlflow.names import stored_name, stored_path
from tracelet_mlflow.parameters import MANIFEST, PARAM_LENGTH, TAG_LENGTH, Parameters, shorten
from tracelet_mlflow.place import VARIABLE, check_uri, connect, local_stores, run_url, tracking_uri
from tracelet_mlflow.runs import PARENT, Runs
from tracelet_mlflow.series import Series

ITEMS_PER_REQUEST = 100
"""Of parameters or tags; of points it is the batch limit."""
SHOW_SECONDS = 60.0
"""How often what has no place of its own, such as the log, is brought up to date during the run."""

ADJUSTED = "tracelet/adjusted.jsonl"
DESCRIPTION = "mlflow.note.content"
"""The one tag of MLflow's own that a user may set: the text at the top of a run's page."""
_INTERNAL = ("mlflow.", "tracelet.", "param.", "property.", "tag.")


class MlflowBackend(Backend):
    """One run in MLflow: a database, or a tracking server.

    Args:
        tracking_uri: the server or the database; None: ``MLFLOW_TRACKING_URI``, else the file
            ``mlflow.db`` in the directory of all runs.
        experiment: the experiment; None: the project's name.
        artifact_location: where an experiment that is new keeps its artifacts; None: where the
            server says, and beside the file of a SQLite database.
    """

    name: ClassVar[str] = "mlflow"
    own_files: ClassVar[frozenset[str]] = Backend.own_files | {MANIFEST}
    requires: ClassVar[Mapping[str, str]] = {"mlflow": "mlflow>=3"}
    capabilities: ClassVar[Capabilities] = Capabilities.everything(
        infinity=Support.EMULATED,
        integers=Support.EMULATED,
        param_length=PARAM_LENGTH,
        batch_limit=1000,
        time_bound=30.0,
    )

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        artifact_location: str | None = None,
    ) -> None:
        super().__init__()
        self._options = (tracking_uri, experiment, artifact_location)
        self._client: Any = None

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        super().check(options)
        check_uri(options.get("tracking_uri") or os.environ.get(VARIABLE))

    def local_stores(self, run: RunInfo) -> Sequence[Path]:
        option, _, location = self._options
        return local_stores(tracking_uri(option, run), location, run)

    def open(self, run: RunInfo) -> RunLink:
        option, experiment, location = self._options
        uri = tracking_uri(option, run)
        client = connect(uri)
        self._runs = Runs(client, uri, experiment, location)
        found = self._runs.open(run)
        self._client, self._run = client, run
        self._run_id = found.info.run_id
        self._experiment_id = found.info.experiment_id
        tags = found.data.tags
        self._parent = tags.get(PARENT)
        self._params = Parameters(found.data.params, tags)
        self._series = Series(tags, found.data.metrics, (run.checkpoint or {}).get("clocks", {}))
        artifacts = urlsplit(found.info.artifact_uri)
        is_here = artifacts.scheme in ("", "file")
        self._artifacts = Path(url2pathname(artifacts.path)) if is_here else None
        self._shown_at = time.monotonic()
        return RunLink(self._run_id, run_url(uri, self._experiment_id, self._run_id))

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        from mlflow.entities import Metric

        plan = self._series.plan(batch)
        self._send_tags(plan.tags)
        metrics = [
            Metric(one.key, one.value, one.timestamp, one.point.iteration) for one in plan.placed
        ]
        self._client.log_batch(self._run_id, metrics=metrics)
        self._series.done(plan)
        for one in plan.placed:
            if one.reason is not None:
                self.adjusted_point(one.point, one.reason)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        from mlflow.entities import Param

        change = self._params.change(params)
        self._send_tags(change.tags)
        self._send("params", Param, change.params)
        self._params.done(change)
        self.keep_params(params)
        for key, reason in change.adjusted.items():
            self.adjusted_param(key, params[key], reason)

    def remove_params(self, keys: Sequence[str]) -> None:
        change = self._params.removal(keys)
        self._send_tags(change.tags)
        self._params.done(change)
        self.keep_params({}, removed=keys)

    def log_artifact(self, artifact: ArtifactFile) -> None:
        stored = stored_path(artifact.path)
        self._upload(artifact.source, stored)
        if stored != artifact.path:
            record = {"artifact": artifact.path, "digest": artifact.digest, "size": artifact.size}
            self.adjusted(record, f"MLflow cannot read this name; stored as {stored}")

    def set_tags(self, tags: Mapping[str, str]) -> None:
        cut = {name: shorten(value, TAG_LENGTH, ADJUSTED) for name, value in tags.items()}
        self._send_tags({_tag_key(name): text for name, (text, _) in cut.items()})
        for name, (_, reason) in cut.items():
            if reason is not None:
                self.adjusted_tag(name, tags[name], reason)

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        texts = {
            stored_name(f"property.{name}"): shorten(one.value, TAG_LENGTH, "properties.json")[0]
            for name, one in properties.items()
        }
        self._send_tags(texts)
        super().set_properties(properties)

    def flush(self) -> dict[str, Any]:
        if (manifest := self._scratch() / MANIFEST) in self._changed:
            self._log_beside(manifest)
        if self._changed and time.monotonic() - self._shown_at > SHOW_SECONDS:
            self.log_leftovers()
        return {"clocks": self._series.clocks}

    def log_leftovers(self) -> None:
        super().log_leftovers()
        self._shown_at = time.monotonic()

    def close(self, status: Status) -> None:
        parent = self._runs.parent(self._experiment_id, self._run)
        if parent is not None and parent != self._parent:  # it came later, or from elsewhere
            self._send_tags({PARENT: parent})
        ended = None if self.ended is None else int(self.ended * 1000)
        self._client.set_terminated(self._run_id, status.upper(), ended)

    def is_transient(self, error: Exception) -> bool | None:
        return errors.is_transient(error)

    @property
    def native(self) -> Any:
        """The ``MlflowClient``; the id of the run is that of its link."""
        return self._client

    def _upload(self, source: Path, path: str) -> None:
        """Upload a file: MLflow gives it the local name, and cannot replace a read-only copy."""
        folder, _, name = path.rpartition("/")
        copy = None if self._artifacts is None else self._artifacts / path
        scratch = self._scratch()
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as stage:
            staged = Path(stage, name)
            try:
                staged.symlink_to(source)
            except OSError:  # a file system without links
                shutil.copyfile(source, staged)
            if copy is not None:
                copy.unlink(missing_ok=True)
            self._client.log_artifact(self._run_id, str(staged), folder or None)
            if copy is not None:
                copy.chmod(0o644)

    def _send_tags(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._send("tags", RunTag, tags)

    def _send(self, kind: str, entity: type, texts: Mapping[str, str]) -> None:
        items = [entity(*item) for item in texts.items()]
        for start in range(0, len(items), ITEMS_PER_REQUEST):
            part = items[start : start + ITEMS_PER_REQUEST]
            self._client.log_batch(self._run_id, **{kind: part})


def _tag_key(name: str) -> str:
    """Return the key of a user's tag, out of the way of every tag that is not a user's."""
    if name.startswith(_INTERNAL) and name != DESCRIPTION:
        name = f"tag.{name}"
    return stored_name(name)
