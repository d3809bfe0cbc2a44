"""A search with Optuna: each trial is a run, the pruner is obeyed, and it goes on where it was."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
import trainings
from user_scripts import run_script, view

import tracelet
from tracelet import TraceletError, TraceletWarning
from tracelet.sweep import optimize


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def thread() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_a_search_finds_the_best_and_each_trial_is_a_run(thread: Executor) -> None:
    space = {"x": (0.0, 4.0), "kind": ["good", "bad"], "epochs": 2}

    results = optimize(
        trainings.descend,
        space,
        metric="val_loss",
        n_trials=12,
        project="demo",
        executor=thread,
        max_workers=1,
        sampler=optuna.samplers.TPESampler(seed=3),
        pruner=optuna.pruners.NopPruner(),
    )

    assert len(results) == len(results.study.trials) == 12
    best = results.best("val_loss")
    assert results.study.best_params == {name: best.config[name] for name in ("x", "kind")}
    assert results.study.best_value == best.metrics["val_loss"] < 1.5
    for result in results:
        assert result.run.params.flat() == result.config
        assert result.config["epochs"] == 2
        assert view(result.dir)["group"] == "descend"
        assert result.value == "to the end"


def test_a_trial_that_the_pruner_gives_up_stops_in_its_worker_process() -> None:
    optuna.create_study(
        study_name="descend",
        storage=(url := f"sqlite:///{Path.cwd()}/study.db"),
        direction="minimize",
    ).enqueue_trial({"x": 2.0})

    results = optimize(
        trainings.descend,
        {"x": (10.0, 20.0)} | {"x": optuna.distributions.FloatDistribution(2, 20)},
        metric="val_loss",
        n_trials=4,
        max_workers=1,
        storage=url,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
    )

    assert results[0].value == "to the end"
    assert [result.value for result in results][1:] == ["stopped at 0"] * 3
    states = [trial.state.name for trial in results.study.trials]
    assert states == ["COMPLETE", *["PRUNED"] * 3]
    assert [result.run.status for result in results] == ["finished"] * 4


def test_a_search_goes_on_until_it_has_its_trials(thread: Executor) -> None:
    def search(count: int) -> Any:
        return optimize(
            trainings.negative, {"x": (0, 2)}, metric="score", n_trials=count, executor=thread
        )

    first = search(2)
    optuna.load_study(study_name="negative", storage=first.study._storage).ask()  # was killed
    again = search(3)

    assert [result.state for result in again] == ["done", "done", "pending", "done"]
    assert [trial.state.name for trial in again.study.trials] == [
        *("COMPLETE", "COMPLETE", "FAIL", "COMPLETE")
    ]
    assert len(search(3)) == 4
    assert len(tracelet.runs()) == 3


def test_a_search_does_not_go_on_the_other_way_round(thread: Executor) -> None:
    def search(mode: Any) -> Any:
        space = {"x": (0, 2)}
        return optimize(
            trainings.negative, space, metric="score", n_trials=2, mode=mode, executor=thread
        )

    search("min")

    with pytest.raises(ValueError, match="begun with another mode than 'max'"):
        search("max")
    assert len(tracelet.runs()) == 2
    assert len(search("min")) == 2


def test_a_trial_that_fails_leaves_the_others(thread: Executor) -> None:
    results = optimize(
        trainings.negative,
        {"x": range(1, 4)},
        metric="score",
        mode="min",
        n_trials=3,
        executor=thread,
        max_workers=1,
        sampler=optuna.samplers.GridSampler({"x": [1, 2, 3]}, seed=0),
    )

    assert sorted((result.config["x"], result.state) for result in results) == [
        (1, "done"),
        (2, "done"),
        (3, "failed"),
    ]
    assert results.study.best_value == -2


def test_a_training_without_the_metric_is_told(thread: Executor) -> None:
    with pytest.warns(TraceletWarning, match="trial 0 .* has no value of 'score'"):
        optimize(
            trainings.gives_nothing, {"x": (0, 1)}, metric="score", n_trials=1, executor=thread
        )


def test_it_is_found_without_an_import_of_its_own() -> None:
    script = "import tracelet, sys; tracelet.sweep.optimize; assert 'optuna' not in sys.modules"

    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_run_that_is_no_trial_is_never_stopped() -> None:
    with tracelet.start_logging("alone") as exp:
        assert exp.should_stop() is False
        exp.stop_when(lambda: True)
        assert exp.should_stop() is True


@pytest.mark.parametrize(
    ("space", "more", "error", "message"),
    [
        ({}, {}, ValueError, "nothing to search"),
        ({"x": 1}, {}, ValueError, "nothing to search"),
        ([], {}, TypeError, "a mapping"),
        ({"x": []}, {}, ValueError, "'x' has no values"),
        ({"x": (2, 1)}, {}, ValueError, "'x'"),
        ({"x": (0.0, 1.0, "log")}, {}, ValueError, "'x'"),
        ({"x": [[1], [2]]}, {}, TypeError, "'x'.*names"),
        ({"x": (0.0, math.inf)}, {}, ValueError, "'x' is between two finite"),
        ({"x": (0, math.nan)}, {}, ValueError, "'x' is between two finite"),
        ({1: (0, 1)}, {}, ValueError, "a name is a string"),
        ({"y": (0, 1)}, {}, ValueError, "cannot be called with.*'y'"),
        ({"x": (0, 1)}, {"n_trials": 0}, ValueError, "from 1"),
        ({"x": (0, 1)}, {"mode": "least"}, ValueError, "'min' or 'max'"),
        ({"x": (0, 1)}, {"backend": "locl"}, LookupError, "locl"),
        ({"x": (0, 1)}, {"max_workers": 0}, ValueError, "from 1"),
    ],
)
def test_a_mistake_is_told_at_the_call(
    space: Any, more: dict[str, Any], error: type, message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        optimize(trainings.negative, space, metric="score", **more)
    assert isinstance(caught.value, TraceletError)
    assert not list(tmp_path.iterdir())


def test_without_optuna_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(ImportError, match=r"pip install 'tracelet\[optuna\]'"):
        optimize(trainings.negative, {"x": (0, 1)}, metric="score")


def pruned_at_once(x: float) -> None:
    """Ask nobody whether it is worth going on."""
    tracelet.get_active_experiment().log_metric("loss", x)
    raise optuna.TrialPruned


def test_a_trial_that_raises_that_it_is_pruned_is_pruned_in_a_search_and_finished(
    thread: Executor,
) -> None:
    results = optimize(
        pruned_at_once, {"x": (0.0, 1.0)}, metric="loss", n_trials=2, executor=thread
    )

    assert [trial.state.name for trial in results.study.trials] == ["PRUNED"] * 2
    runs = [result.run for result in results]
    assert [(run.status, run.tags["optuna.state"]) for run in runs] == [("finished", "pruned")] * 2


OBJECTIVES = {
    "a block": "with tracelet.start_logging() as exp: train(exp, trial)",
    "a function that has started it": "train(tracelet.start_logging(), trial)",
    "a function that stops it": "try: train(tracelet.start_logging(), trial)\n"
    "    finally: tracelet.stop_logging()",
}
STUDY = """
import {first}, {second}
optuna.logging.set_verbosity(optuna.logging.ERROR)
def train(exp, trial):
    exp.log_metric("loss", 1.0)
    if trial.number == 1:
        raise optuna.TrialPruned("not worth it")
    if trial.number == 2:
        raise ValueError("no")
def objective(trial):
    {objective}
    return 1.0
study = optuna.create_study()
study.optimize(objective, n_trials=4, catch=ValueError)
print([trial.state.name for trial in study.trials])
"""


@pytest.mark.parametrize("first", ["tracelet", "optuna"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_pruned_trial_has_a_run_that_has_finished_and_says_so_if_it_leaves(
    objective: str, first: str, tmp_path: Path
) -> None:
    second = {"tracelet": "optuna", "optuna": "tracelet"}[first]
    text = STUDY.format(first=first, second=second, objective=OBJECTIVES[objective])
    said = run_script(tmp_path, text)
    assert "['COMPLETE', 'PRUNED', 'FAIL', 'COMPLETE']" in said
    runs = sorted(tracelet.runs(), key=lambda run: run.started)
    assert [run.status for run in runs] == ["finished", "finished", "failed", "finished"]
    assert [run.tags.get("optuna.state") for run in runs] == [None, "pruned", None, None]
    assert [run.reason for run in runs] == [None, None, "ValueError: no", None]
