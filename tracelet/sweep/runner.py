"""Runs the configurations of a sweep that are not done yet, and keeps account of all of them.

Promises:

- Nothing is begun before every configuration was checked, and while another process runs a sweep
  of the same name.
- A configuration that raises, or whose process dies, fails alone, with the reason.
- What is done is not run again, however the sweep came to its end before.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Future
from pathlib import Path
from typing import Any, Literal

import msgspec

from tracelet.errors import ConfigurationFailedError, SweepBusyError, WorkerDiedError, warn
from tracelet.sweep.carrying import carried, run_carried
from tracelet.sweep.completion import Jobs
from tracelet.sweep.ledger import Entry, Failure, now
from tracelet.sweep.plan import Plan
from tracelet.sweep.pool import WorkerPool, processors
from tracelet.sweep.progress import progress, say_what_is_kept
from tracelet.sweep.results import Result, Results
from tracelet.sweep.work import NOT_HERE, Outcome, Task, summary, work

_AGAIN = 2
"""How often a configuration is submitted again that came back without having begun."""


def execute(
    plan: Plan,
    executor: Any = None,
    *,
    max_workers: int | None = None,
    on_error: Literal["collect", "raise"] = "collect",
    retry_failed: bool = False,
) -> Results:
    """Run what is not done; see :meth:`tracelet.Sweep.run`."""
    sweep_dir = plan.directory
    if executor is None:
        plan.check_carried()
    sweep_dir.create()
    lock = sweep_dir.lock()
    if not lock.acquire():
        raise SweepBusyError(_busy(plan))
    try:
        return _Execution(plan, executor, max_workers, on_error, retry_failed=retry_failed).run()
    finally:
        lock.release()


def _busy(plan: Plan) -> str:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        process = plan.directory.read_about().process
        return (
            f"the sweep {plan.name!r} of the project {plan.settings.project!r} is being run by "
            f"process {process.get('pid')} on {process.get('host')}; give this one another name="
        )
    return f"the sweep {plan.name!r} is being run by another process; give this one another name="


class _Execution:
    def __init__(
        self,
        plan: Plan,
        executor: Any,
        max_workers: int | None,
        on_error: str,
        *,
        retry_failed: bool,
    ) -> None:
        self._plan = plan
        self._executor = executor
        self._max_workers = max_workers
        self._on_error = on_error
        self._dir = plan.directory
        self._entries = self._dir.entries()
        again = ("failed",) if retry_failed else ()
        self._todo = [
            place
            for place, key in enumerate(plan.keys)
            if (known := self._entries.get(key)) is None
            or known.state in ("pending", "running", *again)
        ]
        self._live: dict[int, Any] = {}
        self._broken: BaseException | None = None
        self._submitted: Counter[int] = Counter()

    def run(self) -> Results:
        """Run what is to be done, and return what has become of all."""
        keys = self._plan.keys
        kept = [self._entries[keys[place]] for place in set(range(len(keys))) - set(self._todo)]
        failed = sum(entry.state == "failed" for entry in kept)
        say_what_is_kept(self._plan.name, len(keys), len(kept), failed)
        workers = self._max_workers or processors()
        workers = max(1, min(workers, len(self._todo)))
        self._dir.write_about(self._plan.about(workers if self._executor is None else None))
        attempts = {place: self._attempt(place) for place in self._todo}
        self._dir.append(self._plan.pending(place, attempts[place]) for place in self._todo)
        tasks = {place: self._plan.task(place, attempts[place]) for place in self._todo}
        if tasks and self._executor is None:
            self._run_in_processes(tasks, workers)
        elif tasks:
            self._run_with(self._executor, work, tasks)
        if self._broken is not None:
            warn(
                f"the executor broke ({self._broken}), and some configurations were not run; "
                f"running the sweep {self._plan.name!r} again runs them"
            )
        return self._results()

    def _attempt(self, place: int) -> int:
        known = self._entries.get(self._plan.keys[place])
        return known.attempt + 1 if known is not None else 1

    def _run_in_processes(self, tasks: dict[int, Task], workers: int) -> None:
        pool = WorkerPool(workers)
        try:
            self._run_with(
                pool, run_carried, {place: carried(task) for place, task in tasks.items()}
            )
        except BaseException as error:
            if not isinstance(error, Exception):
                pool.kill()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _run_with(self, executor: Any, call: Callable[..., Any], tasks: Mapping[int, Any]) -> None:
        def submit(place: int) -> Any:
            task, before = tasks[place], self._submitted[place]
            if before:
                task = dataclasses.replace(task, submission=before)
            return executor.submit(call, task)

        jobs = Jobs(submit)
        try:
            for place in tasks:
                try:
                    jobs.submit(place)
                except BrokenExecutor as error:
                    self._broken = error
                    break
            self._collect(jobs)
        except BaseException:
            jobs.cancel()
            for place, job in jobs.jobs.items():
                self._save_if_done(place, job)
            raise

    def _collect(self, jobs: Jobs) -> None:
        count, ended, failed = len(self._plan.keys), 0, 0
        with progress(self._plan.name, count, count - len(self._todo)) as tell:
            for place, job in jobs.ended():
                entry = self._ended(place, job, jobs)
                if entry is None:
                    continue
                ended += 1
                failed += entry.state == "failed"
                tell(ended, failed)
                if entry.state == "failed" and self._on_error == "raise":
                    error = Result(self._plan.configurations[place], entry, self._dir).error
                    assert error is not None
                    error.add_note(f"in {self._label(place)}")
                    raise error

    def _label(self, place: int) -> str:
        config = self._plan.configurations[place]
        return (
            f"configuration {config.index} of the sweep {self._plan.name!r}: {dict(config)!r:.200}"
        )

    def _ended(self, place: int, job: Any, jobs: Jobs) -> Entry | None:
        """Take what a job has come to into account; None if it was not begun, or is tried again."""
        try:
            outcome = job.result()
        except CancelledError:
            return None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - of the worker, of the executor, of pickling
            return self._lost(place, error, jobs)
        self._save(place, outcome)
        return self._entries[self._plan.keys[place]]

    def _save(self, place: int, outcome: Outcome) -> None:
        entry = outcome.entry
        if not outcome.is_written:
            self._dir.record(entry, outcome.file)
        if isinstance(entry.value, dict) and set(entry.value) == {"$lost"}:
            warn(
                f"what {self._label(place)} returned, a {entry.value['$lost']}, cannot be pickled: "
                f"it is gone with the process that made it"
            )
        self._entries[entry.key] = entry
        if outcome.value is not NOT_HERE:
            self._live[place] = outcome.value

    def _save_if_done(self, place: int, job: Any) -> None:
        """Take into account what ended while the sweep was stopped."""
        if isinstance(job, Future) and job.done() and not job.cancelled() and not job.exception():
            self._save(place, job.result())

    def _lost(self, place: int, error: BaseException, jobs: Jobs) -> Entry | None:
        """Account for a configuration whose worker did not come back."""
        key, attempt = self._plan.keys[place], self._attempt(place)
        known = self._dir.entries().get(key)
        if known is None or known.attempt != attempt or known.state == "pending":
            return self._not_begun(place, error, jobs)
        if known.state == "running":
            run = known.run
            known = msgspec.structs.replace(
                known,
                state="failed",
                time=now(),
                error=Failure(type(error).__name__, str(error)),
                metrics=summary(Path(run)) if run is not None else {},
            )
            self._dir.append([known])
        self._entries[key] = known  # else it died after its work
        return known

    def _not_begun(self, place: int, error: BaseException, jobs: Jobs) -> Entry | None:
        if isinstance(error, BrokenExecutor):
            self._broken = error
            return None
        if isinstance(error, WorkerDiedError):
            raise ConfigurationFailedError(
                f"the worker processes cannot start ({error}): a script is a file, and its call "
                f"of run() stands under  if __name__ == '__main__':"
            ) from error
        # It may only have waited in a worker that another configuration has brought down.
        self._submitted[place] += 1
        if self._submitted[place] <= _AGAIN:
            jobs.submit(place)
            return None
        entry = Entry(
            key=self._plan.keys[place],
            state="failed",
            attempt=self._attempt(place),
            time=now(),
            index=self._plan.configurations[place].index,
            error=Failure(type(error).__name__, str(error)),
        )
        self._dir.append([entry])
        self._entries[entry.key] = entry
        return entry

    def _results(self) -> Results:
        results = [
            Result(config, self._entries.get(key), self._dir, self._live.get(place, NOT_HERE))
            for place, (config, key) in enumerate(
                zip(self._plan.configurations, self._plan.keys, strict=True)
            )
        ]
        return Results(self._plan.name, self._dir.path, results)
