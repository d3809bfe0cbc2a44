"""Which run a process has now, for its child processes: also for those that are older than the run.

Each process that has a run keeps a small file, in a folder of the user's below that for temporary
files. A child process looks for the files of its parent, of the parent of that, and so on. The file
has the identity of its process, so that one of a process that is gone counts for no other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tracelet.journal.files import replace_file
from tracelet.journal.process import ProcessId, is_alive, this_process

log = logging.getLogger(__name__)

_MOST_LOOKED_AT = 200
"""Files of other processes that are looked at, to remove those that a killed process has left."""
_swept: list[int] = []
"""This process, once it has removed such files."""


class _Current(msgspec.Struct):
    process: ProcessId
    run: str


def publish(run_dir: Path | None) -> None:
    """Have child processes find a run; None: this process has no run any more."""
    process = this_process()
    try:
        file = _file_of(process, make=run_dir is not None)
        if file is None:
            return
        if run_dir is None:
            file.unlink(missing_ok=True)
            return
        _sweep(file.parent)
        replace_file(file, msgspec.json.encode(_Current(process, str(run_dir))))
    except OSError as error:  # child processes have the variable still
        log.debug("child processes will not find a later run: %s", error)


def current_run(processes: Iterable[ProcessId]) -> Path | None:
    """Return the directory of the run that the first of several processes has which has one."""
    for process in processes:
        with contextlib.suppress(OSError, ValueError):
            file = _file_of(process, make=False)
            if file is None:
                return None
            found = msgspec.json.decode(file.read_bytes(), type=_Current)
            if found.process == process and is_alive(process) is True:
                return Path(found.run)
    return None


def _file_of(process: ProcessId, *, make: bool) -> Path | None:
    """Return the file of a process; None if there is no folder which only this user can write."""
    import hashlib  # start-up time, and the next one, too
    import tempfile

    folder = Path(tempfile.gettempdir(), f"tracelet-{os.geteuid()}")
    if make:
        folder.mkdir(mode=0o700, exist_ok=True)
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return None
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_own or found.st_mode & 0o022:
        return None
    # Processes of several containers can have one id, and one folder.
    digest = hashlib.sha256(process["token"].encode()).hexdigest()[:12]
    return folder / f"{process['pid']}-{digest}.json"


def _sweep(folder: Path) -> None:
    """Remove the files of processes that are gone, once a process."""
    if _swept == [os.getpid()]:
        return
    _swept[:] = [os.getpid()]
    for file in _some_files(folder):
        with contextlib.suppress(OSError, ValueError):
            if is_alive(msgspec.json.decode(file.read_bytes(), type=_Current).process) is False:
                file.unlink(missing_ok=True)


def _some_files(folder: Path) -> Iterator[Path]:
    for count, file in enumerate(folder.glob("*.json")):
        if count >= _MOST_LOOKED_AT:
            return
        yield file
