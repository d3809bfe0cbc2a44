"""A run's task on a ClearML server, by requests with its explicit id; every call is an answer.

The task carries a system tag made of the run's project and id, so that one whose id was lost in a
crash is found again, and the task of a group by all its runs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracelet.backends.base import ArtifactFile
from tracelet.errors import CheckpointLostError
from tracelet.records import RunInfo, RunLink, Status
from tracelet_clearml import names, task
from tracelet_clearml.server import Server

_FIELDS = ["id", "status", "project", "parent", "script", "configuration.tracelet"]


class OnlineTask:
    """A task on a server; its calls are those of :class:`~tracelet_clearml.offline.OfflineTask`.

    Args:
        task_type: the type of a new task.
        output_uri: where artifacts go; None: the server for files.
    """

    def __init__(self, task_type: str, output_uri: str | None) -> None:
        self._task_type = task_type
        self._output_uri = output_uri
        self.id = ""
        self.own: str | None = None
        self.script: dict[str, Any] = {}
        self._run: RunInfo
        self._server: Server
        self._project = ""
        self._parent: str | None = None

    def open(self, run: RunInfo) -> RunLink:
        """Make the task, or find it and go on with it.

        Raises:
            CheckpointLostError: there is a checkpoint, and not the task it speaks of.
        """
        self._run = run
        self._server = Server()
        found = self._find_own(run)
        if found is None:
            found = self._create(run)
        elif run.checkpoint is None:
            # Everything comes again: what an earlier attempt has left would be there twice. Files
            # come under the same names, so none may be deleted in the background.
            if found.get("status") != "created":
                self._edit(str(found["id"]), "reset", delete_external_artifacts=False)
            found |= {"status": "created", "configuration": None, "script": task.script(run)}
            self._edit(str(found["id"]), "edit", script=found["script"])
        self.id, self._project = str(found["id"]), str(found["project"])
        self._parent = found.get("parent")
        own = (found.get("configuration") or {}).get(names.OWN) or {}
        self.own, self.script = own.get("value"), dict(found.get("script") or {})
        if found.get("status") != "in_progress":
            self._edit(self.id, "started")
        return RunLink(self.id, self._server.page(self._project, self.id))

    @property
    def native(self) -> Any:
        """The SDK's ``Task``."""
        from clearml import Task

        return Task.get_task(task_id=self.id)

    def set_script(self, script: dict[str, Any]) -> None:
        self._edit(self.id, "edit", script=script)
        self.script = script

    def set_params(self, items: Sequence[dict[str, Any]]) -> None:
        self._edit(
            self.id, "edit_hyper_params", hyperparams=list(items), replace_hyperparams="none"
        )

    def remove_params(self, places: Sequence[tuple[str, str]]) -> None:
        keys = [{"section": section, "name": name} for section, name in places]
        self._edit(self.id, "delete_hyper_params", hyperparams=keys)

    def set_config(self, item: dict[str, Any]) -> None:
        self._edit(self.id, "edit_configuration", configuration=[item], replace_configuration=False)

    def set_tags(self, tags: Sequence[str]) -> None:
        self._edit(self.id, "edit", tags=list(tags))

    def add_events(self, kind: str, events: Sequence[dict[str, Any]]) -> None:
        self._server.add_events(events)

    def add_artifact(self, file: ArtifactFile) -> None:
        """Upload a file, and make it an artifact of the task when it is there."""
        project, name = (names.long_enough(text) for text in (self._run.project, self._run.name))
        place = names.artifact_place(project, name, self.id, file.path)
        uri = self._server.upload(file.source, f"{self._storage()}/{place}")
        item = task.artifact_item(file, uri, time.time())
        self._edit(self.id, "add_or_update_artifacts", artifacts=[item])

    def flush(self) -> dict[str, Any]:
        """Return the checkpoint; every call has had its answer."""
        return {"task": self.id}

    def close(self, status: Status, ended: float | None) -> None:
        """End the task; the server takes the time at which it is told, so the message has it."""
        parent = self._parent_of(self._run)
        if parent is not None and parent != self._parent:  # it came later than this run
            self._edit(self.id, "edit", parent=parent)
        reason = "the run was killed" if status == "killed" else f"the run {status}"
        message = {} if ended is None else {"status_message": f"ended {task.stamp(ended)}"}
        self._edit(self.id, task.STATUSES[status], status_reason=reason, **message)

    def _edit(self, task_id: str, action: str, **content: Any) -> None:
        self._server.call("tasks", action, task=task_id, force=True, **content)

    def _storage(self) -> str:
        root = self._output_uri or self._server.files
        if "://" not in root:
            root = str(Path(self._run.facts.get("cwd") or Path.cwd(), root))
        return root.rstrip("/")

    def _find_own(self, run: RunInfo) -> dict[str, Any] | None:
        checkpoint = run.checkpoint
        if checkpoint is None:
            return self._find(names.mark(run))
        if "task" not in checkpoint:
            raise CheckpointLostError("the run was delivered to a session folder before")
        found = self._get_all(id=[checkpoint["task"]])
        if not found:
            raise CheckpointLostError(f"ClearML has no task {checkpoint['task']} any more")
        return found[0]

    def _find(self, mark: str) -> dict[str, Any] | None:
        found = self._get_all(
            system_tags=[f"tracelet-{mark}"], order_by=["created"], page=0, page_size=1
        )
        return found[0] if found else None

    def _get_all(self, **conditions: Any) -> list[dict[str, Any]]:
        answer = self._server.call(
            "tasks", "get_all", only_fields=_FIELDS, search_hidden=True, **conditions
        )
        return list(answer.get("tasks", ()))

    def _create(self, run: RunInfo) -> dict[str, Any]:
        parent = self._parent_of(run)
        return self._new(
            run,
            name=run.name,
            type=self._task_type,
            mark=names.mark(run),
            script=task.script(run),
            **({} if parent is None else {"parent": parent}),
            **({"output_dest": self._storage()} if self._output_uri else {}),
        )

    def _parent_of(self, run: RunInfo) -> str | None:
        """Return the task above this one, that of its group; None if the run has no group."""
        if run.group is None:
            return None
        mark = names.digest(f"{run.project}\ngroup\n{run.group}")
        group = self._find(mark)
        if group is None:
            group = self._new(run, name=run.group, type="custom", mark=mark)
            # It stands for its runs, and does nothing itself that could end.
            self._edit(str(group["id"]), "completed")
        return str(group["id"])

    def _new(self, run: RunInfo, *, name: str, mark: str, **fields: Any) -> dict[str, Any]:
        project = self._project_id(names.long_enough(run.project))
        made = self._server.call(
            "tasks",
            "create",
            name=names.long_enough(name),
            project=project,
            comment=task.comment(run),
            system_tags=[f"tracelet-{mark}"],
            **fields,
        )
        return {"id": made["id"], "project": project, "status": "created", **fields}

    def _project_id(self, name: str) -> str:
        # The server compares by a regular expression.
        found = self._server.call(
            "projects",
            "get_all",
            name=f"^{re.escape(name)}$",
            only_fields=["id", "name"],
            search_hidden=True,
        )
        same = [one for one in found.get("projects", ()) if one.get("name") == name]
        made = (
            same[0] if same else self._server.call("projects", "create", name=name, description="")
        )
        return str(made["id"])
