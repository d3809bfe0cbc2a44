"""What a check is given: the runs of a backend, each logged once and read back once for all checks.

An SDK takes seconds to import, so the checks share runs: one run holds the values of fifty checks,
and each check looks at its own.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import msgspec

from tracelet.backends.base import Backend, Capabilities, Support
from tracelet.testing import faults
from tracelet.testing.jobs import Process, call
from tracelet.testing.runner import Courier, Outcome, Runner
from tracelet.testing.scripts import SCRIPTS

_ENDINGS = {"exception": "exception", "SIGINT": "wait", "SIGTERM": "wait", "SIGKILL": "wait"}
_FAULTS = ("faults", "poison", "hang")


class Context:
    """A backend, and how its runs are delivered.

    Args:
        runner: where the runs are.
        courier: ``process`` or ``thread``.
    """

    def __init__(self, runner: Runner, courier: Courier) -> None:
        self.runner = runner
        self.courier = courier

    @property
    def backend(self) -> type[Backend]:
        """The backend's class."""
        return self.runner.found.cls

    @property
    def name(self) -> str:
        """The backend's name."""
        return self.runner.found.name

    @property
    def folder(self) -> Path:
        """Where the tracker keeps its things."""
        return self.runner.folder

    @property
    def everything(self) -> Outcome:
        """The run that has a value for almost every check."""
        return self.outcome("everything")

    def support(self, field: str) -> Support:
        """Return what the backend declares.

        Raises:
            AssertionError: it does not say.
        """
        declared: Support = getattr(self.backend.capabilities, field)
        if declared is Support.UNKNOWN:
            raise AssertionError(
                f"the backend {self.name!r} does not say what it does with this: declare "
                f"{field}=Support.FULL, EMULATED or UNSUPPORTED in its Capabilities; "
                f"{field} means: {_meaning(field)}"
            )
        return declared

    def outcome(self, script: str) -> Outcome:
        """Return what became of the run of a script."""
        job = self.runner.job(script, f"{script}-{self.courier}", self.courier)
        return self.runner.once(job.run_id, lambda: self.runner.done(job))

    def resumed(self, run_id: str) -> Outcome:
        """Go on with a run that has ended; return what became of it."""
        job = self.runner.job("resume", run_id, self.courier, resume=True)
        return self.runner.once(f"{run_id} resumed", lambda: self.runner.done(job))

    def added(self, by: str) -> Outcome:
        """Set something on a run that has ended; return what became of the run."""
        return self.runner.once(f"ended by {by}, added", lambda: self._add(f"ended-{by.lower()}"))

    def _add(self, run_id: str) -> Outcome:
        process = self.runner.process(self.runner.job("add", run_id, self.courier))
        process.wait()
        self.runner.settle(process.job)
        return self.runner.ended(process)

    def sandboxed(self) -> Outcome:
        """Return the run of everything, logged by a process of its own in any case."""
        if not self.runner.capabilities.in_process:
            return self.everything
        job = self.runner.job("everything", "elsewhere", self.courier)
        return self.runner.once("elsewhere", lambda: self.runner.done_elsewhere(job))

    def ended(self, by: str) -> Outcome:
        """Return what became of a run that was ended by ``exception`` or by a signal's name."""
        if not self.runner.knows(f"ended by {by}"):
            # All at once: each of them waits most of the time.
            started = {
                ending: self.runner.process(
                    self.runner.job(script, f"ended-{ending.lower()}", "process")
                )
                for ending, script in _ENDINGS.items()
            }
            try:
                for ending, process in started.items():
                    self.runner.keep(f"ended by {ending}", partial(self._end, ending, process))
            finally:
                for process in started.values():
                    process.end()
        return self.runner.once(f"ended by {by}")

    def _end(self, ending: str, process: Process) -> Outcome:
        if ending != "exception":
            process.until_ready()
            os.kill(process.process.pid, getattr(signal, ending))
        process.wait()
        self.runner.settle(process.job)
        return self.runner.look_at(process)

    def faulty(self, script: str) -> Outcome:
        """Return what became of a run whose backend fails as the script of faults wants it."""
        job = self.runner.job(script, f"{script}-{self.courier}", self.courier)
        if self.runner.capabilities.in_process:
            marks = faults.Faults(job.work / "marks", alone=False)
            here = msgspec.structs.replace(job, backend=faults.faulty(self.backend, marks))
            return self.runner.once(
                job.run_id, lambda: self.runner.look(job, call(SCRIPTS[script], here))
            )
        self.start_faults()
        return self.runner.once(
            job.run_id, lambda: self.runner.ended(self.runner.started[job.run_id])
        )

    def start_faults(self) -> None:
        """Start the runs whose backend fails: they wait most of the time, so others can go on."""
        for script in _FAULTS if not self.runner.capabilities.in_process else ():
            run_id = f"{script}-{self.courier}"
            if run_id not in self.runner.started:
                self.runner.started[run_id] = self._start_faulty(script)

    def _start_faulty(self, script: str) -> Process:
        job = self.runner.job(script, f"{script}-{self.courier}", self.courier)
        variables: dict[str, str] = {
            faults.BACKEND: job.backend,
            faults.MARKS: str(job.work / "marks"),
        }
        if script == "hang":
            variables[faults.BOUND] = str(self.runner.hang_bound)
        return self.runner.process(msgspec.structs.replace(job, backend=faults.TARGET), **variables)


def _meaning(field: str) -> str:
    found = ""
    for line in (Capabilities.__doc__ or "").splitlines():
        words = line.strip()
        if words.startswith(f"{field}: "):
            found = words.removeprefix(f"{field}: ")
        elif found and line.startswith(" " * 12):
            found += f" {words}"
        elif found:
            break
    return found
