"""``tracelet sync``: deliver what is pending, for runs whose processes no longer live, too."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

import tracelet
from tracelet.cli import find
from tracelet.cli.busy import who_delivers
from tracelet.cli.deliver import Delivered, deliver, lacking
from tracelet.cli.formatting import clean, many
from tracelet.cli.options import Directory, Json, Project, Timeout
from tracelet.cli.output import print_json, results, say
from tracelet.cli.report import print_report
from tracelet.core.run import Run
from tracelet.errors import InvalidValueError, RunNotFoundError
from tracelet.journal.rundir import RunDir
from tracelet.settings import Settings, resolve


def sync(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", help="Run ids, directories or names; none: all that need it."
        ),
    ] = None,
    *,
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", metavar="X", help="Only to this backend.")
    ] = None,
    timeout: Timeout = None,
    project: Project = None,
    directory: Directory = None,
    as_json: Json = False,
) -> None:
    """Deliver what is pending, and wait for it. The exit code is 1 if something still is."""
    settings = resolve()
    done: list[tuple[Run, Delivered]] = []
    for run in [find.one(name, directory, project) for name in names or ()] or _all(
        directory, project, backend
    ):
        if names and backend is not None and backend not in run.backends:
            raise InvalidValueError(
                f"{run.run_id} has no backend {backend!r}, but {', '.join(run.backends)}; this "
                f"adds it:  tracelet replay {run.run_id} --backend {backend}"
            )
        found = deliver_and_print(run, settings, backend, timeout, as_json=as_json)
        done.append((run, found))
    if as_json:
        print_json([as_builtins(run, found) for run, found in done])
    elif not done:
        say("nothing is pending")
    left = [run for run, found in done if is_pending(found, backend)]
    if left:
        say(f"{many(len(left), 'run')} not delivered yet")
        raise typer.Exit(1)


def deliver_and_print(
    run: Run, settings: Settings, backend: str | None, timeout: float | None, *, as_json: bool
) -> Delivered:
    """Deliver what is pending of a run; print its report, unless all is printed as JSON later."""
    found = deliver(run, settings, only=backend, timeout=timeout, say=say)
    if found.outcome == "busy":
        who = who_delivers(RunDir(run.dir), found.report)
        say(f"{run.run_id}: its courier is at work; left to it: {who}")
    if not as_json:
        console = results()
        console.print(Text(clean(run.run_id), style="bold"), soft_wrap=True)
        print_report(console, found.report)
    return found


def is_pending(found: Delivered, backend: str | None) -> bool:
    """Return whether a backend, or any, still lacks something."""
    return any(one.pending for name, one in found.report.items() if backend in (None, name))


def as_builtins(run: Run, found: Delivered) -> dict[str, Any]:
    """Return what became of a run, for ``--json``."""
    return {
        "run_id": run.run_id,
        "project": run.project,
        "dir": run.dir,
        "status": run.status,
        "outcome": found.outcome,
        "report": found.report,
    }


def _all(directory: Any, project: str | None, backend: str | None) -> list[Run]:
    """Return the runs of which a backend lacks something, the oldest first."""
    pending = []
    for run_dir, view in reversed(find.views(directory, project)):
        if find.is_settled(view):
            continue
        try:
            run = tracelet.load_run(run_dir.path)
        except RunNotFoundError:  # deleted meanwhile
            continue
        if any(lacking(run, backend)):
            pending.append(run)
    return pending
