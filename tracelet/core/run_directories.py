"""Finds the directories of runs, chooses one for a start, and makes a new one."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from tracelet.core.run_name import run_name
from tracelet.courier.reconcile import reconcile, view_of
from tracelet.courier.view import RunView
from tracelet.destinations import slug
from tracelet.errors import (
    InvalidValueError,
    JournalError,
    RunNotFoundError,
    TraceletError,
    ValueTypeError,
)
from tracelet.journal.rundir import RunDir, find_runs, new_run_id
from tracelet.records import RunInfo
from tracelet.settings import Settings

log = logging.getLogger(__name__)


class Unread:
    """What cannot be read below the directory of the runs; each is named in the log.

    Attributes:
        count: how many runs, and directories of projects.
    """

    def __init__(self) -> None:
        self.count = 0

    def note(self, error: Exception) -> None:
        """Log and count what cannot be read."""
        self.count += 1
        log.error("left out: %s", error)

    @contextlib.contextmanager
    def skipping(self, run_dir: RunDir) -> Iterator[None]:
        """Note that a run cannot be read, in a block that reads this run; do not raise."""
        existed = run_dir.run_json.exists()
        try:
            yield
        except (OSError, TraceletError) as error:
            # Else the run is being made, or was deleted meanwhile.
            if existed and (run_dir.run_json.exists() or isinstance(error, PermissionError)):
                self.note(error)


def views(root: Path, unread: Unread | None = None) -> list[tuple[RunDir, RunView]]:
    """Return the runs below ``root`` and their views, newest first.

    Args:
        root: the directory of the runs.
        unread: counts what cannot be read, and is left out.

    Raises:
        OSError: ``root`` cannot be read.
    """
    unread = unread or Unread()
    found = []
    for run_dir in find_runs(root, unread.note):
        with unread.skipping(run_dir):
            found.append((run_dir, view_of(run_dir)))
    return sorted(found, key=lambda pair: pair[1].started, reverse=True)


def check_ids(resume: object, run_id: object) -> None:
    """Check the arguments ``resume`` and ``run_id`` of a start.

    Raises:
        ValueTypeError: ``resume`` or ``run_id`` has the wrong type.
        InvalidValueError: an id cannot be the name of a directory, or both are given.
    """
    resume_message = f"resume is a run id, or True for the latest run, not {resume!r}"
    if not isinstance(resume, str | bool | None):
        raise ValueTypeError(resume_message)
    if not isinstance(run_id, str | None):
        raise ValueTypeError(f"run_id must be a str, not {run_id!r}")
    if isinstance(resume, str) and slug(resume) != resume:
        raise InvalidValueError(resume_message)
    if run_id is not None and slug(run_id) != run_id:
        raise InvalidValueError(
            f"run_id is the name of a directory, such as {slug(run_id)!r}, not {run_id!r}"
        )
    if isinstance(resume, str) and run_id not in (None, resume):
        raise InvalidValueError(
            f"resume={resume!r} goes on with a run, and run_id={run_id!r} begins one: give one"
        )


def choose_directory(
    settings: Settings, run: RunInfo | None, *, resume: str | bool | None, run_id: str | None
) -> tuple[RunDir, bool]:
    """Return the directory of a run, and whether the run exists and is resumed.

    Args:
        settings: name, project and ``dir``.
        run: the run of an experiment that was stopped, and is started again.
        resume: a run id, or True for the run called ``run_id``, if it is there; without that, for
            the latest run of the name that has not finished.
        run_id: the id of the run; None: an id is made up.

    Raises:
        RunNotFoundError: the run to resume does not exist.
        ValueTypeError: ``resume`` or ``run_id`` has the wrong type.
        InvalidValueError: an id is not valid, or a run has it already.
        JournalError: the directory cannot be read.
    """
    check_ids(resume, run_id)
    with _naming_settings(settings):
        return _choose(settings, run, resume, run_id)


def _choose(
    settings: Settings, run: RunInfo | None, resume: str | bool | None, run_id: str | None
) -> tuple[RunDir, bool]:
    project = settings.dir / slug(settings.project)
    if run is not None or isinstance(resume, str):
        run_dir = RunDir(Path(run.dir) if run is not None else project / str(resume))
        if not run_dir.exists:
            raise _absent(run_dir, settings)
        run_dir.check_own("it is not resumed")
        return run_dir, True
    if resume is True and run_id is None:
        unfinished = _latest_unfinished(settings, project)
        if unfinished is not None:
            return unfinished, True
    run_dir = RunDir(project / (run_id or new_run_id(run_name(settings))))
    if run_dir.exists and resume is not True:
        raise _taken(run_dir)
    if run_dir.exists:
        run_dir.check_own("it is not resumed")
    return run_dir, run_dir.exists


def _latest_unfinished(settings: Settings, project: Path) -> RunDir | None:
    """Return the latest run of a name that has not finished; say in one line if there is none."""
    name = run_name(settings)
    finished = None
    for run_dir, view in views(settings.dir):
        if run_dir.path.parent == project and view.name == name and run_dir.is_own:
            # A process that is gone may not have written how the run ended.
            if (
                reconcile(run_dir).status if view.status == "running" else view.status
            ) != "finished":
                return run_dir
            finished = finished or view.run_id
    if finished is not None:
        log.warning(
            "every run called %r has finished, so a new one begins; resume=%r goes on with the "
            "latest of them", name, finished,
        )  # fmt: skip
    else:
        log.warning("there is no run called %r to resume in %s, so one begins", name, project)
    return None


def _absent(run_dir: RunDir, settings: Settings) -> RunNotFoundError:
    """Return the error, with the run of the most similar id, in any project."""
    import difflib  # start-up time: only a mistake needs it

    known = {one.path.name: one.path.parent.name for one in find_runs(settings.dir)}
    near = difflib.get_close_matches(run_dir.path.name, known, n=1)
    hint = f"; did you mean {near[0]!r} of the project {known[near[0]]!r}?" if near else ""
    run_id, project = run_dir.path.name, run_dir.path.parent
    return RunNotFoundError(f"there is no run {run_id!r} in {project}{hint}")


@contextlib.contextmanager
def new_directory(
    settings: Settings, run_dir: RunDir, *, exists: bool, may_rename: bool
) -> Iterator[RunDir]:
    """Make the directories of a run; remove those of a new run if the block raises.

    Args:
        settings: ``name`` and ``journal_dir``.
        run_dir: the directory.
        exists: whether the run is resumed.
        may_rename: whether a new run gets another id if another process has taken the id.

    Raises:
        InvalidValueError: another process has begun a run with this id.
        JournalError: a directory cannot be made.
    """
    if not exists:
        with _naming_settings(settings):
            run_dir = _claim(run_dir, run_name(settings), may_rename=may_rename)
    with contextlib.ExitStack() as on_error:
        if not exists:
            on_error.callback(_remove_new, run_dir)
        with _naming_settings(settings):
            run_dir.create(settings.journal_dir)
        yield run_dir
        on_error.pop_all()


def _remove_new(run_dir: RunDir) -> None:
    """Remove a run that has not begun; its journal may be on another disk."""
    with contextlib.suppress(OSError):
        elsewhere = run_dir.journal_elsewhere
        if elsewhere is not None and run_dir.is_own:
            for name in run_dir.journal.names():
                if name.endswith(".jsonl"):
                    (run_dir.journal / name).unlink()
            elsewhere.rmdir()
    shutil.rmtree(run_dir.path, ignore_errors=True)


@contextlib.contextmanager
def _naming_settings(settings: Settings) -> Iterator[None]:
    """Replace an error of the system by one of tracelet that names the settings.

    Raises:
        JournalError: a directory cannot be read or made.
        InvalidValueError: a path is not valid.
    """
    where = f"dir={str(settings.dir)!r}"
    if settings.journal_dir is not None:
        where += f", journal_dir={str(settings.journal_dir)!r}"
    try:
        yield
    except TraceletError:
        raise
    except OSError as error:
        raise JournalError(f"no run can be kept in {where}: {error}") from error
    except ValueError as error:  # a null character
        raise InvalidValueError(f"no run can be kept in {where}: {error}") from error


def _claim(run_dir: RunDir, name: str, *, may_rename: bool) -> RunDir:
    """Make the directory of a new run, which no other process has; return it.

    Args:
        run_dir: the directory.
        name: the run's name.
        may_rename: whether the run gets another id if another process has taken the id.

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
                return run_dir  # the user has made it, or a failed start has left it
            raise _taken(run_dir) from None
        return run_dir


def _taken(run_dir: RunDir) -> InvalidValueError:
    run_id = run_dir.path.name
    return InvalidValueError(f"the run {run_id!r} exists; resume={run_id!r} goes on with it")
