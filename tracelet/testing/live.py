"""The experiments of this process, so that a backend that lives in it can be read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelet.backends.base import Backend
    from tracelet.core.experiment import Experiment
    from tracelet.core.run import Run

_experiments: dict[Path, Experiment] = {}


def remember(exp: Experiment) -> Experiment:
    """Keep an experiment that was started, in the place of an earlier one of the same run."""
    if exp.dir is not None:
        _experiments[exp.dir] = exp
    return exp


def live_backend(run: Run, name: str) -> Backend | None:
    """Return the object of a run's backend, if it lives in this process."""
    exp = _experiments.get(run.dir)
    return exp.backend(name) if exp is not None else None


def forget(runs: Path) -> None:
    """Forget the experiments whose runs are below a directory."""
    for path in [path for path in _experiments if path.is_relative_to(runs)]:
        del _experiments[path]
