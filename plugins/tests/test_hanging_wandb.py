"""A W&B that never answers keeps nobody waiting: neither the training nor another tracker."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from patient_training import POINTS
from trackers import TRACKERS, Trackers, Training, wait_for

import tracelet
from tracelet.courier.cursor import CursorFile

PATIENT_SCRIPT = Path(__file__).with_name("patient_training.py")
OTHERS = [name for name in TRACKERS if name != "wandb"]


class Silent:
    """A server that takes every connection and never says a word."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def callers(self) -> int:
        """How many connections it has taken."""
        return len(self._held)

    def close(self) -> None:
        """Hang up."""
        for one in (self._socket, *self._held):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                self._held.append(self._socket.accept()[0])
            except OSError:  # closed
                return


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def test_the_others_are_complete_and_the_calls_return_while_wandb_hangs(
    silent: Silent, folder: Path, trackers: Trackers
) -> None:
    account = {
        "WANDB_BASE_URL": silent.url,
        "WANDB_API_KEY": "0" * 40,
        "WANDB_INIT_TIMEOUT": "600",  # so that nothing but the end of its worker ends the hanging
    }
    training = Training(
        folder / "hanging",
        trackers.settings(TRACKERS).replace('"offline"', '"online"'),
        script=PATIENT_SCRIPT,
        environment={**trackers.environment(), **account},
    )
    training.wait_until_it_says("started")
    wait_for(lambda: silent.callers)
    training.tell()
    training.wait_until_it_says("logged")
    wait_for(lambda: all(_report(training)[name].complete for name in OTHERS))
    hanging = _report(training)["wandb"]
    assert (hanging.delivered, hanging.pending, hanging.last_error) == (0, POINTS, None)
    training.tell()
    assert training.wait() == 0, training.output
    assert f"{POINTS:,} pending" in training.output
    wait_for(lambda: all(_status(training, name) == "finished" for name in OTHERS))
    for name in OTHERS:
        points = trackers.read_back(name, training.run_dir).points
        assert [point.iteration for point in points] == list(range(POINTS)), name
    assert _report(training)["wandb"].delivered == 0


def _report(training: Training) -> tracelet.DeliveryReport:
    return tracelet.load_run(training.run_dir).report


def _status(training: Training, name: str) -> str | None:
    return CursorFile(training.run_dir / "cursors", name).load().closed
