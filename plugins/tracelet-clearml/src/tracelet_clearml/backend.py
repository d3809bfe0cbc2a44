"""In place of the ClearML backend: refuses to start, rather than log into nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tracelet.backends.base import ArtifactFile, Backend
from tracelet.errors import BrokenPluginError
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status

NOT_BUILT = (
    'the ClearML backend is not built yet; use backend="local" now, and bring the run to '
    "ClearML later with: tracelet replay RUN --backend clearml"
)


class ClearmlBackend(Backend):
    """Refuses to be made, with a sentence that says what to use instead."""

    name: ClassVar[str] = "clearml"
    options: ClassVar[frozenset[str]] = frozenset({"offline", "output_uri", "task_type"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        raise BrokenPluginError(NOT_BUILT)

    # Without these Python would refuse the class first, as abstract, and not say why.

    def open(self, run: RunInfo) -> RunLink:
        raise BrokenPluginError(NOT_BUILT)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        raise BrokenPluginError(NOT_BUILT)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        raise BrokenPluginError(NOT_BUILT)

    def log_artifact(self, artifact: ArtifactFile) -> None:
        raise BrokenPluginError(NOT_BUILT)

    def close(self, status: Status) -> None:
        raise BrokenPluginError(NOT_BUILT)
