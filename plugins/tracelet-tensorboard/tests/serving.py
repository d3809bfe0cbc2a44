"""A real TensorBoard server on loopback, with its default data server, and what it answers."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

URL = re.compile(r"TensorBoard \S+ at (http://127\.0\.0\.1:\d+/)")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    """A server that is ready, at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str) -> Any:
        """Return the JSON of a page of the server's interface."""
        return self._answer(f"{self.url}data/{path}?{urllib.parse.urlencode(query)}")

    def post(self, path: str, request: Any) -> Any:
        body = json.dumps(request).encode()
        asked = urllib.request.Request(f"{self.url}data/{path}", body)
        asked.add_header("Content-Type", "application/json")
        return self._answer(asked)

    def scalars(self, run: str, tag: str) -> list[tuple[int, float]]:
        """Return step and value of each point that the dashboard shows."""
        if tag not in self.get("plugin/scalars/tags").get(run, {}):
            return []
        found = self.get("plugin/scalars/scalars", run=run, tag=tag)
        return [(step, value) for _, step, value in found]

    def hparams(self) -> list[Any]:
        """Return the session groups of the hparams page."""
        request = {
            "experimentName": "",
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
            "colParams": [],
            "startIndex": 0,
            "sliceSize": 100,
        }
        found: list[Any] = self.post("plugin/hparams/session_groups", request)["sessionGroups"]
        return found

    def _answer(self, asked: str | urllib.request.Request) -> Any:
        with _direct.open(asked, timeout=60) as answer:
            return json.loads(answer.read())


@contextlib.contextmanager
def serve(log_dir: Path) -> Iterator[Server]:
    """Serve a directory for the length of a block."""
    command = [
        sys.executable, "-m", "tensorboard.main", "--logdir", str(log_dir),
        "--host", "127.0.0.1", "--port", "0", "--reload_interval", "1",
    ]  # fmt: skip
    output = log_dir.parent / "tensorboard.log"
    with output.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Server(_ready(process, output))
        finally:
            process.terminate()


def _ready(process: subprocess.Popen[bytes], output: Path) -> str:
    from conftest import wait_for

    said = wait_for(lambda: URL.search(output.read_text()) or process.poll() is not None, 120)
    assert said is not True, output.read_text()
    assert "fast data loading" in output.read_text(), "this is not the default data server"
    return str(said[1])
