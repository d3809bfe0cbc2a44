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
from tracelet.core.borrowing import borrow, trust
from tracelet.core.run import Run, files_of
from tracelet.core.run_directories import Unread
from tracelet.errors import InvalidValueError
from tracelet.journal.run_state import RunState
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
    trusted: Annotated[
        bool,
        typer.Option(
            "--trust", help="These runs are mine, though made elsewhere: deliver as they say."
        ),
    ] = False,
    timeout: Timeout = None,
    project: Project = None,
    directory: Directory = None,
    as_json: Json = False,
) -> None:
    """Deliver what is pending, and wait for it. The exit code is 1 if something still is.

    A run of another user, or one that was downloaded, is delivered if it is named, and only to the
    backends of your settings.
    """
    settings = resolve()
    if trusted and not names:
        raise InvalidValueError("--trust takes the runs that are yours:  tracelet sync --trust RUN")
    done: list[tuple[Run, Delivered]] = []
    unread = Unread()
    for found_run in [find.one(name, directory, project) for name in names or ()] or _all(
        directory, project, backend, unread
    ):
        run = _trusted(found_run) if trusted else as_reader(found_run, settings, backend)
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
    if left or unread.count:
        raise typer.Exit(1)


def as_reader(run: Run, settings: Settings, backend: str | None) -> Run:
    """Return a run to deliver: one that is not this user's own as it is delivered for him.

    Raises:
        TraceletError: it cannot be delivered.
    """
    run_dir = files_of(run)
    if run_dir.is_own or run_dir.reader_dir is not None:
        return run
    hint = f"; if it is yours:  tracelet sync --trust {run.dir}" if run_dir.is_of_user else ""
    say(
        f"{run.run_id} is a run {run_dir.whose}: it goes to the backends of your settings, and to "
        f"no address that it names{hint}"
    )
    return Run(borrow(run_dir, settings, backend))


def _trusted(run: Run) -> Run:
    """Make a run this user's own, and say where it goes."""
    if not files_of(run).is_own:
        trust(files_of(run))
        start = RunState.read(files_of(run)).start
        for entry in start.backends if start is not None else ():
            options = ", ".join(f"{key}={value}" for key, value in entry["options"].items())
            say(f"{run.run_id} goes to {entry['target']} ({options or 'no options'}), as it says")
    return Run(RunDir(run.dir))


def deliver_and_print(
    run: Run, settings: Settings, backend: str | None, timeout: float | None, *, as_json: bool
) -> Delivered:
    """Deliver what is pending of a run; print its report, unless all is printed as JSON later."""
    found = deliver(run, settings, only=backend, timeout=timeout, say=say)
    if found.outcome == "busy":
        who = who_delivers(files_of(run), found.report)
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


def _all(directory: Any, project: str | None, backend: str | None, unread: Unread) -> list[Run]:
    """Return the own runs of which a backend lacks something, the oldest first."""
    pending, others = [], 0
    for run_dir, view in reversed(find.views(directory, project, unread)):
        if not run_dir.is_own:
            others += 1
            continue
        if find.is_settled(view):
            continue
        with unread.skipping(run_dir):
            run = tracelet.load_run(run_dir.path)
            if any(lacking(run, backend)):
                pending.append(run)
    if others:
        say(f"{many(others, 'run')} not made by you here: left alone; to deliver one, name it")
    return pending
