"""Decides where a run's files are; two runs in one folder would be one run for TensorBoard."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tracelet.records import RunInfo


def run_folder(run: RunInfo, log_dir: str | None) -> Path:
    """Return the folder of a run: where it was before, or ``<log_dir>/<run id>``.

    A relative ``log_dir`` is meant from where the training was started, not from where the courier
    runs. Without one, the runs of a project are together, in ``tensorboard`` beside them. A folder
    in which there are events of another run gets a number behind its name.
    """
    if run.link is not None:
        return Path(run.link.id)
    if log_dir is None:
        parent = Path(run.dir).parent / "tensorboard"
    else:
        parent = Path(run.facts.get("cwd") or run.dir) / Path(log_dir).expanduser()
    folder, number = parent / run.run_id, 1
    while _is_taken(folder, event_file_name(run)):
        number += 1
        folder = parent / f"{run.run_id}-{number}"
    return folder


def event_file_name(run: RunInfo) -> str:
    """Return the name of a run's event file, always the same; names are the order of reading."""
    who = hashlib.sha256(f"{run.project}/{run.run_id}/{run.started}".encode()).hexdigest()[:12]
    return f"events.out.tfevents.{int(run.started):010d}.tracelet.{who}"


def _is_taken(folder: Path, own: str) -> bool:
    return folder.is_dir() and any(
        "tfevents" in file.name and file.name != own for file in folder.iterdir()
    )


def place(content: Path, target: Path, run_dir: Path) -> None:
    """Put a file at its place, at once: as a link to a blob, which never changes, or as a copy.

    What is outside the run's directory was logged without a copy and may change: it is copied.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        if not content.is_relative_to(run_dir):
            _copy(content, temporary)
        else:
            try:
                os.link(content, temporary)
            except OSError:  # another file system, or one without links
                _copy(content, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(content: Path, to: Path) -> None:
    with content.open("rb") as source, to.open("wb") as copy:
        while chunk := source.read(1 << 20):
            copy.write(chunk)
