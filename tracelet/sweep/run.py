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
import functools
import queue
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from pathlib import Path
from typing import Any, Literal

import msgspec

from tracelet.capture.command_line import command_line, guess_secret_values, redacted
from tracelet.core.experiment import Experiment
from tracelet.errors import (
    ConfigurationFailedError,
    SettingsError,
    SweepBusyError,
    ValueTypeError,
    WorkerDiedError,
    warn,
)
from tracelet.journal.process import this_process
from tracelet.redaction import Redactor
from tracelet.settings import Settings
from tracelet.sweep.calling import check_call, check_whole
from tracelet.sweep.configuration import Configuration
from tracelet.sweep.factors import fresh
from tracelet.sweep.files import encoded
from tracelet.sweep.ledger import About, Entry, Failure, SweepDir
from tracelet.sweep.pool import WorkerPool, processors
from tracelet.sweep.results import Result, Results
from tracelet.sweep.script import Script
from tracelet.sweep.targets import Target, check_configuration
from tracelet.sweep.work import NOT_HERE, Outcome, Task, run_pickled, summary, to_pickle, work

# -- what is to be run --------------------------------------------------------------------------

MOST = 1_000_000
"""More configurations are not run: nobody would see the end."""


class Plan:
    """A sweep that is to be run.

    Args:
        configurations: all of them.
        target: what they are for.
        train: what to call with each.
        name: of the sweep; None: that of the training.
        factors: the sweep as it is saved, or None.
        settings: of the runs, as arguments of an experiment.

    Raises:
        InvalidValueError: a configuration does not fit.
        SettingsError: a setting is unknown or wrong.
        UnknownBackendError: a backend is not known, or not installed.
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        *,
        target: Target,
        train: Callable[..., Any],
        name: str | None,
        factors: list[Any] | None,
        settings: Mapping[str, Any],
    ) -> None:
        self.configurations = configurations
        self.target = target
        self.train = train
        self.name = name or _name_of(train)
        self.factors = factors
        for config in configurations:
            check_configuration(target, config, config.index)
            check_call(train, target, config)
            check_whole(train, config, config.index)
        if refused := sorted({"params", "resume", "run_id"} & set(settings)):
            raise SettingsError(
                f"run() takes no {refused[0]}=: each configuration is a run of its own, with its "
                f"own parameters"
            )
        trial = Experiment(self.name, **settings)
        trial.check_start()
        self.tags = settings.get("tags") or {}
        self.settings: Settings = trial.settings
        self.group = self.settings.group or self.name
        self.directory = SweepDir.of(self.settings.dir, self.settings.project, self.name)
        seen: Counter[str] = Counter()
        self.keys: list[str] = []
        for config in configurations:
            identity = config.id
            self.keys.append(f"{identity}-{seen[identity]}")
            seen[identity] += 1

    def check_picklable(self) -> None:
        """Check that everything can be sent to another process.

        Raises:
            ValueTypeError: it cannot.
        """
        bound = self.target.value if self.target.is_class else None
        configs = (
            (f"configuration {config.index}", dict(config)) for config in self.configurations
        )
        for label, what in (
            (self.target.label, bound),
            (_name_of(self.train), self.train),
            *configs,
        ):
            try:
                to_pickle(what)
            except Exception as error:  # pickling is foreign code
                raise ValueTypeError(
                    f"{label} cannot be sent to a worker process ({error}): define it at the top "
                    f"of a module, install cloudpickle, or run the sweep in threads with "
                    f"executor=concurrent.futures.ThreadPoolExecutor()"
                ) from error

    def task(self, place: int, attempt: int) -> Task:
        """Return what a worker needs to run one configuration."""
        config, count = self.configurations[place], len(self.configurations)
        return self.task_of(config, self.keys[place], attempt, count=count)

    def task_of(
        self,
        config: Configuration,
        key: str,
        attempt: int = 1,
        *,
        count: int,
        stops: Callable[[Experiment], Callable[[], bool]] | None = None,
    ) -> Task:
        """Return what a worker needs to run a configuration that is, or is not, one of these."""
        tags = {
            **self.tags,
            "sweep": self.name,
            "sweep.index": str(config.index),
            "sweep.config": config.id,
        }
        if config.repeat:
            tags["sweep.repeat"] = str(config.repeat)
        return Task(
            train=self.train,
            bound=self.target.value if self.target.is_class else None,
            config=fresh(dict(config)),
            key=key,
            index=config.index,
            attempt=attempt,
            name=f"{self.name}-{config.index:0{len(str(count - 1))}}",
            settings=as_config(self.settings, self.group),
            tags=tags,
            directory=str(self.directory.path),
            stops=stops,
        )

    @contextlib.contextmanager
    def held(self, executor: Any) -> Iterator[None]:
        """Keep the sweep's directory to this process while the block runs.

        Raises:
            SweepBusyError: another process runs a sweep of this name.
            ValueTypeError: there is no executor, and a worker process cannot be sent everything.
        """
        if executor is None:
            self.check_picklable()
        self.directory.create()
        lock = self.directory.lock()
        if not lock.acquire():
            raise SweepBusyError(self._busy())
        try:
            yield
        finally:
            lock.release()

    def _busy(self) -> str:
        who = "another process"
        with contextlib.suppress(OSError, msgspec.DecodeError):
            process = self.directory.read_about().process
            who = f"process {process.get('pid')} on {process.get('host')}"
        return (
            f"the sweep {self.name!r} of the project {self.settings.project!r} is being run by "
            f"{who}; give this one another name="
        )

    def about(self, workers: int | None) -> About:
        """Return what ``sweep.json`` says."""
        module = getattr(self.train, "__module__", None)
        name = getattr(self.train, "__qualname__", "")
        importable = module not in (None, "__main__", "__mp_main__") and "<" not in name
        script = self.train if isinstance(self.train, Script) else None
        backends = self.settings.backend
        redactor, argv = Redactor(), command_line()
        factors = self.factors
        if factors is not None and redactor.value("factors", factors) != factors:
            factors = None
        return About(
            name=self.name,
            project=self.settings.project,
            group=self.group,
            count=len(self.configurations),
            started=time.time(),
            factors=factors,
            train=f"{module}:{name}" if importable else None,
            command=None if script is None else [script.path, *script.arguments],
            directory=None if script is None else script.directory,
            backends=list(backends) if all(isinstance(one, str) for one in backends) else None,
            argv=redacted(argv, redactor, guess_secret_values(argv, redactor)),
            process=dict(this_process()),
            workers=workers,
        )


def pending(config: Configuration, key: str, attempt: int) -> Entry:
    """Return the line that a configuration begins with in the ledger."""
    values: dict[str, Any] = Redactor().value("config", _json_safe(config))
    return Entry(key, "pending", attempt, time.time(), config.index, values)


def as_config(settings: Settings, group: str) -> dict[str, Any]:
    """Return settings as they are given to a worker, so that it decides none itself."""
    given = {
        name: getattr(settings, name)
        for name in settings.__struct_fields__
        if name not in ("name", "origins")
    }
    interval = settings.system_metrics
    return {**given, "group": group, "system_metrics": False if interval is None else interval}


def _name_of(train: Any) -> str:
    while (inner := getattr(train, "func", None)) is not None:  # of a partial
        train = inner
    return str(getattr(train, "__name__", None) or getattr(train, "name", None) or "sweep")


def _json_safe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as the ledger shows it; what no file can hold as its ``repr``."""
    safe = {}
    for name, value in config.items():
        try:
            safe[name] = encoded(value, name)
        except ValueTypeError:
            safe[name] = f"{value!r:.200}"
    return safe


