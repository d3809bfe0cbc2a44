"""Which trackers are compared, how a script is told of them, and how their stores are read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tracelet
from tracelet.courier.cursor import CursorFile
from tracelet.journal.rundir import RunDir
from tracelet.testing import ReadBack
from tracelet.testing.harnesses import find_harness

TRACKERS = ("local", "mlflow", "wandb", "clearml", "tensorboard")
PATIENCE = 150.0
"""Seconds that a delivery may take: two cores, shared, import four SDKs slowly."""
SCRIPT = Path(__file__).with_name("training.py")


class Trackers:
    """The stores of all trackers, below one folder.

    Args:
        folder: an empty directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._harnesses = {name: find_harness(name) for name in TRACKERS}
        for name, harness in self._harnesses.items():
            self._of(name).mkdir(parents=True)
            harness.prepare(self._of(name))

    def settings(self, backend: str | Iterable[str]) -> str:
        """Return the content of a ``tracelet.toml``; the first line says where runs go."""
        chosen = backend if isinstance(backend, str) else list(backend)
        lines = [
            f"backend = {json.dumps(chosen)}",
            'dir = "runs"',
            f"drain_timeout = {PATIENCE}",
            "capture = false",
            "system_metrics = false",
        ]
        for name, harness in self._harnesses.items():
            lines += ["", f"[backends.{name}]"]
            lines += [
                f"{option} = {json.dumps(value)}"
                for option, value in harness.options(self._of(name)).items()
            ]
        return "\n".join(lines) + "\n"

    def environment(self) -> dict[str, str]:
        """Return the variables that the trackers' SDKs need in a script's process."""
        wanted: dict[str, str] = {}
        for name, harness in self._harnesses.items():
            wanted.update(harness.environment(self._of(name)))
        return wanted

    def read_back(self, name: str, run_dir: Path) -> ReadBack:
        """Read a run from a tracker's own store."""
        return self._harnesses[name].read_back(tracelet.load_run(run_dir), self._of(name))

    def _of(self, name: str) -> Path:
        return self.folder / name


class Training:
    """The script, run by a process of its own in a directory with a ``tracelet.toml``.

    Args:
        directory: a directory of its own.
        settings: the content of ``tracelet.toml``.
        arguments: of the script.
        environment: variables besides those of this process.
        script: the script.
    """

    def __init__(
        self,
        directory: Path,
        settings: str,
        *arguments: str,
        environment: dict[str, str],
        script: Path = SCRIPT,
    ) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        (directory / "tracelet.toml").write_text(settings)
        (directory / "train.py").write_bytes(script.read_bytes())
        self._output = directory / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "train.py", *arguments],
                cwd=directory,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )

    @property
    def run_dir(self) -> Path:
        """The directory of the one run that there is."""
        (found,) = (self.directory / "runs/together").glob("*/run.json")
        return found.parent

    @property
    def output(self) -> str:
        """What the script has printed."""
        return self._output.read_text(errors="replace")

    def tell(self) -> None:
        """Let a script go on that waits to be told."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def wait_until_it_says(self, word: str) -> None:
        """Wait until the script prints a word."""
        wait_for(lambda: word in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output

    def wait(self) -> int:
        """Wait until the script has ended, and return its exit code."""
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def wait_until_delivered(self) -> None:
        """Wait until the script and its courier have left, with nothing undone."""
        self.wait()
        wait_until_settled(self.run_dir)


def wait_until_settled(run_dir: Path) -> None:
    """Wait until every backend has closed a run, and its courier has left."""
    run = RunDir(run_dir)
    wait_for(lambda: _is_settled(run))


def _is_settled(run: RunDir) -> bool:
    names = json.loads(run.run_json.read_bytes())["backends"]
    if any(CursorFile(run.cursors, name).load().closed is None for name in names):
        return False
    lock = run.lock()
    if not lock.acquire():
        return False
    lock.release()
    return True


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain, last {found!r}"
        time.sleep(0.02)
    return found
