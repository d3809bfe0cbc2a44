"""A tracker that never answers keeps nobody waiting: neither the training nor other trackers."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from patient_training import POINTS
from trackers import TRACKERS, Trackers, Training, wait_for

import tracelet
from tracelet.courier.cursor import CursorFile

PATIENT_SCRIPT = Path(__file__).with_name("patient_training.py")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server whose connections the kernel takes, and to which nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server


def has_a_caller(server: socket.socket) -> bool:
    """Whether somebody has connected."""
    return bool(select.select([server], [], [], 0)[0])


def wandb_at(url: str) -> dict[str, str]:
    """Return variables with an account at a W&B, which may hang until its worker is ended."""
    return {"WANDB_BASE_URL": url, "WANDB_API_KEY": "0" * 40, "WANDB_INIT_TIMEOUT": "600"}


def clearml_at(url: str) -> dict[str, str]:
    """Return variables with an account at a ClearML."""
    hosts = dict.fromkeys(("CLEARML_API_HOST", "CLEARML_WEB_HOST", "CLEARML_FILES_HOST"), url)
    return {**hosts, "CLEARML_API_ACCESS_KEY": "key", "CLEARML_API_SECRET_KEY": "secret"}


HANGING = {
    "wandb": ('mode = "offline"', 'mode = "online"', wandb_at),
    "clearml": ("offline = true", "offline = false", clearml_at),
}
"""The option that keeps each off the network, what it is then, and where its server is."""


@pytest.mark.parametrize("name", HANGING)
def test_the_others_are_complete_and_the_calls_return_while_one_hangs(
    silent: socket.socket, folder: Path, trackers: Trackers, name: str
) -> None:
    offline, online, account_at = HANGING[name]
    settings, url = trackers.settings(TRACKERS), f"http://127.0.0.1:{silent.getsockname()[1]}"
    assert offline in settings
    training = Training(
        folder / name,
        settings.replace(offline, online),
        script=PATIENT_SCRIPT,
        environment={**trackers.environment(), **account_at(url)},
    )
    others = [other for other in TRACKERS if other != name]
    training.wait_until_it_says("started")
    wait_for(lambda: has_a_caller(silent))
    training.tell()
    training.wait_until_it_says("logged")
    wait_for(lambda: all(_report(training)[other].complete for other in others))
    hanging = _report(training)[name]
    assert (hanging.delivered, hanging.pending) == (0, POINTS)
    if name == "wandb":  # it hangs until its worker is ended; nobody has waited for that
        assert hanging.last_error is None
    training.tell()
    assert training.wait() == 0, training.output
    assert f"{POINTS:,} pending" in training.output
    wait_for(lambda: all(_ending(training, other) == "finished" for other in others))
    for other in others:
        points = trackers.read_back(other, training.run_dir).points
        assert [point.iteration for point in points] == list(range(POINTS)), other
    assert _report(training)[name].delivered == 0


def _report(training: Training) -> tracelet.DeliveryReport:
    return tracelet.load_run(training.run_dir).report


def _ending(training: Training, name: str) -> str | None:
    return CursorFile(training.run_dir / "cursors", name).load().closed
