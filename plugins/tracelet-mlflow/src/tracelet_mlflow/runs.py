"""Finds or makes a run's experiment, its run and its group's run; never a second one of any.

A run carries a tag made of its project and id, so that one whose link was lost in a crash is found
again.
"""

from __future__ import annotations

import hashlib
from typing import Any

from tracelet.errors import CheckpointLostError, TransientError
from tracelet.records import RunInfo
from tracelet_mlflow.errors import error_code
from tracelet_mlflow.place import artifact_location, locked, runs_root

KEY = "tracelet.key"
PARENT = "mlflow.parentRunId"
_RUN_NAME_LENGTH = 250
_EXPERIMENT_LENGTH = 500


class Runs:
    """The runs of one tracking store.

    Args:
        client: an ``MlflowClient``.
        uri: the store's address.
        experiment: the name of the experiment, if it is not to be the project's.
        location: where a new experiment keeps its artifacts, if that was given.
    """

    def __init__(self, client: Any, uri: str, experiment: str | None, location: str | None) -> None:
        self._client = client
        self._uri = uri
        self._experiment = experiment
        self._location = location
        self._made_group: str | None = None

    def open(self, run: RunInfo) -> Any:
        """Return the run in MLflow: by its link, by its tag, or a new one.

        Raises:
            CheckpointLostError: what was delivered to the run's link is not there any more.
            TransientError: somebody has deleted the run or the experiment.
        """
        found = self._linked(run)
        if found is None:
            experiment = self._experiment_id(run)
            found = self._find(experiment, _key(run.project, run.run_id))
            if found is None:
                found = self._create(experiment, run)
        if found.info.lifecycle_stage != "active":
            raise TransientError(
                f"the run {found.info.run_id} was deleted in MLflow; this brings it back:  "
                f"mlflow runs restore --run-id {found.info.run_id}"
            )
        if found.info.status != "RUNNING":
            self._client.update_run(found.info.run_id, status="RUNNING")
        return found

    def parent(self, experiment_id: str, run: RunInfo) -> str | None:
        """Return the id of the run above this one, that of its group; None if it has no group."""
        if run.group is None:
            return None
        key = _key(run.project, f"group\0{run.group}")
        with locked(runs_root(run) / "mlflow.lock"):  # all runs of this machine agree on one
            found = self._find(experiment_id, key)
            if found is None:
                found = self._create_group(experiment_id, run, key)
        self._leave_to_first(found)
        return str(found.info.run_id)

    def _linked(self, run: RunInfo) -> Any:
        if run.link is None:
            return None
        try:
            return self._client.get_run(run.link.id)
        except Exception as error:
            if error_code(error) != "RESOURCE_DOES_NOT_EXIST":
                raise
            if run.checkpoint is not None:
                raise CheckpointLostError(f"MLflow has no run {run.link.id} any more") from error
        return None

    def _experiment_id(self, run: RunInfo) -> str:
        name = (self._experiment or run.project)[:_EXPERIMENT_LENGTH]
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = artifact_location(self._location, self._uri, name, run)
            try:
                return str(self._client.create_experiment(name, artifact_location=location))
            except Exception as error:
                if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(name)  # another run was faster
        if found is None or found.lifecycle_stage != "active":
            raise TransientError(
                f"the experiment {name!r} was deleted in MLflow, which keeps its name; restore it "
                "with 'mlflow experiments restore', or name another one: backends.mlflow.experiment"
            )
        return str(found.experiment_id)

    def _find(self, experiment_id: str, key: str) -> Any:
        """Return the first run with a key, the same for whoever asks; None if there is none."""
        found = self._client.search_runs(
            [experiment_id],
            f"tags.`{KEY}` = '{key}'",
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            max_results=1,
        )
        return next(iter(found), None)

    def _create(self, experiment_id: str, run: RunInfo) -> Any:
        tags = {
            KEY: _key(run.project, run.run_id),
            "tracelet.run_id": run.run_id,
            "tracelet.project": run.project,
            **_source_tags(run.facts),
        }
        if run.group is not None:
            tags["tracelet.group"] = run.group
        parent = self.parent(experiment_id, run)
        if parent is not None:
            tags[PARENT] = parent
        return self._new(experiment_id, run.name, tags, run.started)

    def _create_group(self, experiment_id: str, run: RunInfo, key: str) -> Any:
        group = run.group or ""
        tags = {KEY: key, "tracelet.is_group": "true", "tracelet.group": group}
        tags |= {tag: text for tag, text in _source_tags(run.facts).items() if tag == "mlflow.user"}
        made = self._new(experiment_id, group, tags, run.started)
        # It stands for its runs, and does nothing itself that could end.
        self._client.set_terminated(made.info.run_id, "FINISHED")
        self._made_group = str(made.info.run_id)
        return self._find(experiment_id, key) or made

    def _leave_to_first(self, group: Any) -> None:
        """Delete the group's run that we made, if another machine made an earlier one meanwhile."""
        if self._made_group is not None and self._made_group != group.info.run_id:
            self._client.delete_run(self._made_group)
            self._made_group = None

    def _new(self, experiment_id: str, name: str, tags: dict[str, str], started: float) -> Any:
        if len(name) > _RUN_NAME_LENGTH:
            tags["tracelet.name"], name = name, name[:_RUN_NAME_LENGTH]
        return self._client.create_run(
            experiment_id,
            start_time=int(started * 1000),
            tags={tag: value[:5000] for tag, value in tags.items()},
            run_name=name,
        )


def _key(project: str, run_id: str) -> str:
    return hashlib.sha256(f"{project}\0{run_id}".encode()).hexdigest()[:32]


def _source_tags(facts: dict[str, Any]) -> dict[str, str]:
    """Return who started what, where MLflow's pages look for it."""
    argv = facts.get("argv") or []
    git = facts.get("git") or {}
    given = {
        "mlflow.user": facts.get("user"),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": argv[0] if argv else None,
        "mlflow.source.git.commit": git.get("commit"),
        "mlflow.source.git.branch": git.get("branch"),
        "mlflow.source.git.repoURL": git.get("remote"),
        "tracelet.command": " ".join(argv),
        "tracelet.host": facts.get("host"),
        "tracelet.python": facts.get("python"),
    }
    return {tag: str(value) for tag, value in given.items() if value}
