"""Searches with Optuna: each trial is a run like those of a sweep, in the same ledger.

Optuna decides which configuration is next and which run is given up, and remembers that in its own
storage: a search that was interrupted goes on there.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from tracelet.core.experiment import Experiment
from tracelet.errors import InvalidValueError, MissingPackageError, ValueTypeError, warn
from tracelet.journal.reader import Position
from tracelet.journal.rundir import RunDir
from tracelet.records import Metric
from tracelet.sweep.calling import check_call
from tracelet.sweep.configuration import Configuration
from tracelet.sweep.factors import fresh
from tracelet.sweep.files import checked_entry
from tracelet.sweep.ledger import Entry, Failure
from tracelet.sweep.pool import WorkerPool, processors
from tracelet.sweep.results import Result, Results
from tracelet.sweep.run import Jobs, Plan, pending, progress
from tracelet.sweep.targets import Target
from tracelet.sweep.values import many, whole_number
from tracelet.sweep.work import Task, run_pickled, to_pickle, work

if TYPE_CHECKING:
    import optuna

# -- the space ----------------------------------------------------------------------------------


def distributions_of(space: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the distributions of the names that vary, and the values of the others.

    Raises:
        InvalidValueError: none varies, or what is given for one cannot be meant.
    """
    from optuna.distributions import BaseDistribution

    if not isinstance(space, Mapping):
        raise ValueTypeError(f"the space is a mapping of names, not a {type(space).__name__}")
    varying: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for name, given in checked_entry(space, "the space").items():
        if isinstance(given, BaseDistribution):
            varying[name] = given
        elif _is_interval(given):
            varying[name] = _interval(name, *given)
        elif isinstance(given, range):
            varying[name] = _interval_of_range(name, given)
        elif (choices := many(given)) is not None:
            varying[name] = _choices(name, choices)
        else:
            fixed[name] = given
    if not varying:
        raise InvalidValueError("there is nothing to search: no name of the space varies")
    return varying, fixed


def _is_interval(given: Any) -> bool:
    return (
        isinstance(given, tuple)
        and (len(given) == 2 or (len(given) == 3 and given[2] == "log"))
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in given[:2])
    )


def _interval(name: str, low: float, high: float, scale: str = "linear") -> Any:
    from optuna.distributions import FloatDistribution, IntDistribution

    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidValueError(f"{name!r} is between two finite numbers, not {low} and {high}")
    try:
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=scale == "log")
        return FloatDistribution(low, high, log=scale == "log")
    except ValueError as error:
        raise InvalidValueError(f"{name!r}: {error}") from error


def _interval_of_range(name: str, given: range) -> Any:
    from optuna.distributions import IntDistribution

    if not given:
        raise InvalidValueError(f"{name!r} has no values; give it at least one, or leave it out")
    low, high = sorted((given[0], given[-1]))
    return IntDistribution(low, high, step=abs(given.step))


def _choices(name: str, choices: Any) -> Any:
    from optuna.distributions import CategoricalDistribution

    if not choices:
        raise InvalidValueError(f"{name!r} has no values; give it at least one, or leave it out")
    wrong = [one for one in choices if not isinstance(one, str | int | float | bool | None)]
    if wrong:
        raise ValueTypeError(
            f"{name!r}: Optuna remembers choices that are strings, numbers, bools or None, "
            f"not {wrong[0]!r:.60}: give it names, and look them up in the training"
        )
    return CategoricalDistribution(choices)


# -- pruning ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Pruning:
    """What a worker needs to ask.

    Attributes:
        storage: where the study is: a URL, an object of Optuna's, or the path of a journal file.
        study: its name.
        trial: the number of the trial.
        metric: the metric that counts.
        pruner: Optuna's, which the storage does not have.
    """

    storage: Any
    study: str
    trial: int
    metric: str
    pruner: Any

    def __call__(self, exp: Experiment) -> Callable[[], bool]:
        """Return what ``exp.should_stop()`` asks."""
        import optuna

        study = optuna.load_study(
            study_name=self.study, storage=opened(self.storage), pruner=self.pruner
        )
        frozen = study.get_trials(deepcopy=False)[self.trial]
        trial = optuna.Trial(study, frozen._trial_id)  # noqa: SLF001 - as Optuna's own workers do
        assert exp.dir is not None
        reader, reported = RunDir(exp.dir).reader(), set[int]()
        position: Position = {}

        def should_stop() -> bool:
            nonlocal position
            while (chunk := reader.read(position)) is not None:
                position = chunk.advance(position, len(chunk.records))
                for record in chunk.records:
                    if type(record) is not Metric or record.name != self.metric:
                        continue
                    value, iteration = float(record.value), record.iteration
                    # Optuna takes one value a step, from 0 on.
                    if iteration >= 0 and iteration not in reported and not math.isnan(value):
                        reported.add(iteration)
                        trial.report(value, iteration)
            reader.close()
            if not reported or not trial.should_prune():
                return False
            trial.set_user_attr(PRUNED, True)
            return True

        return should_stop


