"""Mutants that get endings, faults and packaging wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mutants import Mutant, changed, mutant

from tracelet.backends.base import (
    ArtifactFile,
    Capabilities,
)
from tracelet.backends.memory import MemoryBackend
from tracelet.errors import MissingPluginError
from tracelet.records import MetricPoint, RunInfo, RunLink, Status

with contextlib.suppress(ImportError):
    import colorsys  # noqa: F401 - the SDK of a mutant


# -- endings and faults ---------------------------------------------------------------------------


@mutant("ending_finished", "resumed_after_finish", "fault_calls_fail")
class NeverEnds(Mutant):
    def close(self, status: Status) -> None:
        """Leave it open."""


@mutant("resumed_after_finish")
class RepeatsWhenResumed(Mutant):
    capabilities = changed(MemoryBackend.capabilities, restart="replay")
    before: ClassVar[dict[str, list[MetricPoint]]] = {}

    def open(self, run: RunInfo) -> RunLink:
        link = super().open(run)
        if run.run_id.startswith("short"):
            self.points = self.before.setdefault(run.run_id + run.dir, self.points)
        return link


class Shared(Mutant):
    """Keeps something where two runs of one process share it."""

    everybody: ClassVar[dict[str, dict[str, Any]]] = {}

    def shared(self) -> dict[str, Any]:
        assert self.run is not None
        return self.everybody.setdefault(str(Path(self.run.dir).parent), {})


@mutant("two_runs_at_once")
class MixesTags(Shared):
    def set_tags(self, tags: Mapping[str, str]) -> None:
        assert self.run is not None
        if "two" in self.run.run_id:
            self.tags = self.shared()
        super().set_tags(tags)


@mutant("two_runs_at_once")
class MixesPoints(Shared):
    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        assert self.run is not None
        if "two" in self.run.run_id:
            self.points = self.shared().setdefault("points", [])
        super().log_metrics(batch)


@mutant("fault_calls_fail")
class LosesWhatFailed(Mutant):
    """Takes the second try of a file for one it has."""

    tries: ClassVar[set[str]] = set()

    def log_artifact(self, artifact: ArtifactFile) -> None:
        if artifact.path != "fault/fails.txt":
            super().log_artifact(artifact)


@mutant("fault_poisoned")
class BlamesTheNeighbours(Mutant):
    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        if any(point.name == "good" and point.iteration == 7 for point in batch):
            raise ValueError("not today")
        super().log_metrics(batch)


@mutant("fault_hangs")
class LosesWhatHung(Mutant):
    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        super().log_metrics([point for point in batch if point.name != "fault/hangs"])


# -- packaging ------------------------------------------------------------------------------------


@mutant("no_secrets")
class KeepsTheCommandLine(Mutant):
    def set_tags(self, tags: Mapping[str, str]) -> None:
        from tracelet.testing.values import SECRETS

        super().set_tags({**tags, "source": f"train.py --api-key={SECRETS['argument']}"})


@mutant("nothing_outside")
class WritesAtHome(Mutant):
    def open(self, run: RunInfo) -> RunLink:
        if run.run_id == "elsewhere":
            (Path.home() / ".memoryrc").write_text("here I was")
        return super().open(run)


@mutant("silent_stdout")
class Prints(Mutant):
    def close(self, status: Status) -> None:
        if self.run is not None and self.run.run_id == "elsewhere":
            sys.stdout.write(f"View run {os.getpid()}\n")
            sys.stdout.flush()
        super().close(status)


class HasAnSdk(Mutant):
    capabilities: ClassVar[Capabilities] = MemoryBackend.capabilities
    requires: ClassVar[Mapping[str, str]] = {"wave": "wave-sdk>=3"}


@mutant("import_is_light")
class ImportsItsSdk(HasAnSdk):
    """This module is one of those that say they need it."""

    requires: ClassVar[Mapping[str, str]] = {"colorsys": "colour-sdk>=3"}


@mutant("sdk_missing")
class HidesThatItsSdkIsMissing(HasAnSdk):
    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Find nothing wrong."""


@mutant("sdk_missing")
class DoesNotSayHowToInstallIt(HasAnSdk):
    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        try:
            super().check(options)
        except MissingPluginError:
            raise MissingPluginError("memory", "something is missing") from None
