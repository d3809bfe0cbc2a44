"""Finding the runs there are: by directory, by id, or the latest of a project or a name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tracelet.core.artifacts import PathLike
from tracelet.core.run import Run
from tracelet.core.run_directories import skip_unreadable, views
from tracelet.errors import RunNotFoundError, ValueTypeError
from tracelet.journal.rundir import RunDir, find_runs, slug
from tracelet.settings import resolve
from tracelet.values.plain import describe


def load_run(
    run: PathLike | None = None,
    *,
    project: str | None = None,
    exp_name: str | None = None,
    dir: PathLike | None = None,  # noqa: A002 - the setting's name
) -> Run:
    """Read a run back.

    Args:
        run: its directory, or its run id.
        project: with ``exp_name`` or alone: the latest run of that project.
        exp_name: the latest run of that name.
        dir: where the runs are; None: the setting ``dir``.

    Raises:
        RunNotFoundError: there is no such run.
        ValueTypeError: ``run`` or ``dir`` is no path.
    """
    if run is not None:
        text = _path("load_run takes a directory or a run id", run)
        run_dir = RunDir(_absolute(text))
        if run_dir.exists:
            return Run(run_dir)
        matches = [one for one in find_runs(root(dir)) if one.path.name == text]
        if project is not None:
            matches = [one for one in matches if one.path.parent.name == slug(project)]
        if len(matches) == 1:
            return Run(matches[0])
        if matches:
            places = ", ".join(one.path.parent.name for one in matches)
            raise RunNotFoundError(f"the run {text!r} is in several projects: {places}")
        raise RunNotFoundError(f"no run {text!r}: neither a directory nor an id in {root(dir)}")
    for found in views(root(dir)):
        view = found[1]
        if (project is None or view.project == project) and (
            exp_name is None or view.name == exp_name
        ):
            return Run(found[0])
    asked = f"project={project!r}, exp_name={exp_name!r}"
    raise RunNotFoundError(f"no run with {asked} in {root(dir)}")


def runs(
    project: str | None = None,
    *,
    dir: PathLike | None = None,  # noqa: A002 - the setting's name
) -> list[Run]:
    """Return the runs there are, newest first.

    Args:
        project: only those of this project.
        dir: where the runs are; None: the setting ``dir``.
    """
    found = []
    for one, view in views(root(dir)):
        if project is None or view.project == project:
            with skip_unreadable(one):
                found.append(Run(one))
    return found


def root(dir: PathLike | None) -> Path:  # noqa: A002
    """Return where the runs are; None: the setting ``dir``."""
    return resolve().dir if dir is None else _absolute(_path("dir= is a directory", dir))


def _absolute(path: str) -> Path:
    """Return a path from the root; as it is if there is no such home, or no working directory."""
    with contextlib.suppress(RuntimeError, OSError):
        return Path(path).expanduser().absolute()
    return Path(path)


def _path(what: str, given: object) -> str:
    path = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(path, str):
        raise ValueTypeError(f"{what}, not {describe(given):.80}")
    return path
