"""A backend that has lost, in the middle of a run, what it was given gets the whole run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
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


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("name", ["metrics.jsonl", "log.txt"])
@pytest.mark.parametrize("damage", ["deleted", "emptied", "longer"])
def test_local_files_that_somebody_changes_are_written_anew(name: str, damage: str) -> None:
    exp = tracelet.start_logging("run", backend="local", courier="thread")
    _log_a_part(exp, 0)
    assert exp.flush(60)
    file = exp.dir / name
    if damage == "deleted":
        file.unlink()
    else:
        file.write_bytes(b"" if damage == "emptied" else file.read_bytes() + b"more\n")
    _log_a_part(exp, POINTS)
    assert exp.stop().complete

    lines = (exp.dir / "metrics.jsonl").read_bytes().splitlines()
    points = [msgspec.json.decode(line) for line in lines]
    assert [point["iteration"] for point in points] == list(range(2 * POINTS))
    texts = (exp.dir / "log.txt").read_text().splitlines()
    assert [text.split()[-1] for text in texts] == ["0", str(POINTS)]


def _log_a_part(exp: tracelet.Experiment, first: int) -> None:
    exp.log(f"part {first}")
    for iteration in range(first, first + POINTS):
        exp.log_metric("loss", 0.5, iteration)
