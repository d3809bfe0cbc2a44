"""Uploads under exactly the destination, and the files beside the run that must survive a restart.

MLflow gives an uploaded file the name of the local one, and a read-only local copy could never be
replaced.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tracelet.backends.base import ArtifactFile
from tracelet.errors import CheckpointLostError
from tracelet_mlflow.edge import translated
from tracelet_mlflow.names import stored_path

STAGE = ".stage"
APPENDED = ("log.txt", "tracelet/adjusted.jsonl")
"""What grows line by line, and must not grow twice by the same lines."""
REPLACED = ("parameters.json", "properties.json")


class Uploads:
    """The artifacts of one run.

    Args:
        client: an ``MlflowClient``.
        run_id: the run's id in MLflow.
        uri: where MLflow keeps the run's artifacts.
        scratch: a directory of ours.
    """

    def __init__(self, client: Any, run_id: str, uri: str, scratch: Path) -> None:
        self._client = client
        self._run_id = run_id
        self._stage = scratch / STAGE
        parts = urlsplit(uri)
        is_local = parts.scheme in ("", "file")
        self._local = Path(url2pathname(parts.path)) if is_local else None

    def put(self, artifact: ArtifactFile) -> str:
        """Store a file, and return under which path."""
        path = stored_path(artifact.path)
        folder, _, name = path.rpartition("/")
        self._stage.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._stage) as stage, translated():
            staged = Path(stage, name)
            _stand_in(artifact.source, staged)
            if self._local is not None:
                (self._local / path).unlink(missing_ok=True)
            self._client.log_artifact(self._run_id, str(staged), folder or None)
            if self._local is not None:
                (self._local / path).chmod(0o644)
        return path


def _stand_in(source: Path, name: Path) -> None:
    """Give a file another name for a while."""
    try:
        name.symlink_to(source)
    except OSError:  # a file system, or a user of Windows, without links
        shutil.copyfile(source, name)


def file_sizes(scratch: Path) -> dict[str, int]:
    """Return the size of each file that grows, for the checkpoint."""
    files = {name: scratch / name for name in APPENDED}
    return {name: file.stat().st_size for name, file in files.items() if file.exists()}


def restore_files(scratch: Path, sizes: dict[str, int] | None) -> list[str]:
    """Bring the files back to a checkpoint; return which of them there are.

    Raises:
        CheckpointLostError: they have less than the checkpoint says.
    """
    if sizes is None:
        for name in REPLACED:
            (scratch / name).unlink(missing_ok=True)
    for name in APPENDED:
        file, kept = scratch / name, (sizes or {}).get(name, 0)
        size = file.stat().st_size if file.exists() else 0
        if size < kept:
            raise CheckpointLostError(f"{file} is shorter than what was written to it")
        if size > kept:
            with file.open("r+b") as content:
                content.truncate(kept)
    return [name for name in APPENDED + REPLACED if (scratch / name).exists()]