PRUNED = "tracelet.pruned"
"""An attribute of each trial that was stopped early."""


def opened(storage: Any) -> Any:
    """Return a storage of Optuna's; the path of a file is a journal in it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if isinstance(storage, str) and "://" not in storage:
        return JournalStorage(JournalFileBackend(storage))
    return optuna.storages.get_storage(storage)


# -- the search ---------------------------------------------------------------------------------


class SearchResults(Results):
    """The results of a search, in the order of its trials.

    Attributes:
        study: Optuna's study.
    """

    study: optuna.Study


def optimize(
    train: Callable[..., Any],
    space: Mapping[str, Any],
    *,
    metric: str,
    n_trials: int = 50,
    mode: Literal["min", "max"] = "min",
    name: str | None = None,
    project: str | None = None,
    backend: Any = None,
    executor: Any = None,
    max_workers: int | None = None,
    sampler: Any = None,
    pruner: Any = None,
    storage: Any = None,
    config: Any = None,
    **settings: Any,
) -> SearchResults:
    """Search a space for the best value of a metric; each trial is a run of its own.

    The same call goes on with a search that was interrupted, until it has ``n_trials`` in all.
    Inside a training, ``exp.should_stop()`` says whether the pruner gives the trial up.

    Args:
        train: called with each configuration, as by :meth:`tracelet.Sweep.run`.
        space: to each name a distribution of Optuna's; ``(low, high)`` or ``(low, high, "log")``
            for a number between, an integer if both are; a list or another iterable of choices;
            or a single value.
        metric: the metric that counts, of which the last value a run has logged is taken; or a
            key of the mapping that ``train`` returns.
        n_trials: how many trials in all.
        mode: ``min`` or ``max``.
        name: of the search and the group of its runs; None: the training's name.
        project: of the runs.
        backend: of the runs.
        executor: any ``concurrent.futures.Executor``; None: processes of this machine.
        max_workers: how many trials at once; None: as many as there are processors.
        sampler: Optuna's; None: its default.
        pruner: Optuna's; None: its default.
        storage: a URL or an object of Optuna's; None: a file in the search's directory.
        config: settings of the runs, as for ``start_logging``.
        settings: any other setting of the runs.

    Returns:
        The results of all trials that were run by this and earlier calls; ``.study`` is Optuna's.

    Raises:
        MissingPackageError: Optuna is not installed; the message has the install line.
        InvalidValueError: the space is empty, or what is given is impossible.
        SweepBusyError: another process runs a sweep or search of this name.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingPackageError(
            "tracelet.sweep.optimize needs Optuna; this installs it:  "
            "python -m pip install 'tracelet[optuna]'"
        ) from error
    count = whole_number("n_trials is the number of trials", n_trials)
    if mode not in ("min", "max"):
        raise InvalidValueError(f"mode is 'min' or 'max', not {mode!r}")
    if max_workers is not None:
        whole_number("max_workers is the number of processes", max_workers)
    if not callable(train):
        raise ValueTypeError(f"optimize() needs a training to call, not {train!r:.80}")
    distributions, fixed = distributions_of(space)
    target = Target(train)
    check_call(train, target, {**dict.fromkeys(distributions), **fixed})
    target.check(sorted({*distributions, *fixed}), strict=False)
    given = {"project": project, "backend": backend, "config": config, **settings}
    plan = Plan([], target=target, train=train, name=name, factors=None, settings=given)
    with plan.held(executor):
        place = str(plan.directory.path / "optuna.log") if storage is None else storage
        direction = optuna.study.StudyDirection["MINIMIZE" if mode == "min" else "MAXIMIZE"]
        study = optuna.create_study(
            storage=opened(place),
            study_name=plan.name,
            direction=direction,
            sampler=sampler,
            pruner=pruner,
            load_if_exists=True,
        )
        if study.direction is not direction:  # Optuna goes on with that of the study
            raise InvalidValueError(
                f"the search {plan.name!r} was begun with another mode than {mode!r}: go on with "
                f"that one, or give this one another name="
            )
        space_of = (distributions, fixed)
        search = _Search(plan, study, storage=place, metric=metric, space=space_of, count=count)
        search.run(executor, max_workers or processors())
        return search.results()


