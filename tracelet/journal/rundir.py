"""The directory of a run: the names of its files. No other module has these names."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tracelet.destinations import slug
from tracelet.errors import ForeignRunError
from tracelet.inner_path import InnerPath
from tracelet.journal import ownership
from tracelet.journal.blobs import BlobStore
from tracelet.journal.files import FileLock
from tracelet.journal.reader import CHUNK_BYTES, JournalReader
from tracelet.journal.seals import Seals
from tracelet.journal.writer import SEGMENT_BYTES, JournalWriter

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_LOCK_SECONDS = 1.0
ABOUT = "tracelet"
"""The folder of files about a run itself, in its directory and in every tracker."""


class ReaderChoice(msgspec.Struct):
    """How somebody delivers a run that is not his own: the content of ``reader.json``.

    Attributes:
        cwd: the working directory of the reader, which relative options are relative to.
        backends: ``{"name", "target", "options"}`` of each backend, from the reader's settings.
    """

    cwd: str
    backends: list[dict[str, Any]] = []


class RunDir:
    """The directory of one run.

    All its files are reached through :class:`InnerPath`: a link in it leads nowhere. A run that
    this user has not made is data. It is read, and never written. It is delivered from a directory
    of the reader's own, which then has everything that a delivery writes.

    - ``run.json``: a summary of the run, for people.
    - ``journal/``: everything that was logged.
    - ``blobs/``: contents by their hash.
    - ``cursors/``: how far each backend has come in the journal.
    - ``seals.json``: what the journal and the blobs had in them at the end of the run.
    - ``rejected/``: a dead-letter file for each backend, with the records that it has rejected.
    - ``scratch/``: files that a backend writes during the delivery.
    - ``exit/``: the exit codes of processes.
    - ``membership``: whether the processes that have joined the run may still add to it.
    - ``retry.request``: touched to have the courier try again at once.
    - ``courier.log``: the output of the courier and the SDKs.
    - ``console.log``: the output of the program.
    - ``tracelet/``: files about the run itself.
    - ``owner.mark``: see :mod:`tracelet.journal.ownership`.

    Args:
        path: the directory; it may be a link.
        reader_dir: a directory of the reader's own, to deliver a run that is not his own; it has
            ``reader.json`` and all that is written.
    """

    def __init__(self, path: Path, reader_dir: Path | None = None) -> None:
        self.path = path
        self.reader_dir = reader_dir
        self._inside = inside = InnerPath(path)
        written = inside if reader_dir is None else InnerPath(reader_dir)
        self.run_json = written / "run.json"
        self.blobs = BlobStore(inside / "blobs")
        self.cursors = written / "cursors"
        self.rejected = written / "rejected"
        self.scratch = written / "scratch"
        self.exit = inside / "exit"
        self.membership = inside / "membership"
        self._retry_request = written / "retry.request"
        self._courier_lock = written / "courier.lock"
        self.courier_log = written / "courier.log"
        self.console = inside / "console.log"
        self.console_reader = inside / "console.reader"
        self.about = inside / ABOUT
        self._journal = inside / "journal"
        self._journal_link = inside / "journal.path"
        self._reader_file = written / "reader.json"
        self._is_own = False

    @property
    def is_own(self) -> bool:
        """Whether this user has made the run on this machine, or has said that it is his own."""
        self._is_own = self._is_own or ownership.is_own(self._inside)
        return self._is_own

    @property
    def is_written(self) -> bool:
        """Whether this process may write what a delivery writes."""
        return self.reader_dir is not None or self.is_own

    @property
    def is_of_user(self) -> bool:
        """Whether the directory belongs to the user of this process."""
        try:
            return self.path.stat().st_uid == os.geteuid()
        except OSError:
            return False

    @property
    def whose(self) -> str:
        """Whose run it is that is not this user's own, for a message."""
        return ownership.owner_of(self.path)

    def claim(self) -> None:
        """Mark the run as this user's own.

        Raises:
            OSError: the mark cannot be written.
        """
        ownership.claim(self._inside)

    def check_own(self, what: str) -> None:
        """Raise ForeignRunError unless the run is this user's own; ``what`` is what it prevents."""
        if not self.is_own:
            raise ForeignRunError(
                f"{what}: {self.path} is a run {self.whose}. If it is yours, this says so:  "
                f"tracelet sync --trust {self.path}"
            )

    def all_entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the path, relative to the run, and the status of everything in the directory."""
        for folder, folders, names, fd in os.fwalk(self.path):
            for name in [*folders, *names]:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                yield str(Path(folder, name).relative_to(self.path)), status

    @property
    def reader_choice(self) -> ReaderChoice | None:
        """What the reader of a run that is not his own has chosen; None for an own run."""
        if self.reader_dir is None:
            return None
        try:
            return msgspec.json.decode(self._reader_file.read_bytes(), type=ReaderChoice)
        except (OSError, ValueError):
            return ReaderChoice(str(self.reader_dir))

    def set_reader_choice(self, choice: ReaderChoice) -> None:
        """Write ``reader.json`` and make the directories of the delivery."""
        self.cursors.parent.mkdir()
        self.cursors.mkdir()
        self._reader_file.replace(msgspec.json.encode(choice))

    @property
    def journal(self) -> InnerPath:
        """The directory of the segments: ``journal/``, or one below the setting ``journal_dir``.

        Only in a run of one's own can it be outside of the run's directory.
        """
        elsewhere = self.journal_elsewhere
        if elsewhere is None or not self.is_own:
            return self._journal
        return InnerPath(elsewhere)

    @property
    def journal_elsewhere(self) -> Path | None:
        """The directory outside of the run that it names for its journal, if it names one."""
        try:
            return Path(self._journal_link.read_bytes().decode().strip())
        except (OSError, UnicodeDecodeError):
            return None

    @property
    def exists(self) -> bool:
        """Whether the directory holds a run; ``run.json`` may have been deleted."""
        return (self._inside / "run.json").exists() or (self._inside / "cursors").is_dir()

    def create(self, journal_dir: Path | None = None) -> None:
        """Make the directories; harmless if they exist.

        Args:
            journal_dir: a directory for the journals of runs, e.g. on another disk; None: the
                journal is in the run's directory.
        """
        self._inside.mkdir()
        if not self.exists:
            self.claim()
        self.cursors.mkdir()
        if journal_dir is not None and not self._journal.exists():
            elsewhere = journal_dir.absolute() / self.path.parent.name / self.path.name
            elsewhere.mkdir(parents=True, exist_ok=True)
            self._journal_link.replace(f"{elsewhere}\n".encode())
        self.journal.mkdir()

    def writer(self, segment_bytes: int = SEGMENT_BYTES, *, chain: str = "") -> JournalWriter:
        """Begin a segment of this process; a second writer of a process needs another ``chain``."""
        if self.journal_elsewhere is not None:
            self.check_own("nothing can be added to a journal outside of the run's directory")
        return JournalWriter(self.journal, self.blobs, segment_bytes=segment_bytes, chain=chain)

    def reader(self, chunk_bytes: int = CHUNK_BYTES) -> JournalReader:
        """Return a reader of the journal."""
        return JournalReader(self.journal, self.blobs, chunk_bytes=chunk_bytes)

    @property
    def seals(self) -> Seals:
        """The seals of the run, which show its damage."""
        return Seals(self._inside / "seals.json", self.journal, self.blobs)

    def lock(self) -> FileLock:
        """Return the lock of the run's courier; it is not taken yet."""
        return FileLock(self._courier_lock)

    def request_retry(self) -> None:
        """Ask the courier of the run to try its failing backends now, not after their pauses."""
        self._retry_request.replace(b"")

    def last_retry_request(self) -> int:
        """Return when a retry was requested last, in nanoseconds since the epoch; 0: never."""
        try:
            return self._retry_request.stat().st_mtime_ns
        except OSError:
            return 0

    def put_about(self, name: str, content: bytes) -> None:
        """Write a file about the run itself; ``name`` is relative to the run's directory."""
        file = self._inside / name
        file.parent.mkdir()
        file.replace(content)

    @contextlib.contextmanager
    def ending_lock(self) -> Iterator[None]:
        """Hold the lock for the run's ending: no other process writes the ending in this block.

        System metrics are written in such a block, after a check that the run still lives. So none
        of them comes after the ending. A process that hangs in its block is not waited for.
        """
        lock = FileLock(self._inside / "ending.lock")
        with contextlib.suppress(OSError):  # the directory was deleted, or cannot be written
            lock.wait(_LOCK_SECONDS)
        try:
            yield
        finally:
            lock.release()


def new_run_id(name: str) -> str:
    """Return a run id: the name, the time (UTC) and four random characters."""
    when = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    random = "".join(secrets.choice(_ALPHABET) for _ in range(4))
    return f"{slug(name, 100).replace(' ', '_')}-{when}-{random}"


def find_runs(root: Path, unreadable: Callable[[OSError], None] | None = None) -> list[RunDir]:
    """Return the runs below ``root``, which has a directory for each project.

    Args:
        root: the directory of the runs; without it there are no runs.
        unreadable: called with the error of a project's directory that cannot be read; None: it
            is raised.

    Raises:
        OSError: a directory cannot be read.
    """
    found = []
    for project in _folders(root):
        try:
            found += [run for run in map(RunDir, _folders(project)) if run.exists]
        except OSError as error:
            if unreadable is None:
                raise
            unreadable(error)
    return found


def _folders(directory: Path) -> list[Path]:
    """Return the directories in a directory, also behind links, but the hidden ones."""
    try:
        entries = list(os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(
        directory / entry.name
        for entry in entries
        if not entry.name.startswith(".") and entry.is_dir()
    )
