"""A sweep knows what it is for: names that are wrong are told at once, and so are values."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click
import msgspec
import pydantic
import pytest
from ids import stable

from tracelet import DynamicValue, Sweep, TraceletError, TraceletWarning


def function(lr: float, *, batch_size: int = 32) -> None: ...


@dataclass
class Data:
    lr: float
    batch_size: int = 32
    kind: Literal["a", "b"] = "a"
    path: Path | None = None
    made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.lr == 13:
            raise ValueError("an unlucky rate")


class Model(pydantic.BaseModel):
    lr: float = pydantic.Field(gt=0)
    batch_size: int = 32
    size: int = pydantic.Field(default=1, alias="model_size")

    @pydantic.field_validator("batch_size")
    @classmethod
    def is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


class Attributes:
    lr = 0.1
    batch_size: int


class Struct(msgspec.Struct):
    lr: float
    batch_size: int = 32


@click.command()
@click.option("--lr", type=float)
@click.option("--batch-size")
def command(lr: float, batch_size: int) -> None: ...


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch-size", type=int)


def takes_a_model(config: Model) -> None: ...


TARGETS = [
    *(function, functools.partial(function), Data, Model, Attributes, Struct, command, parser),
    takes_a_model,
]


@pytest.mark.parametrize(
    "target", TARGETS, ids=lambda one: getattr(one, "__name__", type(one).__name__)
)
def test_a_known_name_is_fine_and_an_unknown_one_warns_with_the_nearest(target: Any) -> None:
    assert len(Sweep(target).product(lr=[0.1], batch_size=[32])) == 1

    with pytest.warns(TraceletWarning, match="no parameter 'batchsize' .did you mean 'batch_size'"):
        assert list(Sweep(target).product(batchsize=[32])) == [{"batchsize": 32}]
    with pytest.raises(ValueError, match="no parameter 'batchsize'") as caught:
        Sweep(target, strict=True).product(batchsize=[32])
    assert isinstance(caught.value, TraceletError)
    with pytest.raises(ValueError, match="no parameter 'batchsize'"):
        Sweep(target, [{"batchsize": 1}], strict=True)


def test_a_name_far_from_all_is_told_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"'zzz' \(it has 'batch_size', 'lr'\)"):
        Sweep(function, strict=True).set(zzz=1)


def test_names_that_another_sweep_brings_are_checked_whichever_has_the_target() -> None:
    other = Sweep().set(zzz=1)

    for make in (
        lambda: Sweep(function, strict=True) * other,
        lambda: Sweep(function, strict=True) + other,
        lambda: other * Sweep(function, strict=True),
        lambda: other + Sweep(function, strict=True),
    ):
        with pytest.raises(ValueError, match="no parameter 'zzz'"):
            make()
    with pytest.warns(TraceletWarning, match="no parameter 'zzz'"):
        both = Sweep(function) + other
    assert both.target is function
    with pytest.raises(ValueError, match="no parameter 'zzz'"):
        (Sweep() * Sweep(function, strict=True)).set(zzz=1)


def anything(**names: Any) -> None: ...
def a_dict(config: dict[str, Any]) -> None: ...
def a_mapping(config: Mapping[str, Any]) -> None: ...


class Open(pydantic.BaseModel, extra="allow"): ...  # fmt: skip


@pytest.mark.parametrize("target", [anything, a_dict, a_mapping, Open, None], ids=stable)
def test_some_take_any_name(target: Any) -> None:
    assert list(Sweep(target, strict=True).product(anything=[1])) == [{"anything": 1}]


@pytest.mark.parametrize("key", ["Attributes.lr", "attributes.lr"])
def test_attributes_of_a_class_can_be_written_with_its_name(key: str) -> None:
    assert list(Sweep(Attributes, strict=True).product(**{key: [1]})) == [{key: 1}]


@pytest.mark.parametrize("wrong", ["train", 5, {"lr": [1]}, [{"lr": 1}]], ids=stable)
def test_something_else_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a sweep is for a function"):
        Sweep(wrong)


@pytest.mark.parametrize(
    ("target", "values", "message"),
    [
        (Model, {"lr": ["high"]}, "lr: .*valid number"),
        (Model, {"lr": [0.1, -1]}, "lr: .*greater than 0"),
        (Model, {"model_size": ["big"]}, "model_size"),
        (Data, {"lr": [0.1, "high"]}, "lr: Expected `float`, got `str`"),
        (Data, {"batch_size": [1.5]}, "batch_size: Expected `int`"),
        (Data, {"kind": ["c"]}, "kind: "),
    ],
)
def test_a_value_of_the_wrong_type_is_told_at_the_call(
    target: Any, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Sweep(target).product(**values)
    assert isinstance(caught.value, TraceletError)
    with pytest.raises(ValueError, match=message):
        Sweep(target, configs=[{name: DynamicValue(given) for name, given in values.items()}])


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (Sweep(Model).product(batch_size=[2]), "configuration 0 .* lr: Field required"),
        (Sweep(Model).product(lr=[1], batch_size=[2, 3]), "configuration 1 .*batch_size: .*even"),
        (Sweep(Data).product(lr=[1.0, 13]), "configuration 1 .*an unlucky rate"),
        (Sweep(Data).product(batch_size=[1]), "configuration 0 .*lr"),
    ],
)
def test_a_configuration_is_validated_whole(sweep: Sweep, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        sweep.validate()
    assert isinstance(caught.value, TraceletError)


def test_what_fits_is_left_as_it_is() -> None:
    sweep = Sweep(Data).product(lr=[1, 0.5], path=[Path("a"), None], kind=["b"])

    assert sweep.validate() is sweep
    assert sweep[0] == {"lr": 1, "path": Path("a"), "kind": "b"}
