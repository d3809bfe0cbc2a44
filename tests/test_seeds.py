"""The examples of two other libraries' manuals, under our names, give what the manuals say.

They run as they stand there, down to the loops. ``torch`` is a stand-in that pickles, and
``mlflow`` one that keeps everything in lists: the real one is tested with its own package.
"""

from __future__ import annotations

import argparse
import json
import pickle
import platform
import sys
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tracelet
from tracelet.backends import registry
from tracelet.backends.base import ArtifactFile, Backend
from tracelet.backends.memory import MemoryBackend
from tracelet.core.experiment import Experiment, ExperimentConfig
from tracelet.hookspecs import hookimpl


class StandIn(MemoryBackend):
    name = "mlflow"
    latest: StandIn

    def __init__(self, tracking_uri: str | None = None) -> None:
        super().__init__()
        StandIn.latest = self

    def log_run_file(self, file: ArtifactFile) -> None:
        """Leave it: here only what a script logs is of interest."""


@hookimpl
def tracelet_register_backend() -> type[Backend]:
    return StandIn


@pytest.fixture(autouse=True)
def mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.CORE, "mlflow", __name__)
    monkeypatch.setattr(registry, "installed", dict)


def save(content: Any, path: str) -> None:
    Path(path).write_bytes(pickle.dumps(content))


torch = SimpleNamespace(
    save=save,
    __version__="2.9.0",
    cuda=SimpleNamespace(is_available=lambda: False, device_count=lambda: 0),
    version=SimpleNamespace(cuda=None),
)


def logged(exp: Experiment) -> tracelet.Run:
    return tracelet.load_run(exp.dir)


def series(run: tracelet.Run, name: str) -> list[tuple[int, Any]]:
    return [(point.iteration, point.value) for point in run.metrics[name]]


# ---------------------------------------------------------------------------------- the experiment


def test_metric_logging() -> None:
    # Start experiment
    exp = tracelet.start_logging(exp_name="metrics_demo", project="examples", backend="mlflow")

    # Log scalar metrics
    exp.log_metric("loss", 0.1, iteration=100)
    exp.log_metric("accuracy", 0.95, iteration=100)
    exp.log_metric("learning_rate", 0.001, iteration=100)

    # Log metrics over time
    for epoch in range(10):
        train_loss = 1.0 / (epoch + 1)  # Decreasing loss
        exp.log_metric("train_loss", train_loss, iteration=epoch)

        if epoch % 2 == 0:  # Log validation every 2 epochs
            val_loss = train_loss * 1.1
            exp.log_metric("val_loss", val_loss, iteration=epoch)

    tracelet.stop_logging()
    run = logged(exp)
    assert (run.name, run.project) == ("metrics_demo", "examples")
    assert series(run, "loss") == [(100, 0.1)]
    assert series(run, "accuracy") == [(100, 0.95)]
    assert series(run, "learning_rate") == [(100, 0.001)]
    assert series(run, "train_loss") == [(epoch, 1.0 / (epoch + 1)) for epoch in range(10)]
    assert series(run, "val_loss") == [(e, 1.0 / (e + 1) * 1.1) for e in range(0, 10, 2)]
    delivered = [(point.name, point.iteration) for point in StandIn.latest.points]
    assert len(delivered) == 3 + 10 + 5
    assert delivered[:5] == [
        ("loss", 100),
        ("accuracy", 100),
        ("learning_rate", 100),
        ("train_loss", 0),
        ("val_loss", 0),
    ]
    assert StandIn.latest.status == "finished"


