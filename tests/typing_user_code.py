"""Code as users write it, which must type-check under ``mypy --strict``; it is never run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, assert_type

import tracelet
from tracelet.backends.base import ArtifactFile
from tracelet.capture.base import CaptureSource, Recorder
from tracelet.core.experiment import Experiment, ExperimentConfig
from tracelet.records import ParamValue, Status
from tracelet.sweep import optimize


@dataclasses.dataclass
class Hyperparameters:
    lr: float = 1e-3
    layers: tuple[int, ...] = (64, 64)


def train(arguments: argparse.Namespace) -> None:
    with tracelet.start_logging(
        exp_name="digits",
        project="examples",
        backend=["local", "wandb"],
        config={"backends": {"wandb": {"mode": "offline"}}},
        tags={"team": "ml", "attempt": 3},
        params=arguments,
        strict=True,
    ) as exp:
        assert_type(exp, tracelet.Experiment)
        exp.log_params(Hyperparameters())
        exp.log_params({"model": {"depth": 18}}, lr=1e-3)
        exp.log_param("optimizer", "adam")
        exp.parameters().set({"a": 1}, section="Args").set(b=2)
        exp.log_params({"b": 1}, section="Args", c=2)
        assert_type(exp.connect(Hyperparameters()), Hyperparameters)
        assert_type(exp.connect(Hyperparameters, name="Section"), type[Hyperparameters])
        assert_type(exp.connect({"lr": 0.1}), dict[str, float])
        exp.set_parameters({"Args/epochs": 7}, lr=0.5)
        exp.set_parameter(name="decay", value=0.001)
        exp.set_parameters_as_dict({"my_args/lr": 0.3, "opt": {"m": 0.9}})
        flat: dict[str, ParamValue] = exp.get_parameters()
        sections: dict[str, dict[str, Any]] = exp.get_parameters_as_dict()
        print(flat, sections)
        for epoch in range(10):
            exp.set_iteration(epoch)
            exp.log_metric("loss", 0.1)
            exp.log_metric("val/loss", 0.1, iteration=epoch, axis="epoch", time=1.5)
            exp.log_metrics({"loss": 0.1, "accuracy": True})
            exp.track("loss").append(value=0.1, epoch=epoch)
        assert_type(exp.iteration, int | None)
        exp.log_artifact("model.pth", "models/last.pth")
        exp.log_artifact(Path("plots"), Path("figures"), copy=False)
        exp.log("half way", level="warning")
        optimizer: dict[str, float] = exp.connect_configuration({"lr": 0.1}, name="optimizer")
        exp.log_params(optimizer)
        exp.set_user_properties(reviewer="ada", score={"value": 3, "description": "of 5"})
        exp.set_tags({"best": True}, stage="final")
        exp.set_tag("stage", "final")
        assert_type(exp.flush(timeout=10), bool)
        assert_type(exp.dir, Path | None)
        assert_type(exp.run_id, str | None)
        assert_type(exp.name, str)
        assert_type(exp.links, dict[str, tracelet.RunLink])
        backend: tracelet.Backend | None = exp.backend("memory")
        print(backend.native if backend is not None else None)


def by_hand() -> tracelet.DeliveryReport:
    config = ExperimentConfig(
        name="by hand",
        project="research",
        backend_name="mlflow",
        tags={"team": "ml"},
        tracking_uri="http://127.0.0.1:5000",
    )
    exp = Experiment(name="test", config=config, backend=Mine)
    exp.start()
    running: Status | None = exp.status
    print(running, exp.is_running, exp.project)
    report = exp.stop("failed", timeout=5, wait=False)
    mine: tracelet.BackendReport = report["mine"]
    total: int = mine.accepted + mine.delivered + mine.adjusted + mine.rejected + mine.pending
    print(total, report.complete, [str(one) for _, one in report.items()], len(report))
    return report


def in_parts() -> None:
    tracelet.start_logging(backend="tracelet.backends.null:NullBackend", resume=True)
    active = tracelet.get_active_experiment()
    if active is not None:
        active.log_metric("loss", 0.1)
    report = tracelet.stop_logging("finished")
    assert_type(report, tracelet.DeliveryReport)


def read(directory: Path) -> float:
    run = tracelet.load_run(directory)
    assert_type(run, tracelet.Run)
    points: list[tracelet.MetricPoint] = run.metrics["loss"]
    last = points[-1]
    lr: ParamValue = run.params["optimizer.lr"]
    nested: dict[str, Any] = run.params.nested()
    content: Path = run.artifacts["models/last.pth"]
    frame = run.to_dataframe()
    print(lr, nested, content, frame["value"].mean(), last.iteration, last.axis, last.time)
    print(run.status, run.reason, run.tags, run.properties, run.configurations, run.report)
    run.set_user_properties(reviewed=True)
    run.set_parameters_as_dict({"Late": {"lr": 0.1}})
    assert_type(run.params.set(lr=0.2).flat(), dict[str, ParamValue])
    assert_type(run.flush(timeout=5), bool)
    for other in tracelet.runs(project="examples", dir=directory):
        print(other.run_id, other.started, other.ended, other.links)
    try:
        tracelet.load_run(project="vision", exp_name="none")
    except LookupError as missing:
        print(missing)
    except tracelet.TraceletError as error:
        raise SystemExit(str(error)) from error
    return float(last.value)


class Mine(tracelet.Backend):
    """A backend of the user's own."""

    name: ClassVar[str] = "mine"
    capabilities: ClassVar[tracelet.Capabilities] = tracelet.Capabilities.everything(
        float64=tracelet.Support.EMULATED, batch_limit=10
    )

    def __init__(self, address: str = "") -> None:
        super().__init__(address=address)
        self.points: list[tracelet.MetricPoint] = []

    def open(self, run: tracelet.RunInfo) -> tracelet.RunLink:
        return run.link or tracelet.RunLink(run.run_id, None)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        print({key: str(value) for key, value in params.items()})

    def log_metrics(self, batch: Sequence[tracelet.MetricPoint]) -> None:
        self.points += batch

    def log_artifact(self, artifact: ArtifactFile) -> None:
        print(artifact.source.read_bytes(), artifact.path, artifact.digest, artifact.size)

    def close(self, status: Status) -> None:
        print(status)


