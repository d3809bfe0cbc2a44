"""Backends with one thing wrong each, and the checks that must see it; no others may fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tracelet.backends.base import (
    Capabilities,
)
from tracelet.backends.memory import MemoryBackend
from tracelet.records import MetricPoint, ParamValue

changed = msgspec.structs.replace


class Mutant(MemoryBackend):
    """What the mutants have in common: the checks that must fail, and how many runs there are."""

    fails: ClassVar[set[str]] = set()
    name = "memory"
    runs = 1


MUTANTS: list[type[Mutant]] = []


def mutant(*fails: str) -> Any:
    def register(cls: type[Mutant]) -> type[Mutant]:
        cls.fails = set(fails)
        MUTANTS.append(cls)
        return cls

    return register


class ChangesPoints(Mutant):
    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        super().log_metrics(list(self.change(batch)))

    def change(self, batch: Sequence[MetricPoint]) -> Iterable[MetricPoint]:
        raise NotImplementedError


class ChangesParams(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        super().log_params({key: self.change(key, value) for key, value in params.items()})

    def change(self, key: str, value: ParamValue) -> ParamValue:
        raise NotImplementedError


HONEST: list[type[Mutant]] = []


def honest(cls: type[Mutant]) -> type[Mutant]:
    HONEST.append(cls)
    return cls


def declares(**fields: Any) -> Capabilities:
    return changed(MemoryBackend.capabilities, **fields)