# -- which jobs have ended ----------------------------------------------------------------------

_POLL_SECONDS = (0.05, 1.0)
"""Shortest and longest pause between two looks at jobs that have to be polled."""


class Jobs:
    """Jobs of an executor: futures, or others with ``done()`` that are polled, e.g. submitit's.

    Args:
        submit: gives a place's job to the executor.
    """

    def __init__(self, submit: Callable[[int], Any]) -> None:
        self._submit = submit
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.jobs: dict[int, Any] = {}
        self._polled: dict[int, Any] = {}
        self._left = 0

    def submit(self, place: int) -> None:
        """Submit the job of a place, for the first time or again."""
        job = self.jobs[place] = self._submit(place)
        self._left += 1
        if isinstance(job, Future):
            job.add_done_callback(functools.partial(self._note_done, place))
        else:
            self._polled[place] = job

    def ended(self) -> Iterator[tuple[int, Any]]:
        """Yield each job when it has ended, until there is none left."""
        pause = _POLL_SECONDS[0]
        while self._left:
            done = [place for place, job in self._polled.items() if job.done()]
            for place in done:
                del self._polled[place]
                self._done.put(place)
            pause = _POLL_SECONDS[0] if done else min(pause * 1.5, _POLL_SECONDS[1])
            try:
                place = self._done.get(timeout=pause if self._polled else 1.0)
            except queue.Empty:
                continue
            self._left -= 1
            yield place, self.jobs[place]

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for job in self.jobs.values():
            job.cancel()

    def _note_done(self, place: int, _: Future[Any]) -> None:
        self._done.put(place)