@tracelet.hookimpl
def tracelet_register_backend() -> type[tracelet.Backend]:
    """Register the backend."""
    return Mine


class Rack(CaptureSource):
    """A source of capture of the user's own."""

    name = "rack"

    def start(self, recorder: Recorder) -> None:
        recorder.params("Rack", {"row": 7}, descriptions={"row": "where"}, hidden={"key"})
        recorder.metric("rack/doors", 2, 5)

    def stop(self) -> None:
        pass


@tracelet.hookimpl
def tracelet_capture() -> type[CaptureSource]:
    """Register the source."""
    return Rack


def sweeps() -> None:
    """Describe a sweep, run it, search, and look at what came of it."""

    def train(lr: float, epochs: int = 1) -> float:
        exp = tracelet.get_active_experiment()
        return lr * epochs if exp is None or exp.should_stop() else 0.0

    sweep = tracelet.Sweep(train).product(lr=[0.1, 0.2]).zip(epochs=[1, 2]) ** 2
    choices = tracelet.Sweep(configs=[{"lr": tracelet.DynamicValue([0.1, 0.2])}])
    assert_type(sweep[:2] * {"a": [1]} + choices, tracelet.Sweep)
    for config in sweep:
        train(**config)
        print(config.id, config.repeat, config.index)
    assert_type(len(sweep), int)
    results = sweep.sample(2, seed=0).run(name="search", backend=["local"], on_error="collect")
    best = results.best("val_loss", mode="min")
    print(best.config["lr"], best.value, best.error, best.run)
    found = optimize(train, {"lr": (0.1, 0.2)}, metric="val_loss", n_trials=3)
    print(found.study.best_value, results.to_dataframe(), results.main, results.variants)
    with tracelet.bind(Mine, address="there"):
        print(Mine.name)
