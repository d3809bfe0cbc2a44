"""``tracelet show``: everything about one run, on one page."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracelet.cli import find
from tracelet.cli.formatting import clean, cut, duration, size, value_text, when
from tracelet.cli.metrics import metrics_table, summaries
from tracelet.cli.options import Directory, Json, OptionalRun, Project
from tracelet.cli.output import add_row, columns, heading, pairs, print_json, results, status_text
from tracelet.cli.report import print_report
from tracelet.core.run import Run

LONGEST = 200
"""Characters of a value that are shown."""


def show(
    run: OptionalRun = None,
    project: Project = None,
    directory: Directory = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Show long values whole; they are cut otherwise.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a run, and what each backend has of it."""
    found = find.one(run, directory, project)
    if as_json:
        print_json(_as_json(found))
        return
    console, longest = results(), sys.maxsize if full else LONGEST
    title = (Text(clean(found.run_id), style="bold"), status_text(found.status))
    console.print(*title, soft_wrap=True)  # an id is copied whole
    _print_facts(console, found, longest)
    if found.params:
        _part(console, "Parameters", _params(found, longest))
    if found.metrics:
        blocks = console.encoding.startswith("utf")
        table = metrics_table(summaries(found.metrics), width=console.width, blocks=blocks)
        _part(console, "Metrics", table)
    if found.artifacts:
        _part(console, "Artifacts", _artifacts(found))
    if found.configurations:
        _part(console, "Configurations", pairs(_named(found.configurations, longest)))
    if found.properties:
        values = {name: one.value for name, one in found.properties.items()}
        _part(console, "Properties", pairs(_named(values, longest)))
    console.print()
    console.print(heading("Delivery"))
    print_report(console, found.report)


def _part(console: Console, title: str, table: Table) -> None:
    console.print()
    console.print(heading(title))
    console.print(table)


def _print_facts(console: Console, run: Run, longest: int) -> None:
    took = duration((run.ended or time.time()) - run.started)
    rows = {"reason": run.reason or "", "project": run.project}
    if run.name and not run.run_id.startswith(run.name):
        rows["name"] = run.name
    rows["started"] = f"{when(run.started)}, {'so far' if run.ended is None else 'took'} {took}"
    rows["tags"] = ", ".join(f"{name}={cut(value, longest)}" for name, value in run.tags.items())
    rows["command"] = cut(shlex.join(run.facts.get("argv", [])), 10 * longest)
    rows["host"] = ", ".join(
        str(run.facts[key]) for key in ("host", "python") if key in run.facts
    ).replace(", ", ", Python ", 1)
    rows["directory"] = str(run.dir)
    for name, text in rows.items():
        if text:
            # Not wrapped here: a path or a command is copied whole.
            line = Text("  ").append(f"{name:9}  ", style="dim").append(clean(text))
            console.print(line, soft_wrap=True)


def _params(run: Run, longest: int) -> Table:
    """Return the parameters by section: what is in none first, each under its dotted key."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for width in (0, None, None):
        table.add_column(width=width, overflow="fold")
    sections: dict[str, dict[str, Any]] = {"": {}}
    for key, value in run.params.items():
        section, slash, name = key.rpartition("/")
        sections.setdefault(section + slash, {})[name] = value
    for section, values in sections.items():
        if section:
            add_row(table, "", Text(clean(section), style="bold dim"), "")
        for name, text in _named(values, longest):
            add_row(table, "", Text("  " if section else "").append(name, style="dim"), text)
    return table


def _named(values: Any, longest: int) -> Iterator[tuple[str, Text]]:
    for name, value in values.items():
        text = str(value) if isinstance(value, Path) else value_text(value)
        yield cut(clean(name), longest), Text(cut(text, longest))


def _artifacts(run: Run) -> Table:
    table = columns("", "", right=[])
    for path, bytes_or_none in _sizes(run).items():
        missing = Text("not there any more", style="red")
        add_row(table, "", clean(path), missing if bytes_or_none is None else size(bytes_or_none))
    return table


def _sizes(run: Run) -> dict[str, int | None]:
    contents = {path: run.artifacts.path(path) for path in sorted(run.artifacts)}
    return {
        path: content.stat().st_size if content.exists() else None
        for path, content in contents.items()
    }


def _as_json(run: Run) -> dict[str, Any]:
    sizes = _sizes(run)
    return {
        "run_id": run.run_id,
        "name": run.name,
        "project": run.project,
        "dir": run.dir,
        "status": run.status,
        "reason": run.reason,
        "started": run.started,
        "ended": run.ended,
        "tags": dict(run.tags),
        "params": run.params.flat(),
        "metrics": [
            {key: value for key, value in msgspec.structs.asdict(one).items() if key != "course"}
            for one in summaries(run.metrics)
        ],
        "artifacts": [
            {"path": path, "size": sizes[path], "content": run.artifacts.path(path)}
            for path in sorted(run.artifacts)
        ],
        "configurations": dict(run.configurations),
        "properties": dict(run.properties),
        "links": run.links,
        "facts": dict(run.facts),
        "report": run.report,
    }