def test_parameter_logging() -> None:
    exp = tracelet.start_logging(backend="mlflow")
    # Log hyperparameters
    exp.log_params({
        "learning_rate": 0.001,
        "batch_size": 32,
        "epochs": 100,
        "optimizer": "adam",
        "model_type": "resnet50",
    })  # fmt: skip

    # Log model architecture details
    exp.log_params({
        "num_layers": 18,
        "hidden_dim": 512,
        "dropout": 0.2,
        "activation": "relu",
    })  # fmt: skip

    # Log data preprocessing parameters
    exp.log_params({
        "data_augmentation": True,
        "normalization": "imagenet",
        "train_split": 0.8,
        "random_seed": 42,
    })  # fmt: skip
    exp.stop()
    expected = {
        "learning_rate": 0.001,
        "batch_size": 32,
        "epochs": 100,
        "optimizer": "adam",
        "model_type": "resnet50",
        "num_layers": 18,
        "hidden_dim": 512,
        "dropout": 0.2,
        "activation": "relu",
        "data_augmentation": True,
        "normalization": "imagenet",
        "train_split": 0.8,
        "random_seed": 42,
    }
    assert dict(logged(exp).params) == StandIn.latest.params == expected


def test_artifact_management() -> None:
    exp = tracelet.start_logging(backend=["local", "mlflow"])
    model = SimpleNamespace(state_dict=lambda: {"weights": [1.0, 2.0]})
    train_losses, val_losses = [1.0, 0.5], [1.1, 0.6]
    Path("config.yaml").write_text("lr: 0.1\n")
    Path("processed_data.csv").write_text("a,b\n1,2\n")
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    # Save and log model checkpoint
    torch.save(model.state_dict(), "model_checkpoint.pth")
    exp.log_artifact("model_checkpoint.pth", "models/checkpoint_epoch_10.pth")

    # Log training plots
    plt.figure(figsize=(10, 6))
    plt.plot(train_losses, label="Training Loss")
    plt.plot(val_losses, label="Validation Loss")
    plt.legend()
    plt.savefig("training_curves.png")
    exp.log_artifact("training_curves.png", "plots/training_curves.png")

    # Log configuration files
    exp.log_artifact("config.yaml", "configs/experiment_config.yaml")

    # Log processed datasets
    exp.log_artifact("processed_data.csv", "data/processed/final_dataset.csv")

    plt.close("all")
    exp.stop()
    artifacts = logged(exp).artifacts
    assert list(artifacts) == [
        "models/checkpoint_epoch_10.pth",
        "plots/training_curves.png",
        "configs/experiment_config.yaml",
        "data/processed/final_dataset.csv",
    ]
    weights = pickle.loads(artifacts["models/checkpoint_epoch_10.pth"].read_bytes())
    assert weights == {"weights": [1.0, 2.0]}
    assert artifacts["plots/training_curves.png"].read_bytes().startswith(b"\x89PNG")
    assert artifacts["configs/experiment_config.yaml"].read_text() == "lr: 0.1\n"
    assert {name: file.read_bytes() for name, file in artifacts.items()} == (
        StandIn.latest.artifacts
    )
    assert (exp.dir / "artifacts/data/processed/final_dataset.csv").exists()


def test_set_iteration() -> None:
    exp = tracelet.start_logging(backend="mlflow")
    train_loss, train_acc, val_loss = 0.5, 0.9, 0.6
    # Manual iteration tracking
    for epoch in range(100):
        exp.set_iteration(epoch)

        # All subsequent metrics logged without iteration will use current iteration
        exp.log_metric("loss", train_loss)  # Uses iteration=epoch
        exp.log_metric("accuracy", train_acc)  # Uses iteration=epoch

        # Override with specific iteration if needed
        exp.log_metric("val_loss", val_loss, iteration=epoch * 2)  # Custom iteration
    exp.stop()
    run = logged(exp)
    assert series(run, "loss") == [(epoch, 0.5) for epoch in range(100)]
    assert series(run, "accuracy") == [(epoch, 0.9) for epoch in range(100)]
    assert series(run, "val_loss") == [(epoch * 2, 0.6) for epoch in range(100)]


