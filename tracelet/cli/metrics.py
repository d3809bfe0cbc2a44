"""A metric in one line: its last, smallest and largest value, and its course."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from rich.cells import cell_len
from rich.table import Table

from tracelet.backends.base import nearest_float
from tracelet.cli.formatting import clean, number
from tracelet.cli.output import add_row, columns
from tracelet.cli.sparkline import ASCII, BLOCKS, sparkline
from tracelet.records import DEFAULT_AXIS, MetricPoint, MetricValue

_WIDTH = 16


class MetricSummary(msgspec.Struct, frozen=True):
    """One metric on one axis.

    Attributes:
        name: the metric's name.
        axis: the axis.
        count: how many points it has.
        iteration: where the last point is.
        last: its value.
        min, max: the extremes, without NaN; None if there is nothing but NaN.
        course: all values, as floats.
    """

    name: str
    axis: str
    count: int
    iteration: int
    last: MetricValue
    min: MetricValue | None
    max: MetricValue | None
    course: list[float]


def summaries(metrics: Mapping[str, list[MetricPoint]]) -> list[MetricSummary]:
    """Return a summary of each metric on each of its axes, by name."""
    found = []
    for name in sorted(metrics):
        axes: dict[str, list[MetricPoint]] = {}
        for point in metrics[name]:
            axes.setdefault(point.axis, []).append(point)
        found += [_summary(name, axis, points) for axis, points in axes.items()]
    return found


def _summary(name: str, axis: str, points: list[MetricPoint]) -> MetricSummary:
    numbers = [point.value for point in points if point.value == point.value]
    return MetricSummary(
        name,
        axis,
        len(points),
        points[-1].iteration,
        points[-1].value,
        min(numbers, default=None),
        max(numbers, default=None),
        [nearest_float(point.value) for point in points],
    )


def metrics_table(found: Iterable[MetricSummary], *, width: int, blocks: bool) -> Table:
    """Return the summaries as a table.

    Args:
        found: the summaries.
        width: how wide it may be; if it is short, extremes and iterations are rounded for it.
        blocks: whether the terminal can show block characters.
    """
    rows = list(found)
    cells = [_cells(one, short=False) for one in rows]
    if sum(max(map(cell_len, column)) + 2 for column in zip(*cells, strict=True)) + _WIDTH > width:
        cells = [_cells(one, short=True) for one in rows]
    titles = ("last", "min", "max", "at")
    table = columns("metric", *titles, "course", right=titles)
    table.columns[1].min_width = 10
    for column in table.columns[2:]:
        column.no_wrap, column.overflow = True, "ellipsis"
    for one, row in zip(rows, cells, strict=True):
        course = sparkline(one.course, _WIDTH, BLOCKS if blocks else ASCII)
        add_row(table, "", *row, course)
    return table


def _cells(one: MetricSummary, *, short: bool) -> list[str]:
    at = number(one.iteration, short=short)
    extremes = (
        "-" if value is None else number(value, short=short) for value in (one.min, one.max)
    )
    axis = "" if one.axis == DEFAULT_AXIS else f"{clean(one.axis)} "
    return [clean(one.name), number(one.last), *extremes, f"{axis}{at}"]
