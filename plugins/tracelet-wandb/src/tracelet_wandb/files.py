"""The files of a run in W&B: where they are on the disk, and the artifact that holds them all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracelet.backends.base import ArtifactFile
from tracelet.backends.files import place_file
from tracelet.records import RunInfo
from tracelet_wandb import names

ASIDE = "artifacts/"
"""Where a file is whose own place is one that W&B writes to."""
METADATA = "wandb-metadata.json"
_OWN = {
    "config.yaml",
    "diff.patch",
    "output.log",
    "requirements.txt",
    "conda-environment.yaml",
}
_OWN_FOLDERS = ("artifacts", "code", "logs", "media")


def place(path: str) -> str:
    """Return where a file is among the files of the run, given its destination."""
    top = path.split("/", 1)[0]
    if path in _OWN or top in _OWN_FOLDERS or top.startswith("wandb-"):
        return ASIDE + path
    return path


class Files:
    """The files of one open run.

    Args:
        wandb: the SDK.
        live: the SDK's run.
    """

    def __init__(self, wandb: Any, live: Any) -> None:
        self._live = live
        self._folder = Path(live.settings.files_dir)
        name = f"run-{names.artifact(live.id)}-files"
        self._artifact = wandb.Artifact(name, type="run-files")
        self._added: set[str] = set()

    def add(self, file: ArtifactFile) -> None:
        """Copy a file into the run and have it uploaded; the later content of a path wins."""
        if self._live.disabled:  # it has a folder all the same
            return
        target = self._save(place(file.path), file.source)
        if file.path in self._added:
            self._artifact.remove(file.path)
        # The copy is ours and stays, so the SDK needs none of its own, outside of the run.
        self._artifact.add_file(str(target), name=file.path, policy="immutable", skip_cache=True)
        self._added.add(file.path)

    def add_metadata(self, run: RunInfo) -> None:
        """Write what W&B's overview shows, from the facts of the training process."""
        if self._live.disabled:
            return
        path = self._folder / METADATA
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(metadata(run), indent=2))
        self._publish(path)

    def log(self) -> None:
        """Log the artifact of all files, unless there are none."""
        if self._added:
            self._live.log_artifact(self._artifact)

    def _save(self, path: str, source: Path) -> Path:
        target = self._folder / path
        place_file(source, target, link=False)
        self._publish(target)
        return target

    def _publish(self, path: Path) -> None:
        # With policy "now" and a file that is there already, the SDK makes no link to it.
        literal = str(path).translate({ord(char): f"[{char}]" for char in "*?["})
        self._live.save(literal, base_path=str(self._folder), policy="now")


def metadata(run: RunInfo) -> dict[str, Any]:
    """Return the facts of a run under the names that W&B has for them."""
    facts = run.facts
    argv = [str(argument) for argument in facts.get("argv") or [""]]
    found = {
        "program": argv[0],
        "args": argv[1:],
        "startedAt": datetime.fromtimestamp(run.started, UTC).isoformat(),
        "host": facts.get("host"),
        "os": facts.get("platform"),
        "python": facts.get("python"),
        "executable": facts.get("executable"),
        "root": facts.get("cwd"),
        "pid": facts.get("pid"),
        "git": git(run),
    }
    return {name: value for name, value in found.items() if value}


def git(run: RunInfo) -> dict[str, str]:
    """Return commit and remote of the user's repository, as far as known."""
    found = run.facts.get("git")
    known = found if isinstance(found, dict) else {}
    return {key: str(known[key]) for key in ("commit", "remote") if known.get(key)}
