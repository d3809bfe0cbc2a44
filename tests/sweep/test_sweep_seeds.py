"""The examples of two other libraries' manuals, under our names, give what the manuals say."""
# ruff: noqa: E501, ERA001 - as they stand there

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel, Field

import tracelet
from tracelet import DynamicValue, Sweep, TraceletWarning

calls: list[tuple[float, int]] = []


def train(lr: float = 0.001, batch_size: int = 32) -> None:
    calls.append((lr, batch_size))


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


# ------------------------------------------------------------------------ the sweeps of params-proto


def test_a_new_sweep() -> None:
    assert list(Sweep(train)) == [{}]


def test_grid_search() -> None:
    sweep = Sweep(train).product(
        lr=[0.001, 0.01, 0.1],
        batch_size=[32, 64, 128],
    )

    for config in sweep:
        train(**config)

    assert len(sweep) == 9
    assert calls == [(lr, size) for lr in (0.001, 0.01, 0.1) for size in (32, 64, 128)]


def test_paired_values() -> None:
    sweep = Sweep(train).zip(
        lr=[0.001, 0.01, 0.1],
        batch_size=[32, 64, 128],
    )

    for config in sweep:
        train(**config)

    assert calls == [(0.001, 32), (0.01, 64), (0.1, 128)]


def test_combined_sweeps() -> None:
    with pytest.warns(TraceletWarning, match="'epochs'"):
        sweep = (
            Sweep(train)
            .product(
                lr=[0.001, 0.01],
            )
            .zip(
                batch_size=[32, 64],
                epochs=[100, 200],
            )
        )

    assert [(c["lr"], c["batch_size"], c["epochs"]) for c in sweep] == [
        (0.001, 32, 100),
        (0.001, 64, 200),
        (0.01, 32, 100),
        (0.01, 64, 200),
    ]


def test_a_chain() -> None:
    sweep = Sweep(train).chain(
        {"lr": 0.001, "batch_size": 32},
        {"lr": 0.01, "batch_size": 64},
        {"lr": 0.1, "batch_size": 128},
    )

    for config in sweep:
        train(**config)

    assert calls == [(0.001, 32), (0.01, 64), (0.1, 128)]


def test_fixed_values() -> None:
    with pytest.warns(TraceletWarning, match="'epochs'"):
        sweep = (
            Sweep(train)
            .set(
                epochs=100,  # Fixed for all configs
            )
            .product(
                lr=[0.001, 0.01, 0.1],
            )
        )

    assert list(sweep) == [{"epochs": 100, "lr": lr} for lr in (0.001, 0.01, 0.1)]


class Training:
    lr: float = 0.001
    batch_size: int = 32


def test_a_class_of_parameters() -> None:
    seen = []

    def main(seed: int = 42) -> None:
        seen.append((Training.lr, Training.batch_size, seed))

    sweep = Sweep(Training).product(
        lr=[0.001, 0.01],
        batch_size=[32, 64],
    )

    for config in sweep:
        with tracelet.bind(Training, **config):
            main()

    assert seen == [(0.001, 32, 42), (0.001, 64, 42), (0.01, 32, 42), (0.01, 64, 42)]
    assert (Training.lr, Training.batch_size) == (0.001, 32)


def test_iteration() -> None:
    sweep = Sweep(train).product(lr=[0.1, 0.2])

    configs = list(sweep)
    pairs = []
    for i, config in enumerate(sweep):
        pairs.append((i, config))

    assert f"Total: {len(configs)} configurations" == "Total: 2 configurations"
    assert pairs == [(0, {"lr": 0.1}), (1, {"lr": 0.2})]


def test_saving_and_loading() -> None:
    sweep = Sweep(train).product(lr=[1e-5, 1e-1], batch_size=[32])

    # Save to file
    sweep.save("sweep.yaml")

    # Load from file
    loaded = Sweep.load("sweep.yaml")

    assert (
        list(loaded)
        == list(sweep)
        == [{"lr": 1e-5, "batch_size": 32}, {"lr": 0.1, "batch_size": 32}]
    )


