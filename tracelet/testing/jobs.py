"""A job: one script that logs, run in a process of its own in an empty home, or in this process.

The process has a working, home and temporary directory of its own, so that what is left there
afterwards was written where nobody had said it might be.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from tracelet.destinations import slug
from tracelet.journal.ownership import state_directory
from tracelet.testing import values

PATIENCE = 300.0
"""Seconds after which a job, or the delivery of its run, is taken to hang."""


class Job(msgspec.Struct, kw_only=True):
    """What a script is told.

    Attributes:
        script: its name in :data:`tracelet.testing.scripts.SCRIPTS`.
        backend: the backend, as ``start_logging`` takes it.
        name: the backend's name.
        options: its options.
        courier: ``process`` or ``thread``.
        runs: where runs are kept.
        run_id: the id of the run.
        resume: whether the run is there already.
        work: a directory of the job's own.
        points: how many points are many.
        size: how many bytes are a large artifact.
    """

    script: str
    backend: str
    name: str
    options: dict[str, Any]
    courier: Literal["process", "thread"]
    runs: Path
    run_id: str
    resume: bool = False
    work: Path
    points: int = 100_000
    size: int = 200_000_000

    @property
    def run_dir(self) -> Path:
        """The directory of the run."""
        return self.runs / slug(values.PROJECT) / self.run_id

    @property
    def ready(self) -> Path:
        """The file that a script makes when it is ready to be ended."""
        return self.work / "ready"

    @property
    def answers(self) -> Path:
        """The file with what a script has reported."""
        return self.work / "answers.json"

    @property
    def sandbox(self) -> Path:
        """The directory with the working, home and temporary directory of the process."""
        return self.work / "sandbox"

    def settings(self, **others: Any) -> dict[str, Any]:
        """Return the arguments of ``Experiment`` for this job."""
        which = {"resume": self.run_id} if self.resume else {"run_id": self.run_id}
        return {
            "name": values.NAME,
            "project": values.PROJECT,
            "group": values.GROUP,
            "dir": self.runs,
            "backend": self.backend,
            "backends": {self.name: self.options},
            "courier": self.courier,
            "drain_timeout": PATIENCE,
            "capture": False,
            "system_metrics": False,
            "ranks": "all",
            **which,
            **others,
        }


Answers = dict[str, Any]
"""What a script reports of what only the process that logs can see."""


class Process:
    """A job in a process of its own.

    Args:
        job: the job.
        environment: variables besides those of this process.
        arguments: what its command line has besides.
    """

    def __init__(self, job: Job, environment: dict[str, str], arguments: list[str]) -> None:
        self.job = job
        homes = {name: job.sandbox / name for name in ("cwd", "home", "tmp")}
        for path in homes.values():
            path.mkdir(parents=True)
        (job.work / "job.json").write_bytes(msgspec.json.encode(job, enc_hook=os.fspath))
        self._output = {name: job.work / name for name in ("stdout", "stderr")}
        with self._output["stdout"].open("wb") as out, self._output["stderr"].open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tracelet.testing.child", str(job.work), *arguments],
                cwd=homes["cwd"],
                env=_environment(homes["home"], homes["tmp"], environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def wait(self) -> int:
        """Wait for its end and return the exit code; negative: the signal that ended it.

        Raises:
            AssertionError: it does not end.
        """
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(
                f"the script {self.job.script!r} did not end within {PATIENCE:.0f} s; it wrote:\n"
                f"{self._errors()}"
            ) from None

    def succeed(self) -> None:
        """Wait for its end.

        Raises:
            AssertionError: it does not end, or with another exit code than 0.
        """
        if code := self.wait():
            raise AssertionError(
                f"the script {self.job.script!r} ended with code {code}:\n{self._errors()}"
            )

    def end(self) -> None:
        """End it, if it still runs: a script that waits would wait forever."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def until_ready(self) -> None:
        """Wait until the script may be ended.

        Raises:
            AssertionError: it ended before.
        """
        for _ in ticks(f"the script {self.job.script!r} to be ready"):
            if self.job.ready.exists():
                return
            if self.process.poll() is not None:
                raise AssertionError(f"the script {self.job.script!r} failed:\n{self._errors()}")

    def output(self, stream: str) -> str:
        """Return what it wrote to ``stdout`` or ``stderr``."""
        return self._output[stream].read_text(errors="replace")

    def _errors(self) -> str:
        """Return the end of what it wrote to ``stderr``."""
        return self.output("stderr")[-4000:]

    def answers(self) -> Answers:
        """Return what it reported; nothing if it was ended."""
        try:
            return msgspec.json.decode(self.job.answers.read_bytes(), type=Answers)
        except FileNotFoundError:
            return {}


def leftovers(job: Job) -> list[str]:
    """Return what is in the working, home and temporary directory of a job's process."""
    found = (path for path in job.sandbox.rglob("*") if not path.is_dir() or path.is_symlink())
    return sorted(path.relative_to(job.sandbox).as_posix() for path in found)


def ticks(waiting_for: str) -> Iterator[None]:
    """Yield now and then, until the caller has seen what it waits for.

    Raises:
        AssertionError: it took too long.
    """
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while time.monotonic() < deadline:
        yield
        pause.wait(0.02)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {waiting_for}")


def call(script: Callable[[Job], Answers | None], job: Job) -> Answers:
    """Run a script in this process: for backends that live in the process that logs."""
    job.work.mkdir(parents=True, exist_ok=True)
    return script(job) or {}


def _environment(home: Path, temporary: Path, others: dict[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TRACELET_", "XDG_", "PYTEST_")) and name != "CLICOLOR_FORCE"
    }
    state = state_directory()
    if (
        state is not None
    ):  # else the runs would not be this user's own, for the tests that read them
        kept["XDG_STATE_HOME"] = str(state.parent)
    return {
        **kept,
        **others,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),  # noqa: PTH109
        "CONTRACT_API_KEY": values.SECRETS["environment"],
    }
