"""Finds the runs that a command is about."""

from __future__ import annotations

import difflib
import shlex
from pathlib import Path

import tracelet
from tracelet.cli.output import say
from tracelet.core import run_directories
from tracelet.core.run import Run, runs_root
from tracelet.courier.reconcile import view_of
from tracelet.courier.view import RunView
from tracelet.errors import RunNotFoundError, nearest
from tracelet.journal.rundir import RunDir


def views(
    directory: Path | None,
    project: str | None = None,
    unread: run_directories.Unread | None = None,
) -> list[tuple[RunDir, RunView]]:
    """Return the runs there are, newest first, as their ``run.json`` has them."""
    found = run_directories.views(runs_root(directory), unread)
    return [pair for pair in found if project is None or pair[1].project == project]


def one(run: str | None, directory: Path | None, project: str | None = None) -> Run:
    """Return the run of a name.

    Args:
        run: a run id, a directory, or a run's name, of which the latest counts; None: the latest.
        directory: where the runs are.
        project: the project of the run.

    Raises:
        RunNotFoundError: there is none; the message has the nearest ids.
    """
    if run is None:
        found = views(directory, project)
        if not found:
            raise RunNotFoundError(nothing(directory, project))
        return tracelet.load_run(found[0][0].path)
    try:
        return tracelet.load_run(run, project=project, dir=runs_root(directory))
    except RunNotFoundError as error:
        found = views(directory, project)
        ids = [run_dir.path.name for run_dir, _ in found]
        named = [run_dir for run_dir, view in found if view.name == run]
        if named and run not in ids:  # else it is the id of several
            if len(named) > 1:
                say(f"{run}: the latest of {len(named)} runs of this name")
            return tracelet.load_run(named[0].path)
        known = list(dict.fromkeys([*(view.name for _, view in found), *ids]))
        near = difflib.get_close_matches(run, known, n=3)
        near = near or [name for name in known if run and run in name][:3]
        if not near or run in ids:
            raise
        meant = " or ".join(map(shlex.quote, near))
        raise RunNotFoundError(f"{error}; did you mean {meant}?") from error


def view(run_dir: RunDir) -> RunView:
    """Return a run as its ``run.json`` has it."""
    return view_of(run_dir)


def is_settled(view: RunView) -> bool:
    """Return whether a run has ended and all its backends know all of it, as its view says."""
    if view.status == "running" or view.report is None:
        return False
    reports = view.report.backends
    return all(
        name in reports and not reports[name].pending and reports[name].closed == view.status
        for name in view.backends
    )


def nothing(directory: Path | None, project: str | None) -> str:
    """Say that there is no run."""
    of_project = f" of the project {project!r}" if project is not None else ""
    message = f"no runs{of_project} in {runs_root(directory)}"
    known = {view.project for _, view in views(directory)}
    if project is not None and known:
        return message + nearest(project, known)
    return f"{message} yet; tracelet.start_logging() begins one"
