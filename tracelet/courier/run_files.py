"""The files about a run itself, for each tracker: how it was started, not what it has logged.

They are no records: a report counts what the program logs, wherever it is started from.
"""

from __future__ import annotations

from tracelet.backends.base import ArtifactFile, Backend
from tracelet.journal.blobs import digest_file
from tracelet.journal.rundir import RunDir


def log_run_files(run_dir: RunDir, backend: Backend, known: dict[str, str]) -> None:
    """Give a backend the files that it does not have yet.

    Args:
        run_dir: the run.
        backend: open.
        known: the digest of each file that it has; brought up to date.
    """
    for path in sorted(run_dir.about.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(run_dir.path).as_posix()
        digest, size = digest_file(path)
        if known.get(name) != digest:
            backend.log_run_file(ArtifactFile(path, name, digest, size))
            known[name] = digest
