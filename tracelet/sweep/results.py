"""What a sweep came to: one result a configuration, in the order of the configurations."""

from __future__ import annotations

import functools
import logging
import math
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

from tracelet.core.run import Run, load_run
from tracelet.errors import (
    ConfigurationFailedError,
    InvalidValueError,
    RunNotFoundError,
    WorkerDiedError,
)
from tracelet.records import MetricValue
from tracelet.sweep.configuration import Configuration
from tracelet.sweep.files import decoded
from tracelet.sweep.ledger import Entry, State, SweepDir
from tracelet.sweep.work import NOT_HERE
from tracelet.wire import from_wire

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_OF = {"last": 0, "min": 1, "max": 2}


class Result:
    """What became of one configuration.

    Attributes:
        config: the configuration.
        state: ``done``, ``failed``, or ``pending``, if it was not begun.
        seconds: how long it ran; None if it did not.
        dir: the directory of its run, on the machine where it ran.
    """

    def __init__(
        self, config: Configuration, entry: Entry | None, sweep_dir: SweepDir, value: Any = NOT_HERE
    ) -> None:
        self._entry = entry = entry or Entry("", "pending", 0, 0.0)
        self.config = config
        self.state: State = entry.state
        self.seconds: float | None = entry.seconds
        self.dir: Path | None = Path(entry.run) if entry.run else None
        self._sweep_dir = sweep_dir
        self._live = value

    def __repr__(self) -> str:
        what = f"{self.value!r:.60}" if self.error is None else f"{self.error!r:.60}"
        return f"<Result {dict(self.config)!r:.100} {self.state}: {what}>"

    @property
    def index(self) -> int:
        """The place of its configuration in the sweep."""
        return self.config.index

    @property
    def ok(self) -> bool:
        """Whether it is done."""
        return self.state == "done"

    @functools.cached_property
    def value(self) -> Any:
        """What the training returned; None if it failed."""
        if self._live is not NOT_HERE:
            return self._live
        stored = self._entry.value
        if isinstance(stored, dict) and len(stored) == 1 and "$pickle" in stored:
            return pickle.loads(self._sweep_dir.pickled(str(stored["$pickle"])))
        return None if isinstance(stored, dict) and set(stored) == {"$lost"} else decoded(stored)

    @functools.cached_property
    def error(self) -> BaseException | None:
        """The exception that it failed with; None if it did not."""
        failure = self._entry.error
        if failure is None:
            return None
        try:
            if failure.pickled is not None and self._sweep_dir.is_own:
                error = pickle.loads(failure.pickled)
                if isinstance(error, BaseException):
                    return error
        except Exception:
            log.debug("an exception cannot be brought back", exc_info=True)
        if failure.type == WorkerDiedError.__name__:
            return WorkerDiedError(failure.message)
        return ConfigurationFailedError(f"{failure.type}: {failure.message}")

    @property
    def traceback(self) -> str | None:
        """The traceback of its failure as a str; None if it did not."""
        return self._entry.error.traceback if self._entry.error is not None else None

    @functools.cached_property
    def run(self) -> Run | None:
        """Its run, read back; None if it was not begun, or its files are on another machine."""
        try:
            return load_run(self.dir) if self.dir is not None and self.dir.is_dir() else None
        except RunNotFoundError:
            return None

    @property
    def metrics(self) -> Mapping[str, MetricValue]:
        """The last value of each metric of its run."""
        return MappingProxyType({name: self.metric(name) for name in self._summaries})

    @functools.cached_property
    def _summaries(self) -> dict[str, list[Any]]:
        return {name: from_wire(one) for name, one in self._entry.metrics.items()}

    def metric(self, name: str, of: str = "last") -> Any:
        """Return a metric's last or best value; also one that the training returned by name."""
        if name in self._summaries:
            return self._summaries[name][_OF[of]]
        if isinstance(self.value, Mapping) and isinstance(self.value.get(name), int | float):
            return self.value[name]
        return None


class Results(Sequence[Result]):
    """The results of a sweep, in the order of its configurations.

    Attributes:
        name: the sweep's.
        dir: the sweep's directory.
    """

    def __init__(self, name: str, directory: Path, results: Sequence[Result]) -> None:
        self.name = name
        self.dir = directory
        self._results = list(results)

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> Result | Results:
        if isinstance(index, slice):
            return Results(self.name, self.dir, self._results[index])
        return self._results[index]

    def __repr__(self) -> str:
        counts = {state: sum(one.state == state for one in self) for state in ("done", "failed")}
        listed = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"<Results of {self.name!r}: {len(self)} configurations, {listed}>"

    @property
    def main(self) -> Result:
        """The result of the first configuration.

        Raises:
            InvalidValueError: there is none.
        """
        if not self._results:
            raise InvalidValueError(f"the sweep {self.name!r} has no configurations")
        return self._results[0]

    @property
    def variants(self) -> Results:
        """The results of all configurations but the first."""
        return self[1:]

    @property
    def failed(self) -> Results:
        """The results of the configurations that failed."""
        return Results(self.name, self.dir, [one for one in self if one.state == "failed"])

    def best(
        self,
        metric: str,
        mode: Literal["min", "max"] = "min",
        *,
        of: Literal["last", "best"] = "last",
    ) -> Result:
        """Return the result whose metric is the smallest or the largest; NaN never is.

        Args:
            metric: a metric that the runs have logged, or a key of the mapping that the training
                returned.
            mode: ``min`` or ``max``.
            of: what counts of a run: its ``last`` value, or the ``best`` one it had.

        Raises:
            InvalidValueError: no configuration that is done has such a metric, or ``mode`` or
                ``of`` is another word.
        """
        if mode not in ("min", "max"):
            raise InvalidValueError(f"mode is 'min' or 'max', not {mode!r}")
        if of not in ("last", "best"):
            raise InvalidValueError(f"of is 'last' or 'best', not {of!r}")
        which = mode if of == "best" else "last"
        found = [(one.metric(metric, which), one) for one in self if one.ok]
        numbers = [(value, one) for value, one in found if value is not None and not _is_nan(value)]
        if not numbers:
            known = sorted({name for one in self for name in one.metrics})
            raise InvalidValueError(
                f"no configuration that is done has the metric {metric!r}; "
                f"there are {', '.join(map(repr, known)) or 'none'}"
            )
        choose: Callable[..., tuple[Any, Result]] = min if mode == "min" else max
        return choose(numbers, key=lambda pair: pair[0])[1]

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a configuration: its values, its state, what it returned, its metrics.

        Columns are the names of the configuration, then ``state``, ``value``, ``error``,
        ``run_id``, ``seconds``, and the last value of each metric. A name that is taken gets
        ``_`` behind it.

        Raises:
            MissingPackageError: pandas is not installed; the message has the install line.
        """
        from tracelet.sweep.frames import rows_to_dataframe

        names = list(dict.fromkeys(name for one in self for name in one.config))
        return rows_to_dataframe([_row(one, names) for one in self])


def _row(result: Result, taken: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = dict(result.config)
    own = {
        "state": result.state,
        "value": result.value,
        "error": None if result.error is None else f"{type(result.error).__name__}: {result.error}",
        "run_id": result.dir.name if result.dir is not None else None,
        "seconds": result.seconds,
    }
    for name, value in [*own.items(), *result.metrics.items()]:
        while name in taken or name in row:
            name += "_"  # noqa: PLW2901 - until it is free
        row[name] = value
    return row


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
