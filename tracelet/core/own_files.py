"""Finds where tracelet and the trackers keep runs, which is never part of an artifact.

``log_artifact(".")`` would else store the earlier runs in each new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tracelet.backends.registry import resolve
from tracelet.errors import TraceletError
from tracelet.journal.rundir import RunDir
from tracelet.records import RunInfo
from tracelet.settings import Settings


class OwnFiles:
    """The directories of runs and journals, and the local stores of the run's backends.

    Args:
        run: the run.
        settings: its settings.
    """

    def __init__(self, run: RunInfo, settings: Settings) -> None:
        self._inodes = frozenset(_inodes(_places(run, settings)))

    def __contains__(self, path: object) -> bool:
        """Whether a path is one of them, or the directory of any other run."""
        assert isinstance(path, Path)
        return not self._inodes.isdisjoint(_inodes([path])) or _is_run(path)


def _is_run(path: Path) -> bool:
    run = RunDir(path)
    return run.run_json.is_file() and run.cursors.is_dir()


def _places(run: RunInfo, settings: Settings) -> Iterator[Path]:
    yield Path(run.dir).parents[1]
    if settings.journal_dir is not None:
        yield Path(settings.journal_dir)
    for spec in settings.backend:
        try:
            found = resolve(spec)
            yield from found.create(settings.backends.get(found.name, {})).local_stores(run)
        except TraceletError:
            continue  # the start has warned of it, or another process logs to it


def _inodes(paths: Iterable[Path]) -> Iterator[tuple[int, int]]:
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - a link counts as what it leads to
        except (OSError, ValueError):
            continue  # it does not exist
        yield status.st_dev, status.st_ino