def test_start_and_stop() -> None:
    # Manual experiment lifecycle management
    exp = tracelet.start_logging(exp_name="manual_control", project="test", backend="mlflow")

    # Start tracking (usually called automatically)
    exp.start()

    # Log metrics during experiment
    exp.log_metric("initial_metric", 1.0)

    # Stop tracking (usually called by tracelet.stop_logging())
    exp.stop()
    assert series(logged(exp), "initial_metric") == [(0, 1.0)]
    assert logged(exp).status == "finished"
    assert tracelet.get_active_experiment() is None


def test_experiment_config() -> None:
    # Create custom configuration
    config = ExperimentConfig(
        name="custom_experiment",
        project="research_project",
        backend_name="mlflow",
        tags={"team": "ml", "version": "v2.0"},
        tracking_uri="http://mlflow.company.com:5000",
    )
    mlflow_backend = StandIn()

    # Use with experiment
    exp = Experiment(name="test", config=config, backend=mlflow_backend)
    exp.start()
    exp.stop()
    run = logged(exp)
    assert (run.name, run.project, run.backends) == ("test", "research_project", ["mlflow"])
    assert dict(run.tags) == mlflow_backend.tags == {"team": "ml", "version": "v2.0"}
    # And by its name, with the address.
    with Experiment(config=config) as exp:
        assert exp.settings.backends == {
            "mlflow": {"tracking_uri": "http://mlflow.company.com:5000"}
        }
    assert (exp.name, StandIn.latest.status) == ("custom_experiment", "finished")


def test_metric_batching() -> None:
    exp = tracelet.start_logging(backend="mlflow")
    dataloader = [(None, None)] * 250
    loss = SimpleNamespace(item=lambda: 0.5)
    # Efficient metric logging for large datasets
    metrics_batch: dict[str, float] = {}
    for batch_idx, (_data, _target) in enumerate(dataloader):
        # Collect metrics
        metrics_batch[f"batch_{batch_idx}_loss"] = loss.item()

        # Log in batches every 100 iterations
        if batch_idx % 100 == 0:
            exp.log_params(metrics_batch)
            metrics_batch.clear()
    exp.stop()
    assert dict(logged(exp).params) == {f"batch_{n}_loss": 0.5 for n in range(201)}


def test_hierarchical_parameters() -> None:
    exp = tracelet.start_logging(backend="mlflow")
    given = {
        # Model parameters
        "model.architecture": "transformer",
        "model.num_layers": 12,
        "model.hidden_size": 768,

        # Training parameters
        "training.learning_rate": 0.0001,
        "training.batch_size": 16,
        "training.gradient_clip": 1.0,

        # Data parameters
        "data.max_seq_length": 512,
        "data.vocab_size": 30000,
    }  # fmt: skip
    # Organize parameters hierarchically
    exp.log_params(given)
    exp.stop()
    assert dict(logged(exp).params) == StandIn.latest.params == given


def test_error_handling_and_validation(capsys: pytest.CaptureFixture[str]) -> None:
    exp = tracelet.start_logging(backend="mlflow")
    learning_rate, batch_size = 0.1, None
    for epoch, accuracy in enumerate([0.9, "not a number", 0.8]):
        try:
            exp.log_metric("accuracy", accuracy, iteration=epoch)
        except Exception as e:  # noqa: BLE001 - as it stands there
            print(f"Failed to log metric: {e}")
            # Continue training without failing

    # Validate parameters before logging
    params = {"lr": learning_rate, "batch_size": batch_size}
    valid_params = {k: v for k, v in params.items() if v is not None}
    exp.log_params(valid_params)
    exp.stop()
    shown = capsys.readouterr().out
    assert shown.startswith("Failed to log metric: metric 'accuracy'")
    assert series(logged(exp), "accuracy") == [(0, 0.9), (2, 0.8)]
    assert dict(logged(exp).params) == {"lr": 0.1}


# ---------------------------------------------------------------------------------- the parameters


def session(name: str = "demo", workspace: str = "test", local_path: str = "./data") -> Experiment:
    return Experiment(name=name, project=workspace, dir=local_path)


