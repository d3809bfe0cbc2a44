"""The session folder of a run without a server, such as the SDK imports: files, no threads.

The SDK's offline mode is a switch of the whole process, keeps points in a thread, writes
``task.json`` in place, and does not store the status. Here its data model makes ``task.json``,
which is replaced as a whole; points and log lines are appended, and what was appended beyond the
last checkpoint is cut off when the run is opened again. So a killed worker leaves no half of
anything, and what it had written comes once.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tracelet.backends.base import ArtifactFile
from tracelet.backends.files import GrowingFile, place_file
from tracelet.errors import CheckpointLostError
from tracelet.records import RunInfo, RunLink, Status
from tracelet_clearml import names, task

TASK, SCALARS, LOG, DATA = "task.json", "metrics.jsonl", "log.jsonl", "data"


class OfflineTask:
    """A task in a session folder.

    Args:
        task_type: the type of a new task.
        output_uri: where artifacts go when the session is imported.
    """

    def __init__(self, task_type: str, output_uri: str | None) -> None:
        self._task_type = task_type
        self._output_uri = output_uri
        self.id = ""
        self._folder = Path()
        self._run_dir = Path()
        self._project = ""
        self._data: dict[str, Any] = {}
        self._files: dict[str, GrowingFile] = {}
        self._written = ""

    def open(self, run: RunInfo) -> RunLink:
        """Begin the session, or go on with it where ``run.checkpoint`` says.

        Raises:
            CheckpointLostError: there is a checkpoint, and not what it speaks of.
        """
        self.id = f"offline-{names.mark(run)}"
        self._folder = session_root(run) / self.id
        self._run_dir = Path(run.dir)
        self._project = names.long_enough(run.project)
        if run.checkpoint is None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._begin(run)
        else:
            self._go_on(run.checkpoint)
        self._data |= {"status": "in_progress", "completed": None}
        self.flush()
        return RunLink(self.id, self._folder.as_uri())

    @property
    def own(self) -> str | None:
        """The text of our own configuration object."""
        found: str | None = self._data["configuration"].get(names.OWN, {}).get("value")
        return found

    @property
    def script(self) -> dict[str, Any]:
        """The script, as it is stored."""
        return dict(self._data["script"])

    def set_script(self, script: dict[str, Any]) -> None:
        """Set the script."""
        self._data["script"] = script

    def set_params(self, items: Sequence[dict[str, Any]]) -> None:
        """Set hyperparameters."""
        for item in items:
            self._data["hyperparams"].setdefault(item["section"], {})[item["name"]] = item

    def remove_params(self, places: Sequence[tuple[str, str]]) -> None:
        """Delete hyperparameters."""
        for section, name in places:
            self._data["hyperparams"].get(section, {}).pop(name, None)

    def set_config(self, item: dict[str, Any]) -> None:
        """Set a configuration object."""
        self._data["configuration"][item["name"]] = item

    def set_tags(self, tags: Sequence[str]) -> None:
        """Set the list of tags."""
        self._data["tags"] = list(tags)

    def add_events(self, kind: str, events: Sequence[dict[str, Any]]) -> None:
        """Append scalars, or lines of the log, to the file of that name."""
        self._files[kind].append(json.dumps(list(events)).encode() + b"\n")

    def add_artifact(self, file: ArtifactFile) -> None:
        """Store a file below ``data/``."""
        place = names.artifact_place(self._project, self._data["name"], self.id, file.path)
        is_blob = file.source.is_relative_to(self._run_dir / "blobs")
        target = self._folder / DATA / place
        place_file(file.source, target, link=is_blob)
        artifacts = self._data["execution"]["artifacts"]
        artifacts[:] = [one for one in artifacts if one["key"] != file.path]
        artifacts.append(task.artifact_item(file, target.as_posix(), time.time()))

    def flush(self) -> dict[str, Any]:
        """Write ``task.json``; return the checkpoint."""
        content = json.dumps(self._exported(), sort_keys=True, default=datetime.isoformat)
        if content != self._written:
            temporary = self._folder / f".{TASK}.tmp"
            temporary.write_text(content, encoding="ascii")
            temporary.replace(self._folder / TASK)
            self._written = content
        sizes = {name: file.size for name, file in self._files.items()}
        return {"folder": str(self._folder), "sizes": sizes}

    def close(self, status: Status, ended: float | None) -> None:
        """End the task."""
        at = time.time() if ended is None else ended
        self._data |= {"status": task.STATUSES[status], "completed": task.stamp(at)}
        self.flush()

    def _begin(self, run: RunInfo) -> None:
        self._folder.mkdir(parents=True)
        self._files = {name: GrowingFile(self._folder / name) for name in (SCALARS, LOG)}
        self._data = {
            "id": self.id,
            "name": names.long_enough(run.name),
            "type": self._task_type,
            "comment": task.comment(run),
            "created": task.stamp(run.started),
            "started": task.stamp(run.started),
            "script": task.script(run),
            "output": {"destination": self._output_uri} if self._output_uri else {},
            "execution": {"artifacts": []},
            "hyperparams": {},
            "configuration": {},
            "tags": [],
            "system_tags": [f"tracelet-{names.mark(run)}"],
        }

    def _go_on(self, checkpoint: Any) -> None:
        if not isinstance(checkpoint, dict) or checkpoint.get("folder") != str(self._folder):
            raise CheckpointLostError(f"the run was not delivered to {self._folder} before")
        try:
            kept = json.loads((self._folder / TASK).read_bytes())
            for name, size in checkpoint["sizes"].items():
                self._files[name] = GrowingFile(self._folder / name, size)
                self._files[name].cut()
        except (OSError, ValueError) as error:
            raise CheckpointLostError(f"{self._folder} is not as it was left: {error}") from error
        self._data = {"hyperparams": {}, "configuration": {}, "script": {}, "execution": {}, **kept}
        self._data["execution"].setdefault("artifacts", [])

    def _exported(self) -> dict[str, Any]:
        from clearml.backend_api.services.v2_9.tasks import Task as Model

        # The SDK's model of a section would take the names of parameters for its own arguments.
        apart = {"hyperparams", "configuration"}
        fields = {name: self._data[name] for name in self._data.keys() - apart}
        return {
            **Model.from_dict(fields).to_dict(),
            **{name: self._data[name] for name in apart},
            "project_name": self._project,
            "offline_folder": self._folder.as_posix(),
            "offline_output_models": [],
        }


def session_root(run: RunInfo) -> Path:
    """Return the directory of session folders: the SDK's, if it was told one, else the run's."""
    cache = os.environ.get("CLEARML_CACHE_DIR") or os.environ.get("TRAINS_CACHE_DIR")
    base = Path(cache).expanduser() / "offline" if cache else Path(run.dir) / "clearml"
    return base.absolute()
