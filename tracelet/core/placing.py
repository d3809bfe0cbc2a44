"""Where a run goes: a directory of its own, or that of the run that goes on."""

from __future__ import annotations

from pathlib import Path

from tracelet.core.names import name_of
from tracelet.courier.reconcile import view_of
from tracelet.courier.view import RunView
from tracelet.errors import InvalidValueError, RunNotFoundError, ValueTypeError
from tracelet.journal.rundir import RunDir, find_runs, new_run_id, slug
from tracelet.records import RunInfo
from tracelet.settings import Settings


def views(root: Path) -> list[tuple[RunDir, RunView]]:
    """Return the runs below ``root`` with their views, newest first; what is no run is left out."""
    found = []
    for run_dir in find_runs(root):
        try:
            found.append((run_dir, view_of(run_dir)))
        except (OSError, RunNotFoundError):
            continue  # deleted meanwhile, or not a run of ours
    return sorted(found, key=lambda pair: pair[1].started, reverse=True)


def place(
    settings: Settings, run: RunInfo | None, *, resume: str | bool | None, run_id: str | None
) -> tuple[RunDir, bool]:
    """Return the directory of a run, and whether it is one that goes on.

    Args:
        settings: name, project and ``dir``.
        run: the run of an experiment that was stopped, and is started again.
        resume: a run id, or True for the latest run of the name.
        run_id: the id of a new run, or None to make one up.

    Raises:
        RunNotFoundError: there is no run to go on with.
        ValueTypeError: ``resume`` or ``run_id`` is none of these.
        InvalidValueError: the id is none, or is taken.
    """
    if not isinstance(resume, str | bool | None):
        raise ValueTypeError(f"resume is a run id, or True for the latest run, not {resume!r}")
    if not isinstance(run_id, str | None):
        raise ValueTypeError(f"run_id is a text, not {run_id!r}")
    project = settings.dir / slug(settings.project)
    if run is not None or (resume and resume is not True):
        run_dir = RunDir(Path(run.dir) if run is not None else project / str(resume))
        if not run_dir.run_json.exists():
            raise RunNotFoundError(f"resume={resume!r}: there is no such run in {project}")
        return run_dir, True
    if resume is True:
        for run_dir, view in views(settings.dir):
            if run_dir.path.parent == project and view.name == name_of(settings):
                return run_dir, True
    if run_id is not None and slug(run_id) != run_id:
        raise InvalidValueError(f"run_id is the name of a directory: {run_id!r}")
    run_dir = RunDir(project / (run_id or new_run_id(name_of(settings))))
    if run_dir.run_json.exists():
        raise _taken(run_dir)
    return run_dir, False


def claim(run_dir: RunDir, name: str, *, may_rename: bool) -> RunDir:
    """Make the directory of a new run such that no other process has it; return it.

    Args:
        run_dir: the directory.
        name: the run's name.
        may_rename: take another id if that is taken, as it was made up.

    Raises:
        InvalidValueError: another process has begun a run with this id.
    """
    run_dir.path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            run_dir.path.mkdir()
        except FileExistsError:
            if may_rename:
                run_dir = RunDir(run_dir.path.with_name(new_run_id(name)))
                continue
            if run_dir.path.is_dir() and not any(run_dir.path.iterdir()):
                return run_dir  # made for us, or left by a start that failed
            raise _taken(run_dir) from None
        return run_dir


def _taken(run_dir: RunDir) -> InvalidValueError:
    run_id = run_dir.path.name
    return InvalidValueError(f"the run {run_id!r} exists; resume={run_id!r} goes on with it")
