"""The types of captured values, which capture passes to the experiment to log.

Parameters, help texts and files have no secrets any more. Those of texts and configuration objects
are hidden where these are logged, as a user's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from tracelet.values.flatten import Flat, path_of

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]


class CapturedParams(msgspec.Struct, frozen=True):
    """Parameters, and the help texts of some of them, by key."""

    flat: Flat
    descriptions: Mapping[str, str]

    def one_by_one(self) -> Iterator[CapturedParams]:
        """Yield each parameter alone."""
        for key, value in self.flat.values.items():
            paths = {key: self.flat.paths[key]} if key in self.flat.paths else {}
            yield CapturedParams(Flat({key: value}, paths), self.descriptions)

    def __str__(self) -> str:
        return ", ".join(repr(".".join(path_of(key, self.flat.paths))) for key in self.flat.values)


class CapturedConfig(msgspec.Struct, frozen=True):
    """A configuration object; the experiment hides its secrets."""

    name: str
    value: Any


class CapturedFile(msgspec.Struct, frozen=True):
    """A file: its destination in the run, and its content."""

    path: str
    content: bytes


class CapturedText(msgspec.Struct, frozen=True):
    """A line of the run's log."""

    line: str
    level: Level


class CapturedMetric(msgspec.Struct, frozen=True):
    """A point of a metric; ``time`` is in seconds since the epoch."""

    name: str
    value: Any
    iteration: int | None
    axis: str
    time: float


Captured: TypeAlias = CapturedParams | CapturedConfig | CapturedFile | CapturedText | CapturedMetric