def test_data_frame_export() -> None:
    df = Sweep(train).product(lr=[0.1, 0.2], batch_size=[32, 64]).to_dataframe()

    expected = pd.DataFrame({"lr": [0.1, 0.1, 0.2, 0.2], "batch_size": [32, 64, 32, 64]})
    pd.testing.assert_frame_equal(df, expected)


def test_operators() -> None:
    # Multiplication = product
    sweep = Sweep(train) * {"lr": [0.001, 0.01]} * {"batch_size": [32, 64]}
    assert list(sweep) == list(Sweep(train).product(lr=[0.001, 0.01], batch_size=[32, 64]))

    # Power = repeat
    sweep = Sweep(train) ** 3  # 3 repetitions
    assert list(sweep) == [{}, {}, {}]

    # Modulo with dict = set
    with pytest.warns(TraceletWarning, match="'epochs'"):
        sweep = Sweep(train) % {"epochs": 100}
    assert list(sweep) == [{"epochs": 100}]


def test_a_learning_rate_search() -> None:
    sweep = Sweep(train).product(
        lr=[1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
    )
    assert len(sweep) == 5


def test_an_architecture_search() -> None:
    with pytest.warns(TraceletWarning, match="'dropout'.*'model'"):
        sweep = Sweep(train).product(
            model=["resnet18", "resnet50", "vit"],
            dropout=[0.1, 0.3, 0.5],
        )
    assert sweep[4] == {"model": "resnet50", "dropout": 0.3}


def test_random_seeds() -> None:
    with pytest.warns(TraceletWarning, match="'seed'"):
        sweep = (
            Sweep(train)
            .product(
                seed=[42, 123, 456, 789, 1337],
            )
            .set(
                lr=0.001,
                batch_size=32,
            )
        )
    assert list(sweep) == [
        {"seed": seed, "lr": 0.001, "batch_size": 32} for seed in (42, 123, 456, 789, 1337)
    ]


def test_an_ablation_study() -> None:
    # Baseline
    baseline = {"lr": 0.001, "batch_size": 32, "augment": False}

    with pytest.warns(TraceletWarning, match="'augment'"):
        sweep = Sweep(train).chain(
            baseline,
            {**baseline, "augment": True},
            {**baseline, "lr": 0.01},
            {**baseline, "batch_size": 64},
        )

    assert [config["augment"] for config in sweep] == [False, True, False, False]
    assert sweep[3] == {"lr": 0.001, "batch_size": 64, "augment": False}


# ------------------------------------------------------------------- the dynamic values of Spearmint


def test_two_dynamic_values_are_their_product() -> None:
    configs = [
        {
            "model": DynamicValue(["gpt-4", "gpt-3.5"]),
            "temperature": DynamicValue([0.1, 0.5, 0.9]),
        }
    ]

    sweep = Sweep(configs=configs)

    assert list(sweep) == [
        {"model": "gpt-4", "temperature": 0.1},
        {"model": "gpt-4", "temperature": 0.5},
        {"model": "gpt-4", "temperature": 0.9},
        {"model": "gpt-3.5", "temperature": 0.1},
        {"model": "gpt-3.5", "temperature": 0.5},
        {"model": "gpt-3.5", "temperature": 0.9},
    ]


def test_a_simple_parameter_sweep() -> None:
    configs = [
        {
            "model": DynamicValue(["gpt-4", "gpt-3.5", "claude-3"]),
            "max_tokens": 100,  # Static value
        }
    ]

    assert len(Sweep(configs=configs)) == 3
    assert {config["max_tokens"] for config in Sweep(configs=configs)} == {100}


def test_static_values_beside_dynamic_ones() -> None:
    configs = [
        {
            "model": DynamicValue(["gpt-4", "gpt-3.5"]),
            "temperature": DynamicValue([0.1, 0.5, 0.9]),
            "max_tokens": 100,  # Static
        }
    ]
    assert len(Sweep(configs=configs)) == 6


def test_ranges() -> None:
    configs = [
        {
            "model": "gpt-4",
            "temperature": DynamicValue(range(1, 10, 2)),  # 1, 3, 5, 7, 9
            "learning_rate": DynamicValue([0.001, 0.01, 0.1]),
        }
    ]
    sweep = Sweep(configs=configs)

    assert len(sweep) == 15
    assert list(dict.fromkeys(config["temperature"] for config in sweep)) == [1, 3, 5, 7, 9]


def test_generators() -> None:
    def temperature_values() -> Any:
        """Custom generator for temperature values."""
        for i in range(1, 10):
            yield i / 10.0  # 0.1, 0.2, ..., 0.9

    configs = [
        {
            "model": "gpt-4",
            "temperature": DynamicValue(temperature_values()),
        }
    ]
    sweep = Sweep(configs=configs)

    assert [config["temperature"] for config in sweep] == [i / 10 for i in range(1, 10)]
    assert len(list(sweep)) == 9  # a second time


def test_nested_structures() -> None:
    configs = [
        {
            "llm": {
                "model": DynamicValue(["gpt-4", "gpt-3.5"]),
                "temperature": DynamicValue([0.5, 0.7, 0.9]),
            },
            "retrieval": {
                "top_k": DynamicValue([3, 5, 10]),
            },
        }
    ]
    sweep = Sweep(configs=configs)

    assert len(sweep) == 18
    assert sweep[1] == {"llm": {"model": "gpt-4", "temperature": 0.5}, "retrieval": {"top_k": 5}}
    assert sweep[17] == {
        "llm": {"model": "gpt-3.5", "temperature": 0.9},
        "retrieval": {"top_k": 10},
    }


def test_the_example_expansion() -> None:
    given = {
        "model": DynamicValue(["A", "B"]),
        "temp": DynamicValue([1, 2]),
        "static": "X",
    }

    assert list(Sweep(configs=[given])) == [
        {"model": "A", "temp": 1, "static": "X"},
        {"model": "A", "temp": 2, "static": "X"},
        {"model": "B", "temp": 1, "static": "X"},
        {"model": "B", "temp": 2, "static": "X"},
    ]


def test_the_count_of_configurations() -> None:
    configs = [
        {
            "param1": DynamicValue(range(3)),
            "param2": DynamicValue(range(5)),
            "param3": DynamicValue(range(10)),
            "param4": DynamicValue(range(4)),
        }
    ]
    assert len(Sweep(configs=configs)) == 600


class ModelConfig(BaseModel):
    model: str
    temperature: float = Field(ge=0.0, le=2.0)


def test_configurations_of_a_pydantic_model_are_validated() -> None:
    configs = [
        {
            "model": DynamicValue(["gpt-4", "gpt-3.5"]),
            "temperature": DynamicValue([0.1, 0.5, 0.9]),
        }
    ]

    sweep = Sweep(ModelConfig, configs=configs).validate()

    assert ModelConfig(**sweep[0]) == ModelConfig(model="gpt-4", temperature=0.1)
    with pytest.raises(ValueError, match=r"temperature.*2\.5|2\.5.*temperature"):
        Sweep(ModelConfig, configs=[{"model": "gpt-4", "temperature": DynamicValue([0.1, 2.5])}])


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (
            {
                "learning_rate": DynamicValue([0.001, 0.01, 0.1]),
                "batch_size": DynamicValue([16, 32, 64]),
                "epochs": DynamicValue([10, 20, 50]),
            },
            27,
        ),
        (
            {
                "model": DynamicValue(["gpt-4", "gpt-3.5", "claude-3"]),
                "temperature": 0.7,
                "max_tokens": 150,
            },
            3,
        ),
        (
            {
                "model": "gpt-4",
                "temperature": DynamicValue(
                    [i / 10 for i in range(0, 21, 2)]
                ),  # 0.0, 0.2, ..., 2.0
            },
            11,
        ),
    ],
    ids=["grid search", "model comparison", "temperature sweep"],
)
def test_common_patterns(config: dict[str, Any], count: int, tmp_path: Path) -> None:
    assert len(Sweep(configs=[config])) == count