def stored(exp: Experiment) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((exp.dir / "parameters.json").read_text())
    assert dict(logged(exp).params) == content
    return content


def test_basic_parameter_tracking() -> None:
    with session() as exp:
        # Track parameters
        exp.parameters().set(learning_rate=0.001, batch_size=32, optimizer="adam", epochs=100)
    assert exp.dir.parent == Path("data/test").absolute()
    assert stored(exp) == {
        "learning_rate": 0.001,
        "batch_size": 32,
        "optimizer": "adam",
        "epochs": 100,
    }


def test_nested_parameters() -> None:
    with session() as exp:
        # Pass nested dictionary
        exp.parameters().set(**{  # noqa: PIE804 - as it stands there
            "model": {
                "architecture": "resnet50",
                "pretrained": True,
                "num_classes": 1000
            },
            "optimizer": {
                "type": "adam",
                "lr": 0.001,
                "weight_decay": 0.0001
            }
        })  # fmt: skip
    assert stored(exp) == {
        "model.architecture": "resnet50",
        "model.pretrained": True,
        "model.num_classes": 1000,
        "optimizer.type": "adam",
        "optimizer.lr": 0.001,
        "optimizer.weight_decay": 0.0001,
    }


def test_multiple_parameter_calls() -> None:
    with session() as exp:
        # Initial parameters
        exp.parameters().set(learning_rate=0.001, batch_size=32)

        # Add more parameters
        exp.parameters().set(optimizer="adam", momentum=0.9)

        # Update existing parameter
        exp.parameters().set(learning_rate=0.0001)  # Overwrites previous value
    assert stored(exp) == {
        "learning_rate": 0.0001,
        "batch_size": 32,
        "optimizer": "adam",
        "momentum": 0.9,
    }


def test_parameter_types() -> None:
    given: dict[str, Any] = {
        "learning_rate": 0.001,
        "batch_size": 32,
        "temperature": 0.5,
        "optimizer": "adam",
        "architecture": "resnet50",
        "pretrained": True,
        "use_dropout": False,
        "layer_sizes": [256, 128, 64],
        "augmentations": ["flip", "rotate", "crop"],
        "checkpoint_path": None,
    }
    with session() as exp:
        exp.parameters().set(**given)
    found = stored(exp)
    assert found == given
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in given.items()
    }


TRAINING = {
    "model": {"architecture": "resnet50", "pretrained": True, "num_classes": 1000, "dropout": 0.5},
    "data": {
        "dataset": "imagenet",
        "train_split": 0.8,
        "val_split": 0.1,
        "test_split": 0.1,
        "num_workers": 4,
    },
    "training": {
        "epochs": 100,
        "batch_size": 256,
        "learning_rate": 0.1,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 0.0001,
        "scheduler": "cosine",
    },
    "augmentation": {
        "random_crop": True,
        "random_flip": True,
        "color_jitter": 0.4,
        "normalize": True,
    },
}


def test_training_configuration() -> None:
    with session("resnet-imagenet", "computer-vision", "./experiments") as exp:
        # Model parameters
        exp.parameters().set(TRAINING)
    assert stored(exp) == {
        f"{section}.{key}": value
        for section, values in TRAINING.items()
        for key, value in values.items()
    }
    assert logged(exp).params.nested() == TRAINING


def test_loading_from_a_config_file() -> None:
    Path("config.json").write_text(json.dumps(TRAINING))

    # Load config
    with Path("config.json").open() as f:
        config = json.load(f)

    with session("experiment", "ml") as exp:
        # Track all config parameters
        exp.parameters().set(config)

        exp.log("Configuration loaded")
    assert logged(exp).params.nested() == TRAINING
    assert [line.text for line in logged(exp).texts] == ["Configuration loaded"]


