"""What a tracker has of a run, in one shape: without it, backends could not be held to one meaning.

The reader of a backend's contract fills a :class:`ReadBack` from the tracker's own store, with the
tracker's own reader, never through the adapter.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tracelet.records import MetricPoint, ParamValue, Status
from tracelet.wire import from_wire

ADJUSTED = "tracelet/adjusted.jsonl"
"""The artifact with the exact records of what a tracker cannot hold as given."""

BOOKKEEPING = (
    "tracelet/",
    "configs/",
    "parameters.json",
    "tags.json",
    "properties.json",
    "log.txt",
)
"""Artifacts that tracelet itself writes, and folders of such; no check logs one there."""

_LOG_LINE = re.compile(
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (?:CRITICAL|[A-Z ]{7}) ", re.MULTILINE
)


class ReadBack(msgspec.Struct, kw_only=True):
    """One run, as a tracker has it.

    Attributes:
        params: the current parameters, flat, under the keys they were logged with; typed where the
            tracker, or a typed manifest that the backend keeps in it, allows.
        points: the metric points in the tracker's stored order, under the names they were logged
            with.
        artifacts: destination to content. Files of :data:`BOOKKEEPING` may be left out.
        configs: configuration objects by name: the value, or the bytes of one given as a file.
        texts: the lines of the log, the text alone (see :func:`parse_log`).
        tags: the tags, without those that the backend or the tracker sets for itself.
        properties: user properties by name: the value, or a ``tracelet.backends.base.Property``
            where the tracker keeps descriptions.
        status: how the run ended; None if the tracker does not say.
        name: the run's name.
        project: its project.
        group: its group.
        adjusted: the parsed artifact ``tracelet/adjusted.jsonl`` (see :func:`parse_adjusted`);
            ``[]`` if there is none. A line has one of these shapes, and a ``reason``::

                {"metric": name, "value": …, "iteration": …, "axis": …, "time": …}
                {"param": key, "value": …}
                {"tag": name, "value": …}
                {"property": name, "value": …, "description": …, "type": …}
                {"config": name, "value": …}
                {"artifact": destination, "digest": …, "size": …, "stored_as": …}
                {"text": text, "level": …, "time": …}
                {"status": status}

            ``stored_as`` is there if the backend keeps files of its own at the destination.
        runs: how many runs the tracker has for this run; a group's own run does not count.
    """

    params: dict[str, ParamValue] = {}
    points: list[MetricPoint] = []
    artifacts: dict[str, bytes] = {}
    configs: dict[str, Any] = {}
    texts: list[str] = []
    tags: dict[str, str] = {}
    properties: dict[str, Any] = {}
    status: Status | None = None
    name: str | None = None
    project: str | None = None
    group: str | None = None
    adjusted: list[dict[str, Any]] = []
    runs: int = 1


def parse_adjusted(content: bytes | None) -> list[dict[str, Any]]:
    """Read the artifact ``tracelet/adjusted.jsonl``; None, when there is none, gives ``[]``."""
    return [from_wire(msgspec.json.decode(line)) for line in (content or b"").splitlines()]


def parse_log(content: bytes | None) -> list[str]:
    """Read the artifact ``log.txt``, in which backends without a place for text keep it.

    A text of several lines comes back whole.
    """
    text = (content or b"").decode()
    starts = [match.span() for match in _LOG_LINE.finditer(text)]
    ends = [begin for begin, _ in starts[1:]] + [len(text)] * bool(starts)
    return [
        text[begin:end].removesuffix("\n") for (_, begin), end in zip(starts, ends, strict=True)
    ]


def is_bookkeeping(destination: str) -> bool:
    """Return whether an artifact is one that tracelet itself writes."""
    return any(
        destination.startswith(name) if name.endswith("/") else destination == name
        for name in BOOKKEEPING
    )
