"""Every configuration is run once, as a run of its own, and what became of it is known."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import pydantic
import pytest
import trainings
from user_scripts import view

import tracelet
from tracelet import Sweep, TraceletError, TraceletWarning
from tracelet.core.run import runs
from tracelet.errors import (
    ConfigurationFailedError,
    DeliveryError,
    SweepBusyError,
    WorkerDiedError,
)
from tracelet.sweep.ledger import SweepDir


class Model(pydantic.BaseModel):
    lr: float = pydantic.Field(le=1)


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def values(results: Any) -> list[Any]:
    return [result.value for result in results]


def lrs(*found: float) -> Sweep:
    return Sweep().product(lr=list(found))


# ------------------------------------------------------------------------------- runs and results


def test_each_configuration_is_a_run_of_its_own_in_one_group(threads: Executor) -> None:
    sweep = Sweep(trainings.train).product(lr=[0.1, 0.2]).set(epochs=3)

    results = sweep.run(project="demo", executor=threads, tags={"team": "a"})

    assert values(results) == [{"final": 0.1 * 3}, {"final": 0.2 * 3}]
    for result in results:
        assert result.ok
        assert result.error is None
        assert result.run is not None
        assert result.run.status == "finished"
        assert result.run.params.flat() == result.config
        assert [point.value for point in result.run.metrics["loss"]] == [
            result.config["lr"] * n for n in (1, 2, 3)
        ]
        assert result.run.tags == {
            "team": "a",
            "sweep": "train",
            "sweep.index": str(result.index),
            "sweep.config": result.config.id,
        }
        assert view(result.dir)["group"] == "train"
    assert sorted(run.name for run in runs("demo")) == ["train-0", "train-1"]
    assert tracelet.get_active_experiment() is None


def test_processes_are_the_default_and_none_is_this_one() -> None:
    results = Sweep(trainings.process).product(lr=[1, 2, 3]).run(max_workers=2)

    assert [lr for _, lr in values(results)] == [1, 2, 3]
    pids = {pid for pid, _ in values(results)}
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_results_are_in_the_order_of_the_configurations(tmp_path: Path) -> None:
    sweep = Sweep().product(lr=[0, 1, 2, 3]).set(gates=str(tmp_path))

    with ThreadPoolExecutor(4) as executor:
        results = sweep.run(trainings.in_reverse, executor=executor)

    assert values(results) == [0, 1, 2, 3]


def test_repetitions_are_runs_of_their_own(threads: Executor) -> None:
    results = (lrs(1, 2) ** 2).run(trainings.process, executor=threads)

    assert [lr for _, lr in values(results)] == [1, 1, 2, 2]
    assert len({result.dir for result in results}) == 4
    assert [result.run.tags.get("sweep.repeat") for result in results] == [None, "1", None, "1"]


def test_results_of_a_list_of_configurations(threads: Executor) -> None:
    """The main result is that of the first configuration, the variants are those of the others."""

    def train_model(config: dict) -> str:  # type: ignore[type-arg]
        temp = config["temperature"] / 10.0
        return f"Model={config['model']}, Temp={temp}"

    configs = [
        {
            "model": tracelet.DynamicValue(["gpt-4", "gpt-3.5"]),
            "temperature": tracelet.DynamicValue(range(1, 10, 4)),  # 1, 5, 9
            "static_param": "always_same",
        }
    ]
    result = Sweep(train_model, configs).run(executor=threads)

    assert result.main.value == "Model=gpt-4, Temp=0.1"
    assert [variant.value for variant in result.variants] == [
        "Model=gpt-4, Temp=0.5",
        "Model=gpt-4, Temp=0.9",
        "Model=gpt-3.5, Temp=0.1",
        "Model=gpt-3.5, Temp=0.5",
        "Model=gpt-3.5, Temp=0.9",
    ]


def test_the_best_result(threads: Executor) -> None:
    results = lrs(0.3, 0.1, float("nan"), 0.2).run(trainings.train, executor=threads)

    assert results.best("loss").config == {"lr": 0.1}
    assert results.best("loss", mode="max").config == {"lr": 0.3}
    assert results.best("final", "max").config == {"lr": 0.3}
    assert results.best("loss", "min", of="best").config == {"lr": 0.1}
    assert dict(results[0].metrics) == {"loss": 0.6}
    for wrong, message in [
        (lambda: results.best("los"), "'los'; there are 'loss'"),
        (lambda: results.best("loss", "smallest"), "'min' or 'max'"),  # type: ignore[arg-type]
        (lambda: results.best("loss", of="first"), "'last' or 'best'"),  # type: ignore[arg-type]
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()


def test_results_as_a_data_frame(threads: Executor) -> None:
    results = (
        Sweep().product(lr=[1, 2]).set(at=2, state="x").run(
            lambda lr, at, state: trainings.fail_at(lr, at), name="f", executor=threads
        )
    )  # fmt: skip

    frame = results.to_dataframe()

    assert list(frame.columns) == [
        *("lr", "at", "state", "state_", "value", "error", "run_id", "seconds", "loss")
    ]
    assert frame["lr"].dtype == "int64"
    assert frame["state_"].tolist() == ["done", "failed"]
    assert frame["error"].tolist() == [None, "ValueError: no 2"]
    assert frame["run_id"][0] == results[0].dir.name


@pytest.mark.parametrize(
    ("sweep", "train", "expected"),
    [
        (lrs(1), trainings.whole, ["lr"]),
        (Sweep().set(lr=1, inner={"depth": 3}), trainings.typed, ("Inner", 1, 3)),
        (Sweep(trainings.Attributes).product(lr=[5]), trainings.reads_attributes, 5),
        (lrs(7), trainings.asynchronous, 7),
        (lrs(7), functools.partial(trainings.fail_at, at=0), 7),
    ],
    ids=["dict", "dataclass", "class attributes", "coroutine", "partial"],
)
def test_a_training_takes_its_configuration_as_it_likes(
    sweep: Sweep, train: Any, expected: Any, threads: Executor
) -> None:
    assert values(sweep.run(train, executor=threads)) == [expected]


def test_models_namespaces_and_commands(threads: Executor) -> None:
    def of_model(config: Model) -> Any:
        return config

    def of_namespace(args: argparse.Namespace) -> Any:
        return args.lr

    @click.command()
    @click.option("--lr", type=float)
    @click.option("--epochs", default=3)
    def command(lr: float, epochs: int) -> Any:
        return lr, epochs

    assert values(lrs(0.5).run(of_model, executor=threads)) == [Model(lr=0.5)]
    assert values(lrs(0.5).run(of_namespace, executor=threads)) == [0.5]
    assert values(Sweep(command).product(lr=[0.5]).run(executor=threads)) == [(0.5, 3)]


def test_what_was_returned_is_kept(threads: Executor) -> None:
    def train(lr: int) -> Any:
        return {1: (lr, {2.5}), "nan": float("nan"), "path": Path("a")}

    sweep = lrs(1, 2)
    first = sweep.run(train, name="kept", executor=threads)
    again = sweep.run(train, name="kept", executor=threads)

    assert repr(values(again)) == repr(values(first))
    large = [sweep.run(trainings.large, executor=threads) for _ in range(2)]
    assert list(map(len, values(large[1]))) == [200_001, 200_002]


def test_what_cannot_be_kept_is_said(threads: Executor) -> None:
    with pytest.warns(TraceletWarning, match="a lock, cannot be pickled"):
        first = lrs(1).run(trainings.unpicklable, executor=threads)

    assert first[0].value is not None  # it was made in this process
    assert lrs(1).run(trainings.unpicklable, executor=threads)[0].value is None


def test_a_training_that_starts_a_run_of_its_own_is_done(threads: Executor) -> None:
    (result,) = lrs(1).run(trainings.starts_its_own, project="demo", executor=threads)

    assert result.ok
    assert result.value in {run.run_id for run in runs("demo")}


def test_a_sweep_inside_of_a_run_has_runs_of_its_own() -> None:
    with tracelet.start_logging("outer", "demo") as exp:
        (result,) = lrs(1).run(trainings.train, project="demo", max_workers=1)
        exp.log_metric("outer", 1)

    assert result.dir != exp.dir
    assert set(tracelet.load_run(exp.dir).metrics) == {"outer"}
    assert set(result.run.metrics) == {"loss"}


# -------------------------------------------------------------------------------------- failures


def test_a_failure_is_kept_and_the_others_go_on() -> None:
    results = Sweep().product(lr=[1, 2, 3]).set(at=2).run(trainings.fail_at, max_workers=2)

    assert values(results) == [1, None, 3]
    assert [result.state for result in results] == ["done", "failed", "done"]
    assert isinstance(results[1].error, ValueError)
    assert str(results[1].error) == "no 2"
    assert "raise ValueError" in results[1].traceback
    assert results[1].run.status == "failed"
    assert dict(results[1].metrics) == {"loss": 2}
    assert list(results.failed) == [results[1]]


def test_an_exception_that_cannot_be_brought_back_is_told(threads: Executor) -> None:
    (result,) = lrs(1).run(trainings.odd, executor=threads)

    assert isinstance(result.error, ConfigurationFailedError)
    assert str(result.error) == "OddError: this and that"


def test_what_a_backend_has_refused_is_a_failure_with_strict(
    threads: Executor, tmp_path: Path
) -> None:
    options = {"backends": {"refusing": {"store": str(tmp_path)}}, "courier": "thread"}
    arguments = {"backend": "backends_for_tests:Refusing", "config": options, "executor": threads}

    (lax,) = lrs(1).run(trainings.train, name="lax", **arguments)
    (strict,) = lrs(1).run(trainings.train, name="strict", strict=True, **arguments)

    assert lax.ok
    assert lax.run.report["refusing"].rejected == 2
    assert isinstance(strict.error, DeliveryError)


def test_raise_stops_at_the_first_failure(tmp_path: Path) -> None:
    sweep = Sweep().product(lr=[1, 2, *range(3, 20)]).set(at=1)

    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="no 1") as caught:
        sweep.run(trainings.fail_at, executor=executor, on_error="raise")

    assert "configuration 0 of the sweep 'fail_at'" in caught.value.__notes__[0]
    entries = SweepDir.of(tmp_path / ".tracelet", "default", "fail_at").entries()
    assert "pending" in {entry.state for entry in entries.values()}


@pytest.mark.parametrize(
    ("code", "state"), [(0, "done"), (None, "done"), (3, "failed"), ("no", "failed")]
)
def test_an_exit_is_an_ending_as_of_a_script(code: Any, state: str, threads: Executor) -> None:
    (result,) = Sweep().product(code=[code]).run(trainings.leave, executor=threads)

    assert result.state == state
    assert result.run.status == ("finished" if state == "done" else "failed")


def test_a_worker_that_dies_fails_its_configuration_alone() -> None:
    results = Sweep().product(lr=[1, 2, 3, 4]).set(at=2).run(trainings.die_at, max_workers=2)

    assert values(results) == [1, None, 3, 4]
    assert isinstance(results[1].error, WorkerDiedError)
    assert "killed by SIGKILL" in str(results[1].error)
    assert results[1].run.status == "killed"
    assert dict(results[1].metrics) == {"loss": 2}


def test_a_pool_of_ones_own_that_breaks_fails_what_it_ran_and_no_more() -> None:
    sweep = Sweep().product(lr=[1, 2, 3]).set(at=2)

    with (
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
        pytest.warns(TraceletWarning, match="running the sweep 'die_at' again"),
    ):
        results = sweep.run(trainings.die_at, executor=pool)
    assert [result.state for result in results] == ["done", "failed", "pending"]
    with ThreadPoolExecutor(1) as executor:
        again = sweep.run(trainings.die_at, executor=executor)
    assert values(again) == [1, None, 3]


# ------------------------------------------------------------------------------------- the ledger


def test_what_is_done_is_not_run_again(
    threads: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[float] = []

    def train(lr: float, at: float) -> float:
        calls.append(lr)
        return trainings.fail_at(lr, at)

    sweep = Sweep().product(lr=[1, 2, 3]).set(at=2)
    sweep.run(train, executor=threads)
    assert "before" not in capsys.readouterr().err
    again = sweep.run(train, executor=threads)
    said = capsys.readouterr().err
    assert "'train' goes on: 3 of 3 configurations were run before" in said
    assert "1 failed, which retry_failed=True runs again" in said
    assert sorted(calls) == [1, 2, 3]
    assert [result.state for result in again] == ["done", "failed", "done"]
    assert isinstance(again[1].error, ValueError)

    sweep.run(train, executor=threads, retry_failed=True)
    assert sorted(calls) == [1, 2, 2, 3]

    more = Sweep().product(lr=[3, 4, 1]).set(at=0, name="x") + Sweep().product(lr=[4, 3]).set(at=2)
    results = more[3:].run(train, executor=threads)
    assert sorted(calls) == [1, 2, 2, 3, 4]
    assert values(results) == [4, 3]


def test_two_sweeps_of_one_name_at_once_are_an_error(tmp_path: Path) -> None:
    sweep = Sweep().product(lr=[3]).set(gates=str(tmp_path))
    with ThreadPoolExecutor(1) as executor, ThreadPoolExecutor(1) as outer:
        first = outer.submit(sweep.run, trainings.wait, executor=executor, name="one")
        trainings.wait_for(f"{tmp_path}/begun-3-{os.getpid()}")

        with pytest.raises(SweepBusyError, match=f"'one' .* process {os.getpid()}"):
            sweep.run(trainings.wait, executor=executor, name="one")
        Path(tmp_path, "open").touch()

        assert values(first.result()) == [3]
    assert values(sweep.run(trainings.wait, name="one")) == [3]


def test_secrets_are_not_in_the_ledger(threads: Executor, tmp_path: Path) -> None:
    def train(api_key: str) -> None:
        raise ValueError(f"the key is api_key={api_key}")

    Sweep().product(api_key=["sk-live-0123456789abcdefghij"]).run(train, executor=threads)

    for file in tmp_path.rglob("*"):
        if file.is_file() and "blobs" not in file.parts:
            assert b"0123456789abcdefghij" not in file.read_bytes(), file


def test_a_failure_that_cannot_be_told_is_one_all_the_same(threads: Executor) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("nothing to say")

    def train(lr: int) -> None:
        raise MuteError if lr == 1 else ValueError("no file \udcff")

    mute, no_text = Sweep().product(lr=[1, 2]).run(train, executor=threads)

    assert str(mute.error) == "MuteError: <str() of a MuteError failed>"
    assert isinstance(no_text.error, ValueError)
    assert [tracelet.load_run(one.run.dir).reason for one in (mute, no_text)] == [
        "MuteError: <str() of a MuteError failed>",
        r"ValueError: no file \udcff",
    ]


# ------------------------------------------------------------------------ mistakes, at the call


def takes_model(config: Model) -> Any:
    return config


def nothing_is_begun(tmp_path: Path) -> bool:
    return not list(tmp_path.rglob("*.json*"))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.run(), TypeError, "needs a training"),
        (lambda s: s.run(5), TypeError, "needs a training"),
        (lambda s: Sweep(trainings.Attributes).run(), TypeError, "needs a training"),
        (lambda s: Sweep(trainings.Config).run(), TypeError, "needs a training"),
        (lambda s: s.run(trainings.train, on_error="warn"), ValueError, "'collect' or 'raise'"),
        (lambda s: s.run(trainings.train, max_workers=0), ValueError, "from 1"),
        (lambda s: s.run(trainings.train, max_workers=True), TypeError, "from 1"),
        (lambda s: s.run(trainings.train, executor=3), TypeError, r"submit\(\)"),
        (lambda s: s.run(trainings.train, backend="locl"), LookupError, "locl.*local"),
        (lambda s: s.run(trainings.train, projct="a"), ValueError, "projct.*project"),
        (lambda s: s.run(trainings.train, run_id="a"), ValueError, "run_id"),
        (lambda s: s.run(trainings.fail_at), ValueError, "'at'.*typed as dict"),
        (lambda s: (s * {"x": range(10**7)}).run(trainings.train), ValueError, "sample"),
        (
            lambda s: (Sweep().product(lr=[0.5, 2])).run(takes_model),
            ValueError,
            "configuration 1.*lr: Input should be less",
        ),
        (lambda s: s.run(trainings.typed), ValueError, "configuration 0.*a Config: .*inner"),
        (
            lambda s: Sweep(trainings.Config).product(lr=[1]).run(trainings.typed),
            ValueError,
            "configuration 0.*inner",
        ),
    ],
)
def test_a_mistake_is_told_at_the_call(
    call: Any, error: type, message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        call(lrs(1, 2))
    assert isinstance(caught.value, TraceletError)
    assert nothing_is_begun(tmp_path)


def test_what_cannot_be_sent_to_a_process_is_told_at_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    def train(lr: int) -> int:
        return lr

    with pytest.raises(TypeError, match=r"train cannot be sent.*ThreadPoolExecutor"):
        lrs(1).run(train)
    with pytest.raises(TypeError, match="configuration 0 cannot be sent"):
        Sweep().set(lr=threading.Lock()).run(trainings.process)
    assert nothing_is_begun(tmp_path)
