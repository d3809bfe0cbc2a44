"""Runs the jobs of the checks of one backend, and keeps what became of each run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import msgspec

from tracelet.backends.base import Capabilities
from tracelet.backends.registry import ResolvedBackend, resolve
from tracelet.core.run import Run, load_run
from tracelet.courier.cursor import CursorFile
from tracelet.courier.report import BackendReport
from tracelet.journal.rundir import RunDir
from tracelet.testing import values
from tracelet.testing.harness import Harness
from tracelet.testing.jobs import Answers, Job, Process, call, leftovers, ticks
from tracelet.testing.live import forget
from tracelet.testing.readback import ReadBack
from tracelet.testing.scripts import SCRIPTS

Courier = Literal["process", "thread"]


class Outcome(NamedTuple):
    """What became of a run.

    Attributes:
        job: what was logged, and where.
        run: the run, from its journal.
        read: the run, from the tracker.
        report: what became of its records in this backend.
        answers: what the script reported.
        stdout: what its process wrote to stdout.
        stray: files outside of the directories it was given.
    """

    job: Job
    run: Run
    read: ReadBack
    report: BackendReport
    answers: Answers
    stdout: str
    stray: list[str]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """What the backend refused, as the file of rejected records has it."""
        file = RunDir(self.run.dir).rejected.path / f"{self.job.name}.jsonl"
        lines = file.read_bytes().splitlines() if file.exists() else []
        return [msgspec.json.decode(line) for line in lines]


class Runner:
    """Runs jobs for the checks of one backend; it has a folder for the tracker, one for the runs.

    Args:
        harness: what is checked, and how to look at it.
        folder: an empty directory.
        points: how many points are many.
        size: how many bytes are a large artifact.
        hang_bound: the time bound of a call, in seconds, when the backend is made to hang.
    """

    def __init__(
        self,
        harness: Harness,
        folder: Path,
        *,
        points: int = 100_000,
        size: int = 200_000_000,
        hang_bound: float = 5.0,
    ) -> None:
        self.harness = harness
        self.found: ResolvedBackend = resolve(harness.backend)
        self.folder = folder / "tracker"
        self.runs = folder / "runs"
        self.hang_bound = hang_bound
        self.started: dict[str, Process] = {}
        self._work = folder / "work"
        self._points = points
        self._size = size
        self._outcomes: dict[str, Outcome | Exception] = {}
        self._prepared = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started.values():
            process.end()
        forget(self.runs)

    @property
    def capabilities(self) -> Capabilities:
        """What the backend declares."""
        return self.found.cls.capabilities

    def job(self, script: str, run_id: str, courier: Courier, *, resume: bool = False) -> Job:
        """Make the job of a script; the tracker's folder is there then."""
        if not self._prepared:
            self._prepared = True
            self.folder.mkdir(parents=True, exist_ok=True)
            self.harness.prepare(self.folder)
        return Job(
            script=script,
            backend=self.found.target or self.harness.backend,
            name=self.found.name,
            options=self.harness.options(self.folder),
            courier=courier,
            runs=self.runs,
            run_id=run_id,
            resume=resume,
            work=self._work / f"{run_id}-{script}",
            points=self._points,
            size=self._size,
        )

    def process(self, job: Job, **variables: str) -> Process:
        """Start a job in a process of its own."""
        environment = {**self.harness.environment(self.folder), **variables}
        return Process(job, environment, [f"--api-key={values.SECRETS['argument']}"])

    # -- each run once ------------------------------------------------------------------------

    def knows(self, key: str) -> bool:
        """Return whether there is an outcome, or the reason why there is none."""
        return key in self._outcomes

    def keep(self, key: str, make: Callable[[], Outcome]) -> None:
        """Make an outcome; what goes wrong will fail each check that wants it, and no other."""
        try:
            self._outcomes[key] = make()
        except Exception as error:  # noqa: BLE001 - a reader of somebody's
            self._outcomes[key] = error

    def once(self, key: str, make: Callable[[], Outcome] | None = None) -> Outcome:
        """Return an outcome; it is made the first time.

        Raises:
            Exception: whatever was raised when it was made.
        """
        if make is not None and key not in self._outcomes:
            self.keep(key, make)
        found = self._outcomes[key]
        if isinstance(found, Exception):
            raise found
        return found

    # -- how outcomes come about --------------------------------------------------------------

    def done(self, job: Job) -> Outcome:
        """Run a job, where the backend lives, and look at its run."""
        if self.capabilities.in_process:
            return self.look(job, call(SCRIPTS[job.script], job))
        return self.ended(self.process(job))

    def done_elsewhere(self, job: Job) -> Outcome:
        """Run a job in a process of its own, and look at what is left of that."""
        process = self.process(job)
        process.succeed()
        return self._seen(job, ReadBack(), process.answers(), process)

    def ended(self, process: Process) -> Outcome:
        """Wait until a job has succeeded, and look at its run."""
        process.succeed()
        return self.look_at(process)

    def look_at(self, process: Process) -> Outcome:
        """Read the run of a process that has ended."""
        return self.look(process.job, process.answers(), process)

    def look(self, job: Job, answers: Answers, process: Process | None = None) -> Outcome:
        """Read a run back, from its journal and from the tracker."""
        read = self.harness.read_back(load_run(job.run_dir), self.folder)
        return self._seen(job, read, answers, process)

    def settle(self, job: Job) -> None:
        """Wait until the courier that a script has left behind is done with its run.

        Raises:
            AssertionError: it never is.
        """
        run_dir = RunDir(job.run_dir)
        cursors = CursorFile(run_dir.cursors, job.name)
        for _ in ticks(f"the courier of {job.run_dir} to deliver it"):
            if cursors.load().closed is not None:
                lock = run_dir.lock()
                if lock.acquire():
                    lock.release()
                    return

    def _seen(self, job: Job, read: ReadBack, answers: Answers, process: Process | None) -> Outcome:
        run = load_run(job.run_dir)
        return Outcome(
            job=job,
            run=run,
            read=read,
            report=run.report[job.name],
            answers=answers,
            stdout=process.output("stdout") if process is not None else "",
            stray=leftovers(job) if process is not None else [],
        )
