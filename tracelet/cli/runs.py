"""``tracelet runs``: what runs there are."""

from __future__ import annotations

import time
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import tracelet
from tracelet.cli import find
from tracelet.cli.options import Directory, Json, Project
from tracelet.cli.output import columns, heading, print_json, results, say, status_text
from tracelet.cli.words import clean, duration, many, when_short
from tracelet.courier.report import DeliveryReport
from tracelet.courier.view import RunView, read_view
from tracelet.journal.rundir import RunDir


def runs(
    project: Project = None,
    directory: Directory = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many, the newest first.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """List the runs there are, newest first."""
    found = find.views(directory, project)
    shown = [(run_dir.path, *_up_to_date(run_dir, view)) for run_dir, view in found[:limit]]
    if as_json:
        print_json([_as_json(path, view, report) for path, view, report in shown])
        return
    if not found:
        say(find.nothing(directory, project))
        return
    console, now = results(), time.time()
    newest: dict[str, int] = {}
    for index, (_, view, _) in enumerate(shown):
        newest.setdefault(view.project, index)
    # One table a project, the one with the newest run first; sorting keeps the order of the runs.
    ordered = sorted(shown, key=lambda row: newest[row[1].project])
    for name, rows in groupby(ordered, key=lambda row: row[1].project):
        console.print(heading(clean(name)))
        table = columns("run", "status", "started", "took", "delivery", right=["took"])
        table.columns[1].min_width = 20
        for path, view, report in rows:
            took = (view.ended or now) - view.started
            table.add_row(
                "",
                clean(path.name),
                status_text(view.status),
                when_short(view.started, now),
                duration(took),
                _delivery(view, report),
            )
        console.print(table)
    if len(found) > limit:
        say(f"and {many(len(found) - limit, 'older run')}; --limit {len(found)} shows all")


def _up_to_date(run_dir: RunDir, view: RunView) -> tuple[RunView, DeliveryReport]:
    """Look closer at a run only if something may have happened since its view was written."""
    if view.report is not None and find.is_settled(view):
        return view, view.report
    run = tracelet.load_run(run_dir.path)
    return read_view(run_dir), run.report


def _delivery(view: RunView, report: DeliveryReport) -> Text:
    text = Text()
    for name in view.backends:
        one = report.backends.get(name)
        text.append(", " if text else "")
        text.append(clean(name))
        if one is not None and one.pending:
            text.append(f" {one.pending:,} pending", style="yellow")
        if one is not None and one.rejected:
            text.append(f" {one.rejected:,} rejected", style="red")
    if report.lost:
        text.append(f", {report.lost:,} lost", style="red")
    return text


def _as_json(path: Path, view: RunView, report: DeliveryReport) -> dict[str, Any]:
    return {
        "run_id": view.run_id,
        "name": view.name,
        "project": view.project,
        "dir": path,
        "status": view.status,
        "reason": view.reason,
        "started": view.started,
        "ended": view.ended,
        "tags": view.tags,
        "report": report,
    }
