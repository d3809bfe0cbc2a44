"""The backend that keeps everything in lists, for the tests of your own training code.

It lives in the training process: ``exp.backend("memory").points`` is what was delivered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

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


class MemoryBackend(Backend):
    """Keeps what it is given.

    Attributes:
        run: who the run is, once it was opened.
        params: the current parameters, flat.
        descriptions: what explains parameters, by their flat keys.
        points: every metric point, in order.
        artifacts: the content of every artifact, by destination.
        configs: configuration objects by name: the value, or the bytes of the file.
        texts: the lines of the log.
        tags: the tags.
        properties: the user properties.
        status: the ending, or None while the run is open.
    """

    name: ClassVar[str] = "memory"
    own_files: ClassVar[frozenset[str]] = frozenset({"tracelet/adjusted.jsonl"})
    capabilities: ClassVar[Capabilities] = Capabilities.everything(
        lightweight=True, in_process=True, batch_limit=100_000, restart="replay"
    )

    def __init__(self) -> None:
        super().__init__()
        self.run: RunInfo | None = None
        self._begin()

    def _begin(self) -> None:
        self.params: dict[str, ParamValue] = {}
        self.descriptions: dict[str, str] = {}
        self.points: list[MetricPoint] = []
        self.artifacts: dict[str, bytes] = {}
        self.configs: dict[str, Any] = {}
        self.texts: list[TextLine] = []
        self.tags: dict[str, str] = {}
        self.properties: dict[str, Property] = {}
        self.status: Status | None = None

    def open(self, run: RunInfo) -> RunLink:
        self._begin()  # a run that goes on is delivered from its beginning: restart="replay"
        self.run = run
        return RunLink(run.run_id)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        self.params.update(params)

    def remove_params(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.params.pop(key, None)

    def describe_params(self, descriptions: Mapping[str, str]) -> None:
        self.descriptions.update(descriptions)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.points.extend(batch)

    def log_artifact(self, artifact: ArtifactFile) -> None:
        self.artifacts[artifact.path] = artifact.source.read_bytes()

    def log_config(self, config: ConfigObject) -> None:
        given_as_file = config.value is None
        self.configs[config.name] = config.source.read_bytes() if given_as_file else config.value

    def log_text(self, lines: Sequence[TextLine]) -> None:
        self.texts.extend(lines)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.tags.update(tags)

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        self.properties.update(properties)

    def close(self, status: Status) -> None:
        self.status = status


@hookimpl
def tracelet_register_backend() -> type[Backend]:
    return MemoryBackend
