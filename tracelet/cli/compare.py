"""``tracelet compare``: what differs between runs, and what they came to."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.cells import cell_len
from rich.text import Text

import tracelet
from tracelet.cli import find
from tracelet.cli.compare_page import Compared, write_page
from tracelet.cli.formatting import clean, many, number, value_text
from tracelet.cli.metrics import MetricSummary, summaries
from tracelet.cli.options import Directory, Json, Project
from tracelet.cli.output import add_row, columns, print_json, results, say, status_text
from tracelet.core.run import Run, runs_root
from tracelet.errors import InvalidValueError, RunNotFoundError
from tracelet.records import DEFAULT_AXIS
from tracelet.values.equality import same_value

_ABSENT: Any = object()
_WIDEST = 24
"""A longer text is wrapped."""


def compare(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Run ids, or directories.")
    ] = None,
    *,
    group: Annotated[
        str | None, typer.Option("--group", "-g", metavar="G", help="All runs of a group.")
    ] = None,
    project: Project = None,
    directory: Directory = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", metavar="M", help="Only this metric; can be repeated."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    as_json: Json = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with the curves (needs plotly)."),
    ] = None,
) -> None:
    """Compare runs: parameters that differ, and their metrics."""
    if as_csv and as_json:
        raise InvalidValueError("--csv and --json exclude each other")
    compared = _compared(_chosen(runs or [], group, project, directory), metric)
    if html is not None:
        write_page(html, compared)
        say(f"written: {html}")
    if as_json:
        print_json(_as_json(compared))
    elif as_csv:
        text = _as_csv(compared)
        if sys.stdout is not None and sys.stdout.isatty():
            text = "\n".join(map(clean, text.split("\n")))
        print(text, end="")
    elif html is None:
        _print(compared)


def _chosen(
    names: list[str], group: str | None, project: str | None, directory: Path | None
) -> list[Run]:
    """Return the runs to compare, each once.

    Those of a group are in the order of the sweep's configurations, or else the oldest first.
    """
    found = [find.one(name, directory, project) for name in names]
    if group is not None:
        views = find.views(directory, project)
        of_group = [run_dir for run_dir, view in reversed(views) if view.group == group]
        if not of_group:
            known = sorted({view.group for _, view in views if view.group is not None})
            raise RunNotFoundError(
                f"no runs of the group {group!r} in {runs_root(directory)}; "
                f"there are the groups {', '.join(map(repr, known)) or 'none'}"
            )
        found += sorted(
            [tracelet.load_run(run_dir.path) for run_dir in of_group], key=_place_in_sweep
        )
    if not found:
        raise InvalidValueError("compare takes runs, or a group: tracelet compare --group NAME")
    return list({run.dir: run for run in found}.values())


def _place_in_sweep(run: Run) -> int:
    place = run.tags.get("sweep.index", "")
    return int(place) if place.isdecimal() else -1


def _compared(runs: list[Run], wanted: list[str] | None) -> Compared:
    params = [run.params.flat() for run in runs]
    names = dict.fromkeys(name for one in params for name in one)
    by_name = [_by_name(run) for run in runs]
    metrics = list(dict.fromkeys(name for one in by_name for name in one))
    if wanted is not None:
        if missing := [name for name in wanted if name not in metrics]:
            known = ", ".join(map(repr, metrics)) or "none"
            raise InvalidValueError(f"no run has the metric {missing[0]!r}; there are {known}")
        metrics = wanted
    return Compared(runs, [name for name in names if _differs(name, params)], metrics, by_name)


def _by_name(run: Run) -> dict[str, MetricSummary]:
    """Return the summary of each metric; where it has several axes, on its main one."""
    found: dict[str, MetricSummary] = {}
    for one in summaries(run.metrics):
        if one.name not in found or one.axis == DEFAULT_AXIS:
            found[one.name] = one
    return found


def _differs(name: str, params: list[dict[str, Any]]) -> bool:
    values = [one.get(name, _ABSENT) for one in params]
    return not all(same_value(value, values[0]) for value in values)


def _print(compared: Compared) -> None:
    """Print a table; of more columns than fit, several below each other, each with the runs."""
    console = results()
    names = [run.name for run in compared.runs]
    if len(set(names)) < len(names):
        names = [run.run_id for run in compared.runs]
    names = [clean(name) for name in names]
    place = console.width - max(map(cell_len, ["run", *names])) - 4
    for number_of_table, fitting in enumerate(_in_tables(_columns(compared), place)):
        if number_of_table:
            console.print()
        titles = [column.title for column in fitting]
        right = [column.title for column in fitting if column.is_number]
        table = columns("run", *titles, right=right)
        table.columns[1].no_wrap = True
        for column, drawn in zip(fitting, table.columns[2:], strict=True):
            drawn.width = column.width
        for name, *cells in zip(names, *(column.cells for column in fitting), strict=True):
            add_row(table, "", name, *cells)
        console.print(table)
    if len(compared.runs) > 1:
        same = len({name for run in compared.runs for name in run.params}) - len(compared.differing)
        if same:
            console.print(Text(f"{many(same, 'parameter')} the same in all", style="dim"))


class _Column(msgspec.Struct):
    title: str
    cells: list[Text]
    is_number: bool = False

    @property
    def width(self) -> int:
        """What it takes: a long text or title is wrapped, a number never is."""
        longest = max(cell.cell_len for cell in self.cells)
        wanted = min(_WIDEST, max(longest, cell_len(self.title)))
        return max(longest, wanted) if self.is_number or self.title == "status" else wanted


def _columns(compared: Compared) -> list[_Column]:
    found = [_Column("status", [status_text(run.status) for run in compared.runs])]
    flat = [run.params.flat() for run in compared.runs]
    for name in compared.differing:
        cells = [value_text(one[name]) if name in one else "-" for one in flat]
        found.append(_Column(clean(name), list(map(Text, cells))))
    for name in compared.metrics:
        for what in ("last", "min", "max"):
            if what != "last" and not _adds(compared, name, what):
                continue
            values = [getattr(one.get(name), what, None) for one in compared.summaries]
            cells = ["-" if value is None else number(value) for value in values]
            title = clean(name if what == "last" else f"{name} {what}")
            found.append(_Column(title, list(map(Text, cells)), is_number=True))
    return found


def _in_tables(all_columns: list[_Column], place: int) -> list[list[_Column]]:
    """Share columns out among tables that are no wider than a place."""
    tables: list[list[_Column]] = [[]]
    left = place
    for column in all_columns:
        if tables[-1] and column.width + 2 > left:
            tables.append([])
            left = place
        tables[-1].append(column)
        left -= column.width + 2
    return tables


def _adds(compared: Compared, name: str, what: str) -> bool:
    """Whether the least or largest value of a metric is another than its last one in any run."""
    found = [one[name] for one in compared.summaries if name in one]
    return any(getattr(one, what) != one.last for one in found)


def _rows(compared: Compared) -> list[dict[str, Any]]:
    rows = []
    for run, found in zip(compared.runs, compared.summaries, strict=True):
        flat = run.params.flat()
        row: dict[str, Any] = {"run_id": run.run_id, "status": run.status}
        row |= {f"params.{name}": flat.get(name) for name in compared.differing}
        for name in compared.metrics:
            one = found.get(name)
            for what in ("last", "min", "max"):
                row[f"metrics.{name}.{what}"] = None if one is None else getattr(one, what)
        rows.append(row)
    return rows


def _as_csv(compared: Compared) -> str:
    rows = _rows(compared)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _as_json(compared: Compared) -> dict[str, Any]:
    return {
        "differing": compared.differing,
        "metrics": compared.metrics,
        "runs": [
            {
                "run_id": run.run_id,
                "name": run.name,
                "project": run.project,
                "dir": run.dir,
                "status": run.status,
                "params": {
                    name: value
                    for name, value in run.params.flat().items()
                    if name in compared.differing
                },
                "metrics": {
                    name: {"last": found[name].last, "min": found[name].min, "max": found[name].max}
                    for name in compared.metrics
                    if name in found
                },
            }
            for run, found in zip(compared.runs, compared.summaries, strict=True)
        ],
    }
