"""The directory of a run: the names of its files. No other module has these names."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from tracelet.journal.blobs import BlobStore
from tracelet.journal.files import FileLock, replace_file
from tracelet.journal.reader import CHUNK_BYTES, JournalReader
from tracelet.journal.seals import Seals
from tracelet.journal.writer import SEGMENT_BYTES, JournalWriter

_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_LOCK_SECONDS = 1.0
ABOUT = "tracelet"
"""The folder of files about a run itself, in its directory and in every tracker."""


class RunDir:
    """The directory of one run.

    - ``run.json``: a summary of the run, for people.
    - ``journal/``: everything that was logged.
    - ``blobs/``: contents by their hash.
    - ``cursors/``: how far each backend has come in the journal.
    - ``seals.json``: what the journal and the blobs had in them at the end of the run.
    - ``rejected/``: a dead-letter file for each backend, with the records that it has rejected.
    - ``scratch/``: files that a backend writes during the delivery.
    - ``exit/``: the exit codes of processes.
    - ``retry.request``: touched to have the courier try again at once.
    - ``courier.log``: the output of the courier and the SDKs.
    - ``console.log``: the output of the program.
    - ``tracelet/``: files about the run itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_json = path / "run.json"
        self.blobs = BlobStore(path / "blobs")
        self.cursors = path / "cursors"
        self.rejected = path / "rejected"
        self.scratch = path / "scratch"
        self.exit = path / "exit"
        self._retry_request = path / "retry.request"
        self.courier_log = path / "courier.log"
        self.console = path / "console.log"
        self.console_reader = path / "console.reader"
        self.about = path / ABOUT
        self._journal = path / "journal"
        self._journal_link = path / "journal.path"

    @property
    def journal(self) -> Path:
        """The directory of the segments: ``journal/``, or one below the setting ``journal_dir``."""
        try:
            return Path(self._journal_link.read_text().strip())
        except FileNotFoundError:
            return self._journal

    @property
    def exists(self) -> bool:
        """Whether the directory holds a run; ``run.json`` may have been deleted."""
        return self.run_json.exists() or self.cursors.is_dir()

    def create(self, journal_dir: Path | None = None) -> None:
        """Make the directories; harmless if they exist.

        Args:
            journal_dir: a directory for the journals of runs, e.g. on another disk; None: the
                journal is in the run's directory.
        """
        self.cursors.mkdir(parents=True, exist_ok=True)
        if journal_dir is not None and not self._journal.exists():
            elsewhere = journal_dir.absolute() / self.path.parent.name / self.path.name
            elsewhere.mkdir(parents=True, exist_ok=True)
            self._journal_link.write_text(f"{elsewhere}\n")
        self.journal.mkdir(parents=True, exist_ok=True)

    def writer(self, segment_bytes: int = SEGMENT_BYTES, *, chain: str = "") -> JournalWriter:
        """Begin a segment of this process; a second writer of a process needs another ``chain``."""
        return JournalWriter(self.journal, self.blobs, segment_bytes=segment_bytes, chain=chain)

    def reader(self, chunk_bytes: int = CHUNK_BYTES) -> JournalReader:
        """Return a reader of the journal."""
        return JournalReader(self.journal, self.blobs, chunk_bytes=chunk_bytes)

    @property
    def seals(self) -> Seals:
        """The seals of the run, which show its damage."""
        return Seals(self.path / "seals.json", self.journal, self.blobs)

    def lock(self) -> FileLock:
        """Return the lock of the run's courier; it is not taken yet."""
        return FileLock(self.path / "courier.lock")

    def request_retry(self) -> None:
        """Ask the courier of the run to try its failing backends now, not after their pauses."""
        replace_file(self._retry_request, b"")

    def last_retry_request(self) -> int:
        """Return when a retry was requested last, in nanoseconds since the epoch; 0: never."""
        try:
            return self._retry_request.stat().st_mtime_ns
        except OSError:
            return 0

    def put_about(self, name: str, content: bytes) -> None:
        """Write a file about the run itself; ``name`` is relative to the run's directory."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)

    @contextlib.contextmanager
    def ending_lock(self) -> Iterator[None]:
        """Hold the lock for the run's ending: no other process writes the ending in this block.

        System metrics are written in such a block, after a check that the run still lives. So none
        of them comes after the ending. A process that hangs in its block is not waited for.
        """
        lock = FileLock(self.path / "ending.lock")
        with contextlib.suppress(OSError):  # the directory was deleted, or cannot be written
            lock.wait(_LOCK_SECONDS)
        try:
            yield
        finally:
            lock.release()


def slug(text: str, longest: int = 160) -> str:
    """Return ``text`` as a valid file name, for a project's directory or a run id.

    Args:
        text: any ``str``.
        longest: the most bytes of the name; file systems take 255.
    """
    safe = _UNSAFE.sub("_", text.encode(errors="replace").decode()).strip(". ")
    return safe.encode()[:longest].decode(errors="ignore").strip(". ") or "_"


def new_run_id(name: str) -> str:
    """Return a run id: the name, the time (UTC) and four random characters."""
    when = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    random = "".join(secrets.choice(_ALPHABET) for _ in range(4))
    return f"{slug(name, 100).replace(' ', '_')}-{when}-{random}"


def find_runs(root: Path) -> list[RunDir]:
    """Return the runs below ``root``, which has a directory for each project."""
    found = {file.parent for name in ("run.json", "cursors") for file in root.glob(f"*/*/{name}")}
    return [RunDir(path) for path in sorted(found)]