# -- how far it is ------------------------------------------------------------------------------


@contextlib.contextmanager
def progress(name: str, count: int, done: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs.

    Args:
        name: the sweep's.
        count: how many configurations it has.
        done: how many are done before.

    Yields:
        A function to call with how many have ended, and how many of those have failed.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=count, completed=done)

        def report(ended: int, failed: int) -> None:
            description = f"{name}, {failed} failed" if failed else name
            bar.update(task, completed=done + ended, description=description)

        yield report


def print_kept(name: str, count: int, kept: int, failed: int) -> None:
    """Write on stderr how many configurations are not run again, and how many of them failed."""
    if sys.stderr is None or not kept:
        return
    again = f"; {failed} failed, which retry_failed=True runs again" if failed else ""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(
            f"tracelet: the sweep {name!r} goes on: {kept} of {count} configurations were run "
            f"before and are kept{again}; another name= runs all of them\n"
        )


# -- running it ---------------------------------------------------------------------------------

_AGAIN = 2
"""How often a configuration is submitted again that came back without having begun."""


class Execution:
    """Runs what is not done of a sweep, whose directory is held; see :meth:`tracelet.Sweep.run`."""

    def __init__(
        self,
        plan: Plan,
        executor: Any,
        *,
        max_workers: int | None,
        on_error: Literal["collect", "raise"],
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
        print_kept(self._plan.name, len(keys), len(kept), failed)
        workers = self._max_workers or processors()
        workers = max(1, min(workers, len(self._todo)))
        self._dir.write_about(self._plan.about(workers if self._executor is None else None))
        attempts = {place: self._attempt(place) for place in self._todo}
        configs = self._plan.configurations
        self._dir.append(
            pending(configs[place], keys[place], attempts[place]) for place in self._todo
        )
        tasks = {place: self._plan.task(place, attempts[place]) for place in self._todo}
        if tasks and self._executor is None:
            with WorkerPool(workers) as pool:
                pickled = {place: to_pickle(task) for place, task in tasks.items()}
                self._run_with(pool, run_pickled, pickled)
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
        with progress(self._plan.name, count, count - len(self._todo)) as report:
            for place, job in jobs.ended():
                entry = self._ended(place, job, jobs)
                if entry is None:
                    continue
                ended += 1
                failed += entry.state == "failed"
                report(ended, failed)
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
                time=time.time(),
                error=Failure.of(error),
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
            time=time.time(),
            index=self._plan.configurations[place].index,
            error=Failure.of(error),
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
