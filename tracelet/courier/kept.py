"""The files that grow with a delivery; without this, lines of a batch that comes again come twice.

A batch comes again after a crash, and after a call that failed. The files are
``rejected/<backend>.jsonl`` and, in the backend's scratch directory, the log of one that has no
place for texts, and what it could not hold as given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tracelet.backends.base import Backend
from tracelet.errors import CheckpointLostError
from tracelet.journal.rundir import RunDir

_BESIDE = ("log.txt", "tracelet/adjusted.jsonl")
_TABLES = ("parameters.json", "properties.json", "tags.json")
"""Files of the scratch directory that are replaced as a whole."""


class Kept:
    """The growing files of one backend of a run."""

    def __init__(self, run_dir: RunDir, backend: str) -> None:
        scratch = run_dir.scratch / backend
        self.rejected = run_dir.rejected / f"{backend}.jsonl"
        self._files = {"rejected": self.rejected, **{name: scratch / name for name in _BESIDE}}
        self._tables = {name: scratch / name for name in _TABLES}

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file that there is."""
        files = self._files | self._tables
        return {name: size for name, file in files.items() if (size := _size(file))}

    def check(self, sizes: Mapping[str, int]) -> None:
        """Look whether the files have what they had.

        Args:
            sizes: what :meth:`sizes` returned at the last commit.

        Raises:
            CheckpointLostError: one is not there any more, or is shorter.
        """
        for name, size in sizes.items():
            if name in _BESIDE and _size(self._files[name]) < size:
                raise CheckpointLostError(f"{self._files[name]} is shorter than it was")
            if name in _TABLES and not _size(self._tables[name]):
                raise CheckpointLostError(f"{self._tables[name]} is gone")

    def cut_back(self, sizes: Mapping[str, int]) -> None:
        """Take away what is in the files beyond these sizes."""
        for name, file in self._files.items():
            _cut_back(file, sizes.get(name, 0))


@contextmanager
def all_or_nothing(backend: Backend) -> Iterator[None]:
    """Take back, if a call fails, what the backend has noted beside the run in it.

    The call is made again, with all or with a part of what it was given.
    """
    files = [backend.scratch / name for name in _BESIDE] if backend.scratch is not None else []
    before, adjustments = [_size(file) for file in files], backend.adjustments
    try:
        yield
    except BaseException:
        for file, size in zip(files, before, strict=True):
            _cut_back(file, size)
        backend.adjustments = adjustments
        raise


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except FileNotFoundError:
        return 0


def _cut_back(file: Path, size: int) -> None:
    if _size(file) > size:
        os.truncate(file, size)
