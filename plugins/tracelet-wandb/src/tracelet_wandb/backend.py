"""The Weights & Biases backend: the run's file begins again whenever delivery does.

The SDK keeps up to 32 KiB of an offline run in memory, and has no call that writes it. So a worker
that is started again deletes what it had written and writes the whole run from the journal: there
is one run, and every point is in it once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from tracelet.backends.base import (
    ArtifactFile,
    Backend,
    Capabilities,
    ConfigObject,
    Property,
    Support,
)
from tracelet.records import DEFAULT_AXIS, MetricPoint, ParamValue, RunInfo, RunLink, Status
from tracelet_wandb import names, sdk
from tracelet_wandb.config import Config, is_holdable
from tracelet_wandb.files import Files
from tracelet_wandb.rows import rounded, rows
from tracelet_wandb.sdk import translate_errors

EXIT_CODES: dict[Status, int] = {"finished": 0, "failed": 1, "killed": 255}


class WandbBackend(Backend):
    """Logs to W&B, or to its offline files.

    Args:
        mode: ``online``, ``offline`` or ``disabled``; None: ``WANDB_MODE``, else online.
        entity: the user or the team; None: ``WANDB_ENTITY``, else the account's own.
        dir: where the SDK makes its directory ``wandb``; None: ``WANDB_DIR``, else the run's own
            directory.
        group: the group of runs without one of their own; None: ``WANDB_RUN_GROUP``.
        job_type: the type of the run, such as ``train``.
        notes: the first of the run's notes; user properties follow.
    """

    name: ClassVar[str] = "wandb"
    own_files: ClassVar[frozenset[str]] = frozenset(
        {"configs", "log.txt", "tracelet/adjusted.jsonl"}
    )
    requires: ClassVar[Mapping[str, str]] = {"wandb": "wandb>=0.20"}
    capabilities: ClassVar[Capabilities] = Capabilities.everything(
        integers=Support.EMULATED,  # beyond 64 bits they are rounded
        param_types=Support.EMULATED,  # NaN is a text
        tags=Support.EMULATED,  # the list of tags has 64 characters for each; config has all
        properties=Support.EMULATED,  # a NaN is a text
        configs=Support.EMULATED,  # a NaN is a text; the file has it
        statuses=Support.EMULATED,  # its site shows both 1 and 255 as failed; config has the word
        repeats=Support.FULL,
        batch_limit=2000,
        time_bound=60.0,
        restart="replay",
    )

    def __init__(
        self,
        *,
        mode: Literal["online", "offline", "disabled"] | None = None,
        entity: str | None = None,
        dir: str | os.PathLike[str] | None = None,  # noqa: A002 - the SDK's name
        group: str | None = None,
        job_type: str | None = None,
        notes: str | None = None,
    ) -> None:
        super().__init__()
        self._options = {"mode": mode, "entity": entity, "job_type": job_type, "notes": notes}
        self._dir = dir
        self._group = group
        self._wandb: Any = None
        self._live: Any = None

    def local_stores(self, run: RunInfo) -> Sequence[Path]:
        return (self._root_of(run) / "wandb",)

    def _root_of(self, run: RunInfo) -> Path:
        given = self._dir or os.environ.get("WANDB_DIR") or run.dir
        return Path(given).expanduser().absolute()

    @translate_errors()
    def open(self, run: RunInfo) -> RunLink:
        self._run = run
        self._root = self._root_of(run)
        group = run.group or self._group
        cache = self._scratch() / "cache"
        self._wandb, self._live = sdk.start(run, self._root, self._options, group, cache)
        live = self._live
        self._keys = names.Keys()
        self._axes: set[str] = set()
        self._placed: set[str] = set()
        self._config = Config(live, run)
        self._files = Files(self._wandb, live)
        self._define_axis(DEFAULT_AXIS)
        live.define_metric("*", step_metric=DEFAULT_AXIS, step_sync=False)
        live.define_metric(names.TIMES, hidden=True, summary="none")
        self._files.add_metadata(run)
        return RunLink(live.id, sdk.address(live))

    @translate_errors()
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        for key, value in params.items():
            if not is_holdable(value):
                self.adjusted_param(key, value, "W&B's config cannot hold it")
        self._config.set_params(params)

    @translate_errors()
    def remove_params(self, keys: Sequence[str]) -> None:
        self._config.remove_params(keys)

    @translate_errors()
    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        log = self._live.log
        self._place_metrics(batch)
        for row in rows(batch, self._keys, self._run.started):
            log(row)
        for point in rounded(batch):
            self.adjusted_point(point, "W&B rounds integers beyond 64 bits")

    @translate_errors()
    def log_artifact(self, artifact: ArtifactFile) -> None:
        self._files.add(artifact)

    @translate_errors()
    def log_config(self, config: ConfigObject) -> None:
        super().log_config(config)
        if not is_holdable(config.value):
            what = {"config": config.name, "value": config.value}
            self.adjusted(what, "W&B's config cannot hold it")
        self._config.set_object(config)

    @translate_errors()
    def set_tags(self, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            if len(f"{name}:{value}") > names.LONGEST_TAG:
                reason = f"W&B's tags have {names.LONGEST_TAG} characters at most"
                self.adjusted_tag(name, value, reason)
        self._config.set_tags(tags)

    @translate_errors()
    def set_properties(self, properties: Mapping[str, Property]) -> None:
        for name, found in properties.items():
            if not is_holdable(found.value):
                self.adjusted_property(name, found, "W&B's summary and config cannot hold it")
        self._config.set_properties(properties)

    @translate_errors()
    def close(self, status: Status) -> None:
        self._files.log()
        self._config.set_ending(status, self.ended)
        folder = Path(self._live.settings.sync_dir)
        sdk.finish(self._wandb, self._run, self._live, EXIT_CODES[status])
        self._live = None
        # A service that outlived its killed worker for a moment may have written once more.
        sdk.remove_earlier(self._run, self._root, keep=folder)

    def is_transient(self, error: Exception) -> bool | None:
        return True if type(error).__name__ in sdk.TRANSIENT else None

    @property
    def native(self) -> Any:
        """The ``wandb.Run``, while the run is open."""
        return self._live

    def _define_axis(self, axis: str) -> None:
        if axis not in self._axes:
            self._axes.add(axis)
            self._live.define_metric(self._keys.axis(axis), hidden=True)

    def _place_metrics(self, batch: Sequence[MetricPoint]) -> None:
        """Tell W&B the axis of each metric: the first it has a point on."""
        for point in batch:
            if point.axis not in self._axes:
                self._define_axis(point.axis)
            if point.name not in self._placed:
                self._placed.add(point.name)
                key = self._keys.metric(point.name)
                if point.axis != DEFAULT_AXIS and "*" not in key:
                    axis = self._keys.axis(point.axis)
                    self._live.define_metric(key, step_metric=axis, step_sync=False)
