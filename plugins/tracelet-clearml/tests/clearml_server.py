"""A server on loopback that answers the requests that a ClearML server gets, and remembers them.

It keeps those rules of the real one that decide what becomes of a run, read in its source: names
have three characters at least, an event is known by task, iteration, title, series and ``key`` and
replaces one with the same, iterations have 64 bits, values are not beyond those of float32, and a
task that has ended is only changed by force. It has no database, no pages and no permissions.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import jwt
from clearml_http import Handler, RefusedError

Answer = dict[str, Any]


class ClearmlServer:
    """The state of the server, and what it was asked.

    Attributes:
        tasks: by id.
        projects: name by id.
        events: of each task by the id that the server gives an event, in order of arrival.
        log: the log events of each task.
        files: the content of uploaded files, by path.
        calls: the name of each request, in order.
        failing: how many of the next requests are answered with "busy".
    """

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.projects: dict[str, str] = {}
        self.events: dict[str, dict[str, dict[str, Any]]] = {}
        self.log: dict[str, list[dict[str, Any]]] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.failing = 0
        self._lock = threading.Lock()
        handler = type("OfThisServer", (Handler,), {"state": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address, for the API, the pages and the files alike."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()

    def scalars(self, task: str) -> list[dict[str, Any]]:
        """Return the scalar events of a task, in order of arrival."""
        return list(self.events.get(task, {}).values())

    def uploaded(self, uri: str) -> bytes:
        """Return the content of a file by the address that an artifact has."""
        return self.files[unquote(urlsplit(uri).path).lstrip("/")]

    def answer(self, name: str, content: Any) -> Answer:
        """Answer a request."""
        with self._lock:
            self.calls.append(name)
            if self.failing and name != "auth.login":
                self.failing -= 1
                raise RefusedError(503, 0, "busy")
            call: Callable[[Any], Answer] | None = getattr(self, f"_{name.replace('.', '_')}", None)
            if call is None:
                raise RefusedError(400, 1, f"{name}: endpoint is not supported")
            return call(content)

    # ---------------------------------------------------------------- accounts and projects

    def _auth_login(self, _: Any) -> Answer:
        claims = {"exp": time.time() + 3600, "api_version": "2.30", "server_version": "2.0.0"}
        return {"token": jwt.encode(claims, "of the tests only, and nobody's " * 2)}

    def _projects_get_all(self, asked: Any) -> Answer:
        name = asked["name"].removeprefix("^").removesuffix("$").replace("\\", "")
        found = [{"id": one, "name": it} for one, it in self.projects.items() if it == name]
        return {"projects": found}

    def _projects_get_all_ex(self, asked: Any) -> Answer:
        ids = asked.get("id")
        if ids is None:
            return self._projects_get_all(asked)
        return {"projects": [{"id": one, "name": self.projects[one]} for one in ids]}

    def _projects_get_by_id(self, asked: Any) -> Answer:
        return {"project": {"id": asked["project"], "name": self.projects[asked["project"]]}}

    def _projects_create(self, asked: Any) -> Answer:
        _long_enough(asked["name"])
        self.projects[f"project{len(self.projects)}"] = asked["name"]
        return {"id": f"project{len(self.projects) - 1}"}

    # ------------------------------------------------------------------------------- tasks

    def _tasks_create(self, asked: Any) -> Answer:
        _long_enough(asked["name"])
        task = {**asked, "id": f"task{len(self.tasks)}", "status": "created", "hyperparams": {}}
        self.tasks[task["id"]] = {"configuration": {}, "execution": {"artifacts": []}, **task}
        return {"id": task["id"]}

    def _tasks_get_all(self, asked: Any) -> Answer:
        tags = set(asked.get("system_tags", ()))
        found = [
            task
            for task in self.tasks.values()
            if task["id"] in asked.get("id", [task["id"]])
            and tags <= set(task.get("system_tags", ()))
        ]
        return {"tasks": found[: asked.get("page_size")]}

    _tasks_get_all_ex = _tasks_get_all

    def _tasks_get_by_id(self, asked: Any) -> Answer:
        return {"task": self._task(asked)}

    def _tasks_edit(self, asked: Any) -> Answer:
        task = self._editable(asked)
        task.update({k: v for k, v in asked.items() if k not in ("task", "force")})
        return {"updated": 1}

    def _tasks_edit_hyper_params(self, asked: Any) -> Answer:
        task = self._editable(asked)
        for item in asked["hyperparams"]:
            assert item["section"], item
            assert item["name"], item
            assert isinstance(item["value"], str), item
            section = item["section"]
            section = "properties" if section.lower() == "properties" else section
            task["hyperparams"].setdefault(section, {})[item["name"]] = item
        return {"updated": 1}

    def _tasks_delete_hyper_params(self, asked: Any) -> Answer:
        task = self._editable(asked)
        for item in asked["hyperparams"]:
            task["hyperparams"].get(item["section"], {}).pop(item["name"], None)
        return {"deleted": 1}

    def _tasks_edit_configuration(self, asked: Any) -> Answer:
        task = self._editable(asked)
        for item in asked["configuration"]:
            assert isinstance(item["value"], str), item
            task["configuration"][item["name"]] = item
        return {"updated": 1}

    def _tasks_add_or_update_artifacts(self, asked: Any) -> Answer:
        task = self._editable(asked)
        keys = {item["key"] for item in asked["artifacts"]}
        kept = [item for item in task["execution"]["artifacts"] if item["key"] not in keys]
        task["execution"]["artifacts"] = kept + asked["artifacts"]
        return {"updated": 1}

    def _tasks_reset(self, asked: Any) -> Answer:
        task = self._task(asked)
        self.events.pop(task["id"], None)
        self.log.pop(task["id"], None)
        task.update(status="created", hyperparams={}, configuration={})
        task["execution"] = {"artifacts": []}
        return {"updated": 1}

    def _tasks_started(self, asked: Any) -> Answer:
        return self._become(asked, "in_progress")

    def _tasks_completed(self, asked: Any) -> Answer:
        return self._become(asked, "completed")

    def _tasks_failed(self, asked: Any) -> Answer:
        return self._become(asked, "failed")

    def _tasks_stopped(self, asked: Any) -> Answer:
        return self._become(asked, "stopped")

    def _become(self, asked: Any, status: str) -> Answer:
        task = self._task(asked)
        task["status"] = status
        task["status_reason"] = asked.get("status_reason")
        task["status_message"] = asked.get("status_message")
        return {"updated": 1}

    def _task(self, asked: Any) -> dict[str, Any]:
        if asked["task"] not in self.tasks:
            raise RefusedError(400, 101, f"invalid task id: {asked['task']}")
        return self.tasks[asked["task"]]

    def _editable(self, asked: Any) -> dict[str, Any]:
        task = self._task(asked)
        if task["status"] not in ("created", "in_progress") and not asked.get("force"):
            raise RefusedError(400, 110, f"invalid task status: {task['status']}")
        return task

    # ------------------------------------------------------------------------------ events

    def _events_add_batch(self, events: Any) -> Answer:
        for event in events:
            if event["task"] not in self.tasks:
                raise RefusedError(400, 131, f"events not added: invalid task id {event['task']}")
            if event["type"] == "log":
                self.log.setdefault(event["task"], []).append(event)
                continue
            assert event["type"] == "training_stats_scalar", event
            assert abs(event["value"]) < 3.5e38, f"its index has float32: {event}"
            assert -(2**63) <= event["iter"] < 2**63, event
            fields = ("task", "iter", "metric", "variant", "key")
            known_by = "-".join(str(event[field]) for field in fields if field in event)
            event_id = hashlib.md5(known_by.encode()).hexdigest()
            self.events.setdefault(event["task"], {})[event_id] = event
        return {"added": len(events), "errors": 0, "errors_info": {}}


def _long_enough(name: str) -> None:
    if len(name.strip()) < 3:
        raise RefusedError(400, 12, f"validation error: the name {name!r} is too short")
