"""The backend that drops everything: for measuring, and for switching logging off by a setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from tracelet.backends.base import (
    ArtifactFile,
    Backend,
    Capabilities,
    ConfigObject,
    Property,
    TextLine,
)
from tracelet.hookspecs import hookimpl
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status


class NullBackend(Backend):
    """Takes everything and keeps nothing."""

    name: ClassVar[str] = "null"
    own_files: ClassVar[frozenset[str]] = frozenset({"tracelet/adjusted.jsonl"})
    capabilities: ClassVar[Capabilities] = Capabilities(lightweight=True, batch_limit=100_000)

    def open(self, run: RunInfo) -> RunLink:
        return RunLink(run.run_id)

    def log_params(self, params: Mapping[str, ParamValue]) -> None: ...

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None: ...

    def log_artifact(self, artifact: ArtifactFile) -> None: ...

    def log_config(self, config: ConfigObject) -> None: ...

    def log_text(self, lines: Sequence[TextLine]) -> None: ...

    def set_tags(self, tags: Mapping[str, str]) -> None: ...

    def set_properties(self, properties: Mapping[str, Property]) -> None: ...

    def close(self, status: Status) -> None: ...


@hookimpl
def tracelet_register_backend() -> type[Backend]:
    return NullBackend
