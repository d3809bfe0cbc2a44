"""Says what a tracker has of a run that was not logged so, or not at all.

What a tracker cannot hold as given counts as there if the exact record is in the same run of that
tracker, in ``tracelet/adjusted.jsonl``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import training

from tracelet.records import MetricPoint
from tracelet.testing import ReadBack, is_bookkeeping
from tracelet.testing.expect import difference, same, show

LOGGED = [
    *(MetricPoint(*point, 0.0) for point in training.POINTS),
    *(MetricPoint(name, value, 99, "iteration", 0.0) for name, value in training.TOGETHER.items()),
]


def differences(read: ReadBack, status: str) -> list[str]:
    """Return what is different, each in a line; nothing: the run is as it was logged."""
    found = [
        f"{what} is {actual!r}, and was {expected!r}"
        for what, actual, expected in [
            ("the status", read.status, status),
            ("the name", read.name, training.NAME),
            ("the project", read.project, training.PROJECT),
            ("the group", read.group, training.GROUP),
            ("the number of runs", read.runs, 1),
            ("the log", read.texts, training.TEXTS),
        ]
        if actual != expected
    ]
    properties = {name: getattr(value, "value", value) for name, value in read.properties.items()}
    found += _values(read, "param", read.params, training.PARAMS)
    found += _values(read, "tag", read.tags, training.TAGS)
    found += _values(read, "property", properties, training.PROPERTIES)
    found += _values(read, "config", read.configs, {"net": training.CONFIG})
    found += _points(read)
    found += _artifacts(read)
    return found


def _values(
    read: ReadBack, kind: str, actual: Mapping[str, Any], expected: Mapping[str, Any]
) -> Iterator[str]:
    exact = {line[kind]: line["value"] for line in read.adjusted if kind in line}
    for name in expected.keys() | actual.keys():
        if name not in expected:
            yield f"{kind} {name!r} was not logged"
        elif name not in actual:
            yield f"{kind} {name!r} is missing"
        elif not same(actual[name], expected[name]) and not same(exact.get(name), expected[name]):
            yield f"{kind} {name!r} is {actual[name]!r:.200}, and was {expected[name]!r:.200}"


def _points(read: ReadBack) -> Iterator[str]:
    missing, stand_ins = difference(LOGGED, read.points)
    kept = [
        MetricPoint(line["metric"], line["value"], line["iteration"], line["axis"], line["time"])
        for line in read.adjusted
        if "metric" in line
    ]
    yield from (f"missing: {show(point)}" for point in difference(missing, kept)[0])
    invented = difference(LOGGED, kept)[1]
    yield from (f"kept as adjusted, and not logged so: {show(point)}" for point in invented)
    # What is shown in the place of a value must not be taken for a good one.
    places = Counter(map(_place, missing))
    for point in stand_ins:
        if point.value == 0 or not places[_place(point)]:
            yield f"was not logged: {show(point)}"
        places[_place(point)] -= 1
    shown = _without(read.points, stand_ins)
    for series, expected in _by_series(_without(LOGGED, missing)).items():
        actual = _by_series(shown).get(series, [])
        if difference(expected, actual) == ([], []) and not all(
            _place(one) == _place(other) for one, other in zip(expected, actual, strict=True)
        ):
            yield f"{series} is in the order {[_place(point) for point in actual]}"


def _place(point: MetricPoint) -> tuple[str, str, int]:
    return point.name, point.axis, point.iteration


def _without(points: Sequence[MetricPoint], others: Sequence[MetricPoint]) -> list[MetricPoint]:
    gone = list(others)
    left = []
    for point in points:
        if any(point is one for one in gone):
            continue
        left.append(point)
    return left


def _by_series(points: Sequence[MetricPoint]) -> dict[tuple[str, str], list[MetricPoint]]:
    found: dict[tuple[str, str], list[MetricPoint]] = {}
    for point in points:
        found.setdefault((point.name, point.axis), []).append(point)
    return found


def _artifacts(read: ReadBack) -> Iterator[str]:
    moved = {line["artifact"]: line["stored_as"] for line in read.adjusted if "stored_as" in line}
    left = dict(read.artifacts)
    for path, content in training.ARTIFACTS.items():
        actual = left.pop(moved.get(path, path), None)
        if actual is None and is_bookkeeping(path):  # such a reader may leave out
            continue
        if actual != content:
            yield f"artifact {path!r} is {actual!r:.80}, and was {content!r:.80}"
    yield from (f"artifact {path!r} was not logged" for path in left if not is_bookkeeping(path))
