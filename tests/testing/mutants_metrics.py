"""Mutants that get metrics wrong."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from mutants import ChangesPoints, Mutant, changed, mutant

from tracelet.backends.base import Support
from tracelet.backends.memory import MemoryBackend
from tracelet.records import MetricPoint

# -- metrics --------------------------------------------------------------------------------------


@mutant("metric_float64")
class Float32(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        for point in batch:
            yield point if point.name != "float64" else changed(point, value=self.rounded(point))

    def rounded(self, point: MetricPoint) -> float:
        try:
            return float(struct.unpack("f", struct.pack("f", point.value))[0])
        except OverflowError:
            return math.inf


@mutant("metric_nan")
class DropsNan(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (point for point in batch if point.value == point.value)


@mutant("metric_nan")
class NanIsZero(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        for point in batch:
            yield point if point.value == point.value else changed(point, value=0.0)


@mutant("metric_infinity")
class ClampsInfinity(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        for point in batch:
            infinite = isinstance(point.value, float) and math.isinf(point.value)
            yield changed(point, value=math.copysign(1.7e308, point.value)) if infinite else point


@mutant("metric_integers")
class IntegersAreFloats(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (changed(point, value=float(point.value)) for point in batch)


@mutant("metric_numbers")
class OnlyFloats(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (p for p in batch if p.name != "bools" or isinstance(p.value, float))


@mutant("metric_iteration_zero")
class ZeroIsNothing(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        for point in batch:
            wrong = point.name == "zero" and not point.iteration
            yield changed(point, iteration=1) if wrong else point


@mutant("metric_iteration_negative")
class DropsNegativeIterations(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (point for point in batch if point.iteration >= 0)


@mutant("metric_iteration_large")
class Iterations32Bit(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        for point in batch:
            large = point.iteration >= 2**32
            yield changed(point, iteration=point.iteration % 2**32) if large else point


@mutant("metric_iteration_decreasing")
class DropsDecreasing(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        highest: dict[Any, int] = {}
        for point in batch:
            key = (point.name, point.axis)
            if point.iteration >= highest.get(key, point.iteration):
                highest[key] = point.iteration
                yield point


@mutant("metric_iteration_repeated")
class CollapsesEqualPoints(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        seen = set()
        for point in batch:
            key = (point.name, point.iteration, point.axis, repr(point.value))
            if key not in seen:
                seen.add(key)
                yield point


@mutant("metric_iteration_repeated")
class LastOfAnIteration(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return {(point.name, point.iteration, point.axis): point for point in batch}.values()


@mutant("metric_axes")
class OneAxis(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (changed(point, axis="iteration") for point in batch)


@mutant("metric_names")
class ShortNames(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (changed(point, name=point.name[:250]) for point in batch)


@mutant("metric_names")
class SanitisedNames(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (changed(point, name=point.name.replace("@", "_")) for point in batch)


@mutant("metric_names_beside")
class FoldersAreNoFiles(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        folders = {point.name.rpartition("/")[0] for point in batch}
        return (point for point in batch if point.name not in folders)


@mutant("metric_times")
class TimeOfDelivery(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        return (changed(point, time=point.time + 3.0) for point in batch)


@mutant("metric_order")
class Reorders(ChangesPoints):
    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        order = [point for point in batch if point.name == "order"]
        return [point for point in batch if point.name != "order"] + order[::-1]


@mutant("metric_many")
class LosesTheLastBatch(Mutant):
    """Hands points on when a hundred are there, and forgets the rest at the end."""

    def _begin(self) -> None:
        super()._begin()
        self.buffer: list[MetricPoint] = []

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        self.buffer += batch
        if not any(point.name == "many/last" for point in batch):
            super().log_metrics(self.buffer)
            self.buffer = []


@mutant("metric_nan")
class SaysThatItKeepsNan(DropsNan):
    capabilities = changed(MemoryBackend.capabilities, nan=Support.EMULATED)
