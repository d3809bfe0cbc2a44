"""``tracelet runs``: what runs there are."""

from __future__ import annotations

import time
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

import tracelet
from tracelet.cli import find
from tracelet.cli.formatting import clean, duration, many, when_short
from tracelet.cli.options import Directory, Json, Project
from tracelet.cli.output import heading, print_json, results, say, status_text
from tracelet.core.run_directories import Unread
from tracelet.courier.report import DeliveryReport
from tracelet.courier.view import RunView
from tracelet.journal.rundir import RunDir

_Row = tuple[Path, RunView, DeliveryReport]


def runs(
    project: Project = None,
    directory: Directory = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many, the newest first.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """List the runs there are, newest first. The exit code is 1 if one cannot be read."""
    unread = Unread()
    found = find.views(directory, project, unread)
    listed: list[_Row] = []
    for run_dir, view in found[:limit]:
        with unread.skipping(run_dir):
            listed.append((run_dir.path, *_up_to_date(run_dir, view)))
    if as_json:
        print_json([_as_json(path, view, report) for path, view, report in listed])
        _end(unread)
        return
    if not found:
        if not unread.count:
            say(find.nothing(directory, project))
        _end(unread)
        return
    console, now = results(), time.time()
    newest: dict[str, int] = {}
    for index, (_, view, _) in enumerate(listed):
        newest.setdefault(view.project, index)
    # One table a project, the one with the newest run first; sorting keeps the order of the runs.
    ordered = sorted(listed, key=lambda row: newest[row[1].project])
    for name, rows in groupby(ordered, key=lambda row: row[1].project):
        console.print(heading(clean(name)))
        _print_runs(console, list(rows), now)
    if len(found) > limit:
        say(f"and {many(len(found) - limit, 'older run')}; --limit {len(found)} shows all")
    _end(unread)


def _end(unread: Unread) -> None:
    if unread.count:
        raise typer.Exit(1)


def _print_runs(console: Console, rows: list[_Row], now: float) -> None:
    """Print the runs of a project, a line each, in which an id is whole and can be copied.

    On a terminal that is too narrow for an id and the rest, the id has a line of its own.
    """
    lines = [(Text("run"), Text("status"), Text("started"), Text("took"), Text("delivery"))]
    for path, view, report in rows:
        lines.append(
            (
                Text(clean(path.name)),
                status_text(view.status),
                Text(when_short(view.started, now)),
                Text(duration((view.ended or now) - view.started)),
                _delivery(view, report),
            )
        )
    widths = [max(cell_len(line[column].plain) for line in lines) for column in range(5)]
    if console.is_terminal:
        widths[0] = min(widths[0], max(3, console.width - sum(widths[1:]) - 10))
    for line, style in zip(lines, ("dim", *[""] * len(rows)), strict=True):
        printed = Text("  ", style)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True)):
            pad = " " * (width - cell_len(cell.plain))
            if column == 0 and cell_len(cell.plain) > width:
                printed.append(cell).append("\n  ").append(" " * width)
            elif column == 3:
                printed.append(pad).append(cell)
            else:
                printed.append(cell).append(pad)
            printed.append("  ")
        printed.rstrip()
        console.print(printed, soft_wrap=True)


def _up_to_date(run_dir: RunDir, view: RunView) -> tuple[RunView, DeliveryReport]:
    """Look closer at a run only if something may have happened since its view was written."""
    if view.report is not None and find.is_settled(view):
        damaged = run_dir.seals.damage(contents=False) or view.report.damaged
        return view, msgspec.structs.replace(view.report, damaged=damaged)
    run = tracelet.load_run(run_dir.path)
    # On a disk that nobody can write to, run.json is not up to date.
    known = {"status": run.status, "reason": run.reason, "ended": run.ended}
    return msgspec.structs.replace(view, tags=dict(run.tags), **known), run.report


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
    if report.damaged:
        text.append(f", damaged: {clean(report.damaged[0])}", style="red")
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
