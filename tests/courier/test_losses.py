"""A backend that has lost, in the middle of a run, what it was given gets the whole run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

import tracelet
from tracelet.backends.base import ArtifactFile, Backend, Capabilities
from tracelet.errors import CheckpointLostError
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status

POINTS = 50


class Forgetful(Backend):
    """Loses everything at the calls it is told to."""

    name: ClassVar[str] = "forgetful"
    capabilities: ClassVar[Capabilities] = Capabilities.everything(in_process=True, batch_limit=10)

    def __init__(self, loses_at: Sequence[str]) -> None:
        super().__init__()
        self.loses_at = list(loses_at)
        self.opened = 0

    def _lose(self, call: str) -> None:
        if call in self.loses_at:
            self.loses_at.remove(call)
            raise CheckpointLostError(f"lost in {call}")

    def open(self, run: RunInfo) -> RunLink:
        self.opened += 1
        self.points: list[int] = []
        self.params: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.status: Status | None = None
        return RunLink(run.run_id)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        self._lose("params")
        self.params.update(params)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.points += [point.iteration for point in batch]
        if len(self.points) > POINTS / 2:
            self._lose("metrics")

    def log_artifact(self, artifact: ArtifactFile) -> None:
        self._lose("artifact")
        self.files[artifact.path] = artifact.source.read_bytes()

    def flush(self) -> None:
        self._lose("flush")

    def close(self, status: Status) -> None:
        self._lose("close")
        self.status = status


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(
    "loses_at",
    [["params"], ["metrics"], ["metrics"] * 3, ["artifact"], ["flush"], ["close"]],
    ids=" ".join,
)
def test_it_has_every_record_once(loses_at: list[str]) -> None:
    backend = Forgetful(loses_at)
    exp = tracelet.start_logging("run", backend=backend, params={"lr": 0.1}, courier="thread")
    exp.log("once")
    for iteration in range(POINTS):
        exp.log_metric("loss", 0.5, iteration)
    exp.log_params({"rate": 1})
    report = exp.stop()

    assert backend.points == list(range(POINTS))
    assert backend.params == {"lr": 0.1, "rate": 1}
    assert backend.files["log.txt"].count(b"once") == 1
    assert backend.status == "finished"
    assert backend.opened == 1 + len(loses_at)
    told = report["forgetful"]
    assert (told.accepted, told.delivered, told.pending) == (POINTS + 3, POINTS + 3, 0)
