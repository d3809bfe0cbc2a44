"""Delivers a run that is not the reader's own, and makes a run the reader's own if he says so.

Nothing that such a run says decides where it goes: the backends and their options are those of the
reader's settings. What the delivery writes, the cursors first, is in a directory of the reader's.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from tracelet.backends.registry import ResolvedBackend, resolve
from tracelet.destinations import slug
from tracelet.errors import ForeignRunError, InvalidValueError
from tracelet.journal.ownership import state_directory
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import ReaderChoice, RunDir
from tracelet.settings import CORE_BACKENDS, Settings


def borrow(run_dir: RunDir, settings: Settings, backend: str | None = None) -> RunDir:
    """Return a run that is not the reader's own as it is delivered for the reader.

    Args:
        run_dir: the run.
        settings: those of the reader.
        backend: a backend that the reader has asked for; None: the trackers of the settings.

    Raises:
        InvalidValueError: the settings have no tracker.
        ForeignRunError: the reader has no directory for what is written.
        TraceletError: a backend is unknown, or does not take its options.
    """
    chosen = _chosen(settings, backend)
    start = RunState.read(run_dir).start
    assert start is not None
    root = state_directory()
    if root is None:
        raise ForeignRunError(f"{run_dir.path} is a run {run_dir.whose}, and there is no directory "
                              "to keep in what is delivered: set XDG_STATE_HOME")  # fmt: skip
    place = os.path.realpath(run_dir.path)
    mark = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    name = f"{slug(start.run.run_id, 120)}-{mark}"
    borrowed = RunDir(run_dir.path, root / "others" / slug(start.run.project) / name)
    assert borrowed.reader_dir is not None
    borrowed.reader_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = borrowed.reader_choice
    entries = {entry["name"]: entry for entry in (before.backends if before is not None else ())}
    for found in chosen:
        found.check(settings.backends.get(found.name, {}))
        entries[found.name] = {"name": found.name, "target": found.target, "options": {}}
    borrowed.set_reader_choice(ReaderChoice(str(Path.cwd()), list(entries.values())))
    return borrowed


def _chosen(settings: Settings, backend: str | None) -> Sequence[ResolvedBackend]:
    specs = settings.backend if backend is None else (backend,)
    found = [one for one in map(resolve, specs) if one.name not in CORE_BACKENDS]
    if unfit := [one.name for one in found if one.needs_this_process]:
        raise InvalidValueError(f"the backend {unfit[0]!r} lives in the process of the training")
    if not found:
        raise InvalidValueError(
            "a run of others goes to the trackers of your settings, and these have none: "
            "give one with --backend, or in the setting 'backend'"
        )
    return found


def trust(run_dir: RunDir) -> None:
    """Make a run this user's own, because he says so.

    Raises:
        ForeignRunError: it belongs to another user, or links in it lead elsewhere.
        OSError: its directory cannot be written.
    """
    if run_dir.path.stat().st_uid != os.geteuid():
        raise ForeignRunError(
            f"{run_dir.path} is a run {run_dir.whose}: only a copy of it can be yours (cp -r)"
        )
    for name, status in run_dir.all_entries():
        is_plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        # A file that was logged without a copy is a link there, which nothing follows.
        if not is_plain and not (name.startswith("artifacts/") and stat.S_ISLNK(status.st_mode)):
            raise ForeignRunError(
                f"{run_dir.path / name} is a link, or no regular file: a run of your own has none. "
                "Look at it, and remove it"
            )
    run_dir.claim()
