"""A server that never answers keeps nobody waiting: not the training, and no other backend."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from conftest import Start, use_server, wait_for

import tracelet

POINTS = 2000


class Silent:
    """A server that takes every connection and never says a word."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.held: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        for one in (self._socket, *self.held):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                self.held.append(self._socket.accept()[0])
            except OSError:  # closed
                return


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def test_another_backend_is_complete_while_clearml_hangs_and_nothing_is_lost(
    silent: Silent, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_server(monkeypatch, silent.url)
    exp = start("run", {"offline": False}, backend=["local", "clearml"])
    assert exp.dir is not None

    def report(name: str) -> tracelet.BackendReport:
        return tracelet.load_run(exp.dir).report[name]

    wait_for(lambda: silent.held)
    for iteration in range(POINTS):
        exp.log_metric("loss", 1 / (iteration + 1), iteration)
    wait_for(lambda: report("local").delivered == POINTS)
    hanging = report("clearml")
    assert (hanging.delivered, hanging.pending) == (0, POINTS)
    assert len((exp.dir / "metrics.jsonl").read_bytes().splitlines()) == POINTS
    # A call ends by itself, and is made again; the data waits.
    assert "timed out" in wait_for(lambda: report("clearml").last_error)
    assert exp.stop(timeout=0.1)["clearml"].pending == POINTS
