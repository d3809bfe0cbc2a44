"""User scripts in real processes, and what their runs have left on the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tracelet.journal.rundir import RunDir
from tracelet.records import AnyRecord, Metric

TESTS = Path(__file__).parent


class Script:
    """A script that runs in ``directory``; what it prints is in ``output``."""

    def __init__(
        self,
        directory: Path,
        text: str,
        *arguments: object,
        name: str = "train.py",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.path = directory / name
        self.path.write_text(textwrap.dedent(text))
        self._output = directory / f"{name}.output"
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(self.path), *map(str, arguments)],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(paths),
                    # Each data folder of a test is its own, and so is what libraries keep at home.
                    "MPLCONFIGDIR": str(directory),
                    **(environment or {}),
                },
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self, timeout: float = 120.0) -> int:
        """Wait for its end and return the exit code; negative: the signal that killed it."""
        return self._process.wait(timeout)

    def succeed(self, timeout: float = 120.0) -> str:
        """Wait for its end, which must be a good one, and return what it printed."""
        code = self.wait(timeout)
        assert code == 0, f"exit code {code}\n{self.output}"
        return self.output

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


def run_script(directory: Path, text: str, *arguments: object, **options: Any) -> str:
    """Run a script to its good end and return what it printed."""
    return Script(directory, text, *arguments, **options).succeed()


# ---------------------------------------------------------------- what is on the disk, untouched


def journaled(run_dir: Path, *, damaged: int = 0) -> list[AnyRecord]:
    """Every record of the journal, which has at most so many lines that are none.

    Unlike ``load_run``, this changes nothing.
    """
    reader = RunDir(run_dir).reader()
    records = list(reader.records())
    assert reader.skipped <= damaged, f"{reader.skipped} lines are no records"
    reader.close()
    return records


def journaled_points(run_dir: Path, name: str = "loss", *, damaged: int = 0) -> list[int]:
    """The iterations of a metric, in the order of the journal."""
    return [
        record.iteration
        for record in journaled(run_dir, damaged=damaged)
        if type(record) is Metric and record.name == name
    ]


def local_points(run_dir: Path, name: str = "loss") -> list[int]:
    """The iterations of a metric, in the order of the local backend's file."""
    return [point["iteration"] for point in local_lines(run_dir) if point["name"] == name]


def local_lines(run_dir: Path) -> list[dict[str, Any]]:
    """What the local backend's ``metrics.jsonl`` has; a line that is being written is left out."""
    file = run_dir / "metrics.jsonl"
    content = file.read_bytes() if file.exists() else b""
    return [msgspec.json.decode(line) for line in content.split(b"\n")[:-1]]


def local_count(run_dir: Path) -> int:
    """How many points ``metrics.jsonl`` has; quick, for waiting."""
    file = run_dir / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def view(run_dir: Path) -> dict[str, Any]:
    """The content of ``run.json``."""
    content: dict[str, Any] = msgspec.json.decode((run_dir / "run.json").read_bytes())
    return content


def ended_view(run_dir: Path) -> dict[str, Any] | None:
    """The content of ``run.json`` once the run has ended and nothing is pending, else None."""
    now = view(run_dir)
    if now["status"] == "running" or now["report"] is None:
        return None
    return None if any(one["pending"] for one in now["report"]["backends"].values()) else now


def duplicates(values: list[int]) -> list[int]:
    """The values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]


# ------------------------------------------------------------------------ the courier's processes


def courier_processes(run_dir: Path, backend: str | None = None) -> list[psutil.Process]:
    """The courier of a run, or the worker of one of its backends; at most one but for a moment."""
    found = list(_courier_processes(run_dir, backend))
    # A worker that is just being forked looks like the courier until it has a program of its own.
    pids = {process.pid for process in found}
    return [process for process in found if process.info["ppid"] not in pids]


def _courier_processes(run_dir: Path, backend: str | None) -> Iterator[psutil.Process]:
    ending = ["courier", str(run_dir), *(["--backend", backend] if backend else [])]
    for process in psutil.process_iter(["cmdline", "ppid", "status"]):
        command = process.info["cmdline"] or []
        if command[-len(ending) :] == ending and process.info["status"] != psutil.STATUS_ZOMBIE:
            yield process