def test_command_line_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "0.1", "--optimizer", "sgd"])
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--optimizer", type=str, default="adam")
    args = parser.parse_args()

    with session("cli-experiment", "ml") as exp:
        # Convert argparse namespace to dict
        exp.parameters().set(vars(args))

        exp.log("Parameters loaded from CLI")
    found = stored(exp)
    assert found.items() >= {"lr": 0.1, "batch_size": 32, "optimizer": "sgd"}.items()


def test_environment_information() -> None:
    with session() as exp:
        # Track environment info
        exp.parameters().set({
            "environment": {
                "python_version": platform.python_version(),
                "platform": platform.platform(),
                "pytorch_version": torch.__version__,
                "cuda_available": torch.cuda.is_available(),
                "cuda_version": torch.version.cuda if torch.cuda.is_available() else None,
                "device_count": torch.cuda.device_count() if torch.cuda.is_available() else 0,
            }
        })  # fmt: skip
    assert stored(exp) == {
        "environment.python_version": platform.python_version(),
        "environment.platform": platform.platform(),
        "environment.pytorch_version": "2.9.0",
        "environment.cuda_available": False,
        "environment.cuda_version": None,
        "environment.device_count": 0,
    }


def test_hyperparameter_search() -> None:
    def train_model(lr: float, bs: int) -> float:
        return lr * bs

    learning_rates = [0.1, 0.01, 0.001]
    batch_sizes = [32, 64, 128]

    for lr, bs in product(learning_rates, batch_sizes):
        with session(f"search-lr{lr}-bs{bs}", "hyperparameter-search", "./experiments") as exp:
            exp.parameters().set(learning_rate=lr, batch_size=bs, optimizer="adam")

            accuracy = train_model(lr, bs)
            exp.log(f"Final accuracy: {accuracy}")

    found = tracelet.runs("hyperparameter-search", dir="./experiments")
    assert sorted((run.params["learning_rate"], run.params["batch_size"]) for run in found) == (
        sorted(product(learning_rates, batch_sizes))
    )
    for run in found:
        lr, bs = run.params["learning_rate"], run.params["batch_size"]
        assert (run.name, run.status) == (f"search-lr{lr}-bs{bs}", "finished")
        assert [line.text for line in run.texts] == [f"Final accuracy: {lr * bs}"]


def test_config_class() -> None:
    @dataclass
    class TrainingConfig:
        learning_rate: float = 0.001
        batch_size: int = 32
        epochs: int = 100
        optimizer: str = "adam"

    config = TrainingConfig()

    with session("experiment", "ml") as exp:
        # Convert dataclass to dict
        exp.parameters().set(asdict(config))
    assert stored(exp) == asdict(config)


def test_progressive_updates() -> None:
    with session() as exp:
        # Initial config
        exp.parameters().set(learning_rate=0.1, batch_size=32)

        # Train for a while...

        # Learning rate was reduced
        exp.parameters().set(learning_rate=0.01)
        exp.log("Learning rate reduced to 0.01")

        # Train more...

        # Learning rate reduced again
        exp.parameters().set(learning_rate=0.001)
        exp.log("Learning rate reduced to 0.001")
    assert stored(exp) == {"learning_rate": 0.001, "batch_size": 32}
    history = logged(exp).params.history("learning_rate")
    assert [change.value for change in history] == [0.1, 0.01, 0.001]


def test_comparison_with_tracks() -> None:
    def train() -> float:
        return 0.5

    with session() as exp:
        # Parameters - set once
        exp.parameters().set(learning_rate=0.001, batch_size=32)

        # Tracks - logged repeatedly over time
        for epoch in range(100):
            loss = train()
            exp.track("loss").append(value=loss, epoch=epoch)
    points = logged(exp).metrics["loss"]
    assert [(point.axis, point.iteration, point.value) for point in points] == [
        ("epoch", epoch, 0.5) for epoch in range(100)
    ]
    assert stored(exp) == {"learning_rate": 0.001, "batch_size": 32}
