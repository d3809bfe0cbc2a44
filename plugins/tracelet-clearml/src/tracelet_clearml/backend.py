"""The ClearML backend: a run's task on a server, or in a session folder such as the SDK imports.

Nothing here is the SDK's ``Task``: no global state, no exit hook, no thread. A call that returns
has stored what it was given, or :meth:`ClearmlBackend.flush` does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from tracelet.backends.base import (
    ArtifactFile,
    Backend,
    Capabilities,
    ConfigObject,
    Property,
    Support,
    TextLine,
)
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status
from tracelet_clearml import names, task
from tracelet_clearml.events import Scalars, log_events
from tracelet_clearml.offline import LOG, SCALARS, OfflineTask, session_root
from tracelet_clearml.online import OnlineTask
from tracelet_clearml.server import is_transient

TaskType: TypeAlias = Literal[
    "training",
    "testing",
    "inference",
    "data_processing",
    "application",
    "monitor",
    "controller",
    "optimizer",
    "service",
    "qc",
    "custom",
]
_NO = {"", "0", "false", "no", "off"}


class ClearmlBackend(Backend):
    """One run in ClearML.

    Args:
        offline: whether to write a session folder instead of talking to a server; None:
            ``CLEARML_OFFLINE_MODE``.
        output_uri: where artifacts are uploaded to, such as ``s3://bucket/folder``; None: the
            server for files.
        task_type: the type of the task; None: ``training``.
    """

    name: ClassVar[str] = "clearml"
    own_files: ClassVar[frozenset[str]] = frozenset({"configs", "tracelet/adjusted.jsonl"})
    requires: ClassVar[Mapping[str, str]] = {"clearml": "clearml>=2"}
    capabilities: ClassVar[Capabilities] = Capabilities.everything(
        nan=Support.EMULATED,  # marked in a chart of its own
        infinity=Support.EMULATED,  # the same
        float64=Support.EMULATED,  # numbers beyond those of float32 are its largest
        integers=Support.EMULATED,  # beyond 2**53 they are rounded
        axes=Support.EMULATED,  # charts of their own, whose titles say so
        configs=Support.EMULATED,  # what is no text, or a very long one, is an artifact
        properties=Support.EMULATED,  # a value whose type is not that of its text
        batch_limit=1000,
        time_bound=60.0,
    )

    def __init__(
        self,
        *,
        offline: bool | None = None,
        output_uri: str | None = None,
        task_type: TaskType | None = None,
    ) -> None:
        super().__init__()
        self._offline = offline
        self._options = (task_type or "training", output_uri)
        self._task: OfflineTask | OnlineTask

    def local_stores(self, run: RunInfo) -> Sequence[Path]:
        return (session_root(run),) if is_offline(self._offline) else ()

    def open(self, run: RunInfo) -> RunLink:
        self._run = run
        self._task = (OfflineTask if is_offline(self._offline) else OnlineTask)(*self._options)
        link = self._task.open(run)
        known = () if run.checkpoint is None else run.checkpoint["series"]
        self._scalars = Scalars(link.id, known)
        self._own = task.Own(run, self._task.own)
        self._show_own(tags=True)
        return link

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        self._task.set_params(task.param_items(params))

    def remove_params(self, keys: Sequence[str]) -> None:
        self._task.remove_params([names.section_and_name(key) for key in keys])

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        plan = self._scalars.plan(batch)
        self._task.add_events(SCALARS, plan.events)
        self._scalars.done(plan)
        for point, reason in plan.adjusted:
            self.adjusted_point(point, reason)

    def log_text(self, lines: Sequence[TextLine]) -> None:
        host = str(self._run.facts.get("host") or "")
        self._task.add_events(LOG, log_events(self._task.id, lines, host))

    def log_artifact(self, artifact: ArtifactFile) -> None:
        self._task.add_artifact(artifact)
        script = task.script_with(self._task.script, artifact)
        if script is not None:
            self._task.set_script(script)

    def log_config(self, config: ConfigObject) -> None:
        item = task.config_item(config)
        if item["type"] == task.REFERENCE:
            super().log_config(config)
            stored = {"config": config.name, "stored_as": config.path}
            self.adjusted(stored, "ClearML's configuration objects are texts, and not very long")
        self._task.set_config(item)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._own.tags.update(tags)
        self._show_own(tags=True)

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        self._task.set_params(task.property_items(properties))
        for name, found in properties.items():
            if not task.is_typed(found):
                reason = "ClearML has one type for a property, and this is the user's"
                self.adjusted_property(name, found, reason)

    def flush(self) -> dict[str, Any]:
        return {**self._task.flush(), "series": self._scalars.known}

    def close(self, status: Status) -> None:
        self._own.set_ending(status, self.ended)
        self._show_own(tags=False)
        self._task.close(status, self.ended)

    def is_transient(self, error: Exception) -> bool | None:
        return is_transient(error)

    @property
    def native(self) -> Any:
        """The SDK's ``Task``, of a run on a server."""
        return self._task.native if isinstance(self._task, OnlineTask) else None

    def _show_own(self, *, tags: bool) -> None:
        self._task.set_config(self._own.item())
        if tags:
            self._task.set_tags(self._own.shown_tags())


def is_offline(option: bool | str | None) -> bool:
    """Tell whether to stay offline: the option, else the SDK's variable, which may be a version."""
    if option is None:
        option = os.environ.get("CLEARML_OFFLINE_MODE") or os.environ.get("TRAINS_OFFLINE_MODE")
    return str(option or "").strip().lower() not in _NO
