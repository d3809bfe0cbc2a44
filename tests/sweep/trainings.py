"""Trainings that worker processes can import; those that have to wait do so for a file."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tracelet


class OddError(Exception):
    """An exception that cannot be pickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")
        self.lock = threading.Lock()


def train(lr: float, epochs: int = 2) -> dict[str, float]:
    exp = tracelet.get_active_experiment()
    assert exp is not None
    for epoch in range(epochs):
        exp.log_metric("loss", lr * (epoch + 1), iteration=epoch)
    return {"final": lr * epochs}


def process(lr: float) -> tuple[int, float]:
    return os.getpid(), lr


def fail_at(lr: float, at: float) -> float:
    if lr == at:
        exp = tracelet.get_active_experiment()
        assert exp is not None
        exp.log_metric("loss", lr)
        raise ValueError(f"no {lr}")
    return lr


def odd(lr: float) -> float:
    raise OddError("this", "that")


def die_at(lr: float, at: float, number: int = signal.SIGKILL) -> float:
    exp = tracelet.get_active_experiment()
    assert exp is not None
    exp.log_metric("loss", lr)
    if lr == at:
        os.kill(os.getpid(), number)
        signal.pause()
    return lr


def leave(code: Any) -> None:
    raise SystemExit(code)


def wait_for(path: str, patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not Path(path).exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def wait(lr: int, gates: str) -> int:
    """Say that it is there, and go on when the gate opens; the first ones need none."""
    Path(gates, f"begun-{lr}-{os.getpid()}").touch()
    if lr >= 3:
        wait_for(f"{gates}/open")
    return lr


def in_reverse(lr: int, gates: str) -> int:
    """End in the reverse order of the configurations."""
    if lr < 3:
        wait_for(f"{gates}/ended-{lr + 1}")
    Path(gates, f"ended-{lr}").touch()
    return lr


def whole(config: dict[str, Any]) -> list[str]:
    return sorted(config)


@dataclass
class Inner:
    depth: int = 1


@dataclass
class Config:
    lr: float
    inner: Inner


def typed(config: Config) -> tuple[str, float, int]:
    return type(config.inner).__name__, config.lr, config.inner.depth


class Attributes:
    lr = 0.1


def reads_attributes() -> float:
    return Attributes.lr


async def asynchronous(lr: float) -> float:
    return lr


def unpicklable(lr: float) -> Any:
    return threading.Lock()


def large(lr: int) -> bytes:
    return bytes(200_000 + lr)


def starts_its_own(lr: float) -> str:
    with tracelet.start_logging("own", "demo") as exp:
        return str(exp.run_id)


def descend(x: float, kind: str = "good", epochs: int = 5) -> str:
    """Come nearer to (x - 2)², and stop when it is not worth going on."""
    exp = tracelet.get_active_experiment()
    assert exp is not None
    for epoch in range(epochs):
        loss = (x - 2) ** 2 + (kind == "bad") + 1 / (epoch + 1)
        exp.log_metric("val_loss", loss, iteration=epoch)
        if exp.should_stop():
            return f"stopped at {epoch}"
    return "to the end"


def negative(x: int) -> dict[str, int]:
    if x == 3:
        raise ValueError("no 3")
    return {"score": -x}


def gives_nothing(x: int) -> None:
    pass
