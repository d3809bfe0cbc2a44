"""Finds the runs that a command is about."""

from __future__ import annotations

import difflib
from pathlib import Path

import tracelet
from tracelet.cli.output import say
from tracelet.core.run import Run
from tracelet.courier.reconcile import view_of
from tracelet.courier.view import RunView
from tracelet.errors import RunNotFoundError
from tracelet.journal.rundir import RunDir, find_runs
from tracelet.settings import resolve


def root(directory: Path | None) -> Path:
    """Return where the runs are."""
    return (resolve().dir if directory is None else directory).expanduser().absolute()


def views(directory: Path | None, project: str | None = None) -> list[tuple[RunDir, RunView]]:
    """Return the runs there are, newest first, as their ``run.json`` has them."""
    found = []
    for run_dir in find_runs(root(directory)):
        try:
            view = view_of(run_dir)
        except (OSError, RunNotFoundError):
            continue  # deleted meanwhile, or not a run of ours
        if project is None or view.project == project:
            found.append((run_dir, view))
    return sorted(found, key=lambda pair: pair[1].started, reverse=True)


def one(run: str | None, directory: Path | None, project: str | None = None) -> Run:
    """Return the run that was asked for.

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
        return tracelet.load_run(run, project=project, dir=root(directory))
    except RunNotFoundError as error:
        named = [run_dir for run_dir, view in views(directory, project) if view.name == run]
        if named:
            if len(named) > 1:
                say(f"{run}: the latest of {len(named)} runs of this name")
            return tracelet.load_run(named[0].path)
        known = [run_dir.path.name for run_dir, _ in views(directory, project)]
        near = difflib.get_close_matches(run, known, n=3)
        near = near or [name for name in known if run and run in name][:3]
        if not near or run in known:
            raise
        raise RunNotFoundError(f"{error}; did you mean {' or '.join(near)}?") from error


def is_settled(view: RunView) -> bool:
    """Return whether a run has ended and nothing of it is pending, so far as its view says."""
    if view.status == "running" or view.report is None:
        return False
    reports = view.report.backends
    return all(name in reports and not reports[name].pending for name in view.backends)


def nothing(directory: Path | None, project: str | None) -> str:
    """Say that there is no run."""
    of_project = f" of the project {project!r}" if project is not None else ""
    return f"no runs{of_project} in {root(directory)} yet; tracelet.start_logging() begins one"
