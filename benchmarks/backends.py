"""Backends that stand for trackers: they drop everything, or fail, or are slow.

None of them is declared light, so that each gets a worker process, as one with an SDK does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

import tracelet
from tracelet.backends.base import ArtifactFile
from tracelet.errors import TransientError
from tracelet.records import ParamValue, Status


class One(tracelet.Backend):
    """Takes everything and keeps nothing."""

    name: ClassVar[str] = "one"
    capabilities: ClassVar[tracelet.Capabilities] = tracelet.Capabilities.everything()

    def open(self, run: tracelet.RunInfo) -> tracelet.RunLink:
        return tracelet.RunLink(run.run_id)

    def log_params(self, params: Mapping[str, ParamValue]) -> None: ...

    def log_metrics(self, batch: Sequence[tracelet.MetricPoint]) -> None: ...

    def log_artifact(self, artifact: ArtifactFile) -> None: ...

    def close(self, status: Status) -> None: ...


class Two(One):
    """One more."""

    name: ClassVar[str] = "two"


class Three(One):
    """One more."""

    name: ClassVar[str] = "three"


class Four(One):
    """One more."""

    name: ClassVar[str] = "four"


class Down(One):
    """A tracker that cannot be reached."""

    name: ClassVar[str] = "down"

    def log_metrics(self, batch: Sequence[tracelet.MetricPoint]) -> None:
        raise TransientError("not reachable")


class Slow(One):
    """A tracker that takes 2 ms a point."""

    name: ClassVar[str] = "slow"

    def log_metrics(self, batch: Sequence[tracelet.MetricPoint]) -> None:
        time.sleep(0.002 * len(batch))
