"""MLflow's errors, as they really come: what may pass is told from what is a record's fault."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from requests.exceptions import HTTPError

from tracelet_mlflow.errors import is_transient
from tracelet_mlflow.place import set_environment


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MAX_RETRIES", "BACKOFF_FACTOR", "BACKOFF_JITTER", "TIMEOUT"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{variable}", "9")  # put back after the test
    set_environment()


class Answers(BaseHTTPRequestHandler):
    """Answers every request with one status."""

    status: ClassVar[int] = 500

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"no")

    do_POST = do_PUT = do_GET  # noqa: N815 - what the base class looks for

    def log_message(self, *args: Any) -> None:
        """Stay silent."""


@pytest.fixture
def answering() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def log_one(uri: str) -> None:
    MlflowClient(uri).log_batch("0" * 32, metrics=[Metric("loss", 0.5, 1, 1)])


def test_no_connection_may_pass() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(MlflowException, match="API request") as raised:
        log_one(f"http://127.0.0.1:{port}")
    assert is_transient(raised.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    set_environment()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(MlflowException, match="timeout") as raised:
            log_one(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert is_transient(raised.value)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_an_answer_that_blames_no_record_may_pass(answering: str, status: int) -> None:
    Answers.status = status
    with pytest.raises(MlflowException) as raised:
        log_one(answering)
    assert is_transient(raised.value)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_answer_that_blames_the_request_is_the_record_s_fault(
    answering: str, status: int
) -> None:
    Answers.status = status
    with pytest.raises(MlflowException, match=str(status)) as raised:
        log_one(answering)
    assert is_transient(raised.value) is False


def test_a_refused_upload_is_no_error_of_the_disk() -> None:
    error = HTTPError("413 Client Error")
    error.response = type("Answer", (), {"status_code": 413})()  # type: ignore[assignment]
    assert isinstance(error, OSError)  # which the courier would try again
    assert is_transient(error) is False


def test_what_is_no_error_of_mlflow_is_left_to_the_courier() -> None:
    assert is_transient(OSError("disk full")) is None


def test_a_locked_database_may_pass(uri: str, runs: Path) -> None:
    client = MlflowClient(uri)
    run = client.create_run("0")
    other = sqlite3.connect(runs / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(MlflowException, match="locked") as raised:
            client.log_batch(run.info.run_id, params=[Param("a", "1")])
        assert is_transient(raised.value)
    finally:
        other.rollback()
        other.close()


def test_a_run_that_somebody_deletes_meanwhile_may_come_back(uri: str) -> None:
    client = MlflowClient(uri)
    run = client.create_run("0")
    client.delete_run(run.info.run_id)
    with pytest.raises(MlflowException, match="active") as deleted:
        client.log_batch(run.info.run_id, metrics=[Metric("loss", 0.5, 1, 1)])
    with pytest.raises(MlflowException) as gone:
        client.get_run("0" * 32)
    assert is_transient(deleted.value)
    assert is_transient(gone.value)


def test_a_bad_value_is_the_record_s_fault(uri: str) -> None:
    client = MlflowClient(uri)
    run = client.create_run("0")
    with pytest.raises(MlflowException, match="a,b") as raised:
        client.log_batch(run.info.run_id, params=[Param("a,b", "1")])
    assert is_transient(raised.value) is False