class _Search:
    def __init__(
        self,
        plan: Plan,
        study: Any,
        *,
        storage: Any,
        metric: str,
        space: tuple[dict[str, Any], dict[str, Any]],
        count: int,
    ) -> None:
        self._plan = plan
        self._study = study
        self._storage = storage
        self._metric = metric
        self._distributions, self._fixed = space
        self._count = count
        self._configs: dict[int, Configuration] = {}
        self._is_over = False

    def run(self, executor: Any, workers: int) -> None:
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            self._study.tell(trial.number, state=TrialState.FAIL)  # of a search that was killed
        ended = len(
            self._study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])
        )
        left = self._count - ended
        if left <= 0:
            return
        workers = min(workers, left)
        self._plan.directory.write_about(self._plan.about(workers))
        if executor is not None:
            jobs = Jobs(lambda number: executor.submit(work, self._task(number)))
            self._ask_and_tell(jobs, workers, left)
            return
        with WorkerPool(workers) as pool:
            jobs = Jobs(lambda number: pool.submit(run_pickled, to_pickle(self._task(number))))
            self._ask_and_tell(jobs, workers, left)

    def _ask_and_tell(self, jobs: Jobs, workers: int, left: int) -> None:
        for _ in range(workers):
            jobs.submit(self._next())
        begun, failed = workers, 0
        with progress(self._plan.name, self._count, self._count - left) as report:
            for ended, (number, job) in enumerate(jobs.ended(), 1):
                failed += self._tell(number, job)
                report(ended, failed)
                if begun < left and not self._is_over:
                    jobs.submit(self._next())
                    begun += 1

    def _next(self) -> int:
        trial = self._study.ask(self._distributions)
        self._configs[trial.number] = Configuration({**fresh(self._fixed), **trial.params})
        self._configs[trial.number].index = trial.number
        return int(trial.number)

    def _task(self, number: int) -> Task:
        config = self._configs[number]
        key = f"{config.id}-trial-{number}"
        pruning = Pruning(
            self._storage, self._study.study_name, number, self._metric, self._study.pruner
        )
        self._plan.directory.append([pending(config, key, 1)])
        return self._plan.task_of(config, key, count=self._count, stops=pruning)

    def _tell(self, number: int, job: Any) -> bool:
        """Tell Optuna what a trial has come to; return whether it failed."""
        from optuna.trial import TrialState

        config = self._configs[number]
        try:
            outcome = job.result()
            entry = outcome.entry
            if not outcome.is_written:
                self._plan.directory.record(entry, outcome.file)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - of the worker, or of the executor
            entry = Entry(
                key=f"{config.id}-trial-{number}",
                state="failed",
                attempt=1,
                time=time.time(),
                index=number,
                error=Failure.of(error),
            )
            self._plan.directory.append([entry])
        result = Result(config, entry, self._plan.directory)
        value = result.metric(self._metric) if result.ok else None
        trial = self._study.get_trials(deepcopy=False)[number]
        raised = result.run is not None and result.run.tags.get("optuna.state") == "pruned"
        if raised or trial.user_attrs.get(PRUNED):
            self._finish(number, state=TrialState.PRUNED)
        elif isinstance(value, int | float) and not math.isnan(value):
            self._finish(number, values=float(value))
        else:
            if result.ok:
                warn(
                    f"trial {number} of {self._plan.name!r} has no value of {self._metric!r}, "
                    f"which is searched for; it counts as failed"
                )
            self._finish(number, state=TrialState.FAIL)
        return not result.ok

    def _finish(self, number: int, **ending: Any) -> None:
        try:
            self._study.tell(number, **ending)
        except RuntimeError:
            # A sampler that has tried everything stops the loop of Optuna's own, which this is not.
            if not self._study.get_trials(deepcopy=False)[number].state.is_finished():
                raise
            self._is_over = True

    def results(self) -> SearchResults:
        """Return the results of all trials of the study that are in the ledger."""
        entries = self._plan.directory.entries()
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            config = Configuration({**fresh(self._fixed), **trial.params})
            config.index = trial.number
            entry = entries.get(f"{config.id}-trial-{trial.number}")
            found.append(Result(config, entry, self._plan.directory))
        results = SearchResults(self._plan.name, self._plan.directory.path, found)
        results.study = self._study
        return results
