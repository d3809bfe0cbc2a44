"""``tracelet du``, ``rm`` and ``prune``: how much runs take, and removing them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tracelet.cli import find
from tracelet.cli.formatting import clean, many, size
from tracelet.cli.options import Directory, Json, Project
from tracelet.cli.output import add_row, columns, print_json, results, say
from tracelet.core.keeping import Space, remove_contents, remove_run, space_of
from tracelet.courier.view import RunView
from tracelet.errors import InvalidValueError, TraceletError
from tracelet.journal.rundir import RunDir

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_STATUSES = ("running", "finished", "failed", "killed")

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it; without this it is only shown.")]
KeepJournal = Annotated[
    bool,
    typer.Option(
        "--keep-journal", help="Remove only the contents of artifacts and configurations."
    ),
]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="RUN", help="Run ids, directories or names.")
]


def du(
    names: Names = None, *, project: Project = None, directory: Directory = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show what runs take on the disk, the largest first."""
    found = _named(names, project, directory) or find.views(directory, project)
    spaces = [(run_dir, space_of(run_dir)) for run_dir, _ in found]
    spaces.sort(key=lambda pair: pair[1].total, reverse=True)
    if as_json:
        print_json([{"dir": run_dir.path, **_as_json(space)} for run_dir, space in spaces])
        return
    if not spaces:
        say(find.nothing(directory, project))
        return
    right = ["journal", "contents", "other", "all"]
    table = columns("run", *right, right=right)
    for run_dir, space in spaces:
        parts = (space.journal, space.contents, space.other, space.total)
        add_row(table, "", clean(run_dir.path.name), *map(size, parts))
    results().print(table)
    say(f"{many(len(spaces), 'run')}, {size(sum(space.total for _, space in spaces))}")


def rm(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Run ids, directories or names.")
    ],
    *,
    keep_journal: KeepJournal = False,
    yes: Yes = False,
    project: Project = None,
    directory: Directory = None,
) -> None:
    """Remove runs. Without --yes it is only shown; a run that goes on is refused."""
    _remove(_named(names, project, directory), keep_journal=keep_journal, yes=yes)


def prune(
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="That ended so long ago: 30d, 12h, 2w."),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(metavar="S", help="That have this status; can be given several times."),
    ] = None,
    delivered: Annotated[
        bool, typer.Option("--delivered", help="Of which every backend has everything.")
    ] = False,
    *,
    keep_journal: KeepJournal = False,
    yes: Yes = False,
    project: Project = None,
    directory: Directory = None,
) -> None:
    """Remove the runs that all of the conditions hold for. Without --yes they are only shown."""
    conditions: list[Callable[[RunView], bool]] = []
    if older_than is not None:
        latest = time.time() - _age(older_than)
        conditions.append(lambda view: (view.ended or view.started) < latest)
    for one in status or ():
        if one not in _STATUSES[1:]:
            raise InvalidValueError(f"--status is one of {', '.join(_STATUSES[1:])}: {one!r}")
    if status:
        conditions.append(lambda view: view.status in status)
    if delivered:
        conditions.append(_is_delivered)
    if not conditions:
        raise InvalidValueError(
            "prune needs a condition: --older-than 30d, --status failed or --delivered"
        )
    found = [
        (run_dir, view)
        for run_dir, view in find.views(directory, project)
        if view.status != "running" and all(holds(view) for holds in conditions)
    ]
    _remove(found, keep_journal=keep_journal, yes=yes)


def _remove(found: list[tuple[RunDir, RunView]], *, keep_journal: bool, yes: bool) -> None:
    """Remove runs, or show what would be; what cannot be removed is named, and the rest is."""
    freed, failed = 0, 0
    for run_dir, view in found:
        space = space_of(run_dir)
        count = space.contents if keep_journal else space.total
        try:
            if yes:
                (remove_contents if keep_journal else remove_run)(run_dir)
        except (TraceletError, OSError) as error:
            say(f"not removed: {error}")
            failed += 1
            continue
        freed += count
        results().print(f"{clean(run_dir.path.name)}  {view.status}  {size(count)}")
    what = "contents of " if keep_journal else ""
    verb = "removed" if yes else "would be removed, --yes does it"
    say(f"{what}{many(len(found) - failed, 'run')}, {size(freed)}: {verb}")
    if failed:
        raise typer.Exit(1)


def _named(
    names: list[str] | None, project: str | None, directory: Path | None
) -> list[tuple[RunDir, RunView]]:
    """Return the runs of these names, each once."""
    chosen = {find.one(name, directory, project).dir for name in names or ()}
    wanted = [pair for pair in find.views(directory, project) if pair[0].path in chosen]
    known = {run_dir.path for run_dir, _ in wanted}
    elsewhere = [RunDir(path) for path in sorted(chosen - known)]
    return [*wanted, *((run_dir, find.view(run_dir)) for run_dir in elsewhere)]


def _is_delivered(view: RunView) -> bool:
    report = view.report
    return (
        find.is_settled(view)
        and report is not None
        and not report.lost
        and not any(one.rejected for one in report.backends.values())
    )


def _age(text: str) -> float:
    match = _AGE.fullmatch(text)
    if match is None:
        raise InvalidValueError(f"--older-than is a number with s, m, h, d or w: 30d, not {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def _as_json(space: Space) -> dict[str, Any]:
    return {
        "journal": space.journal,
        "contents": space.contents,
        "other": space.other,
        "total": space.total,
    }
