"""Asks Optuna whether a trial that runs is worth going on with, wherever it runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from tracelet.core.experiment import Experiment
from tracelet.journal.reader import Position
from tracelet.journal.rundir import RunDir
from tracelet.records import Metric


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
"""Set on a trial that was told to stop."""


def opened(storage: Any) -> Any:
    """Return a storage of Optuna's; the path of a file is a journal in it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if isinstance(storage, str) and "://" not in storage:
        return JournalStorage(JournalFileBackend(storage))
    return optuna.storages.get_storage(storage)
