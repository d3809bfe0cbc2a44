"""A sweep is the product of its factors, whatever it is made of, and nothing else is changed."""

from __future__ import annotations

import enum
import itertools
import sys
from collections import deque
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from ids import stable
from pydantic import BaseModel

import tracelet
from tracelet import DynamicValue, Sweep, TraceletError, TraceletWarning
from tracelet.sweep.configuration import configuration_id


class Optimizer(enum.Enum):
    SGD = "sgd"
    ADAM = "adam"


class Point(NamedTuple):
    x: Any
    y: Any


# --------------------------------------------------------------------------------- what values are


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ((i * i for i in range(3)), [0, 1, 4]),
        (map(str, [1, 2]), ["1", "2"]),
        (np.array([0.5, 1.5]), [0.5, 1.5]),
        (deque([1, 2]), [1, 2]),
        ({"a": 1}.keys(), ["a"]),
        (Optimizer, [Optimizer.SGD, Optimizer.ADAM]),
        (DynamicValue([1, 2]), [1, 2]),
        ("abc", ["abc"]),
        (b"abc", [b"abc"]),
        ({"depth": 1}, [{"depth": 1}]),
        (0.5, [0.5]),
        (None, [None]),
        (np.float64(0.5), [0.5]),
        (print, [print]),
    ],
    ids=stable,
)
def test_many_values_and_single_ones(values: Any, expected: list[Any]) -> None:
    assert [config["a"] for config in Sweep().product(a=values)] == expected


def test_values_of_an_array_are_python_numbers() -> None:
    (config,) = Sweep().product(a=np.array([0.5]))

    assert type(config["a"]) is float


def test_times_of_an_array_keep_their_unit() -> None:
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")

    assert [c["at"] for c in Sweep().product(at=days)] == days.tolist()
    assert [c["at"] for c in Sweep().product(at=days.astype("datetime64[ns]"))] == list(days)
    spans = np.array([5], dtype="timedelta64[ns]")
    assert Sweep(configs=[{"at": DynamicValue(spans)}])[0]["at"] == np.timedelta64(5, "ns")
    assert Sweep().product(at=spans)[0]["at"].dtype == spans.dtype


def test_a_generator_is_read_once_at_the_call() -> None:
    values = iter([1, 2, 3])

    sweep = Sweep().product(a=values)

    assert list(values) == []
    assert len(list(sweep)) == len(list(sweep)) == 3


@pytest.mark.parametrize("single", ["abc", 5, b"abc", None, {"a": 1}, 0.5, True], ids=stable)
def test_a_dynamic_value_of_a_single_value_is_a_type_error(single: Any) -> None:
    with pytest.raises(TypeError, match="values to choose from") as caught:
        DynamicValue(single)
    assert isinstance(caught.value, TraceletError)


# -------------------------------------------------------------------------------------- the factors


def test_a_single_value_in_zip_is_repeated() -> None:
    sweep = Sweep().zip(lr=[0.1, 0.2], epochs=5)

    assert list(sweep) == [{"lr": 0.1, "epochs": 5}, {"lr": 0.2, "epochs": 5}]


def test_zip_of_unequal_lengths_names_each() -> None:
    with pytest.raises(ValueError, match="'a' has 2, 'b' has 3, 'c' has 1"):
        Sweep().zip(a=[1, 2], b=[1, 2, 3], c=[1])


@pytest.mark.parametrize("empty", [[], (), range(0), iter([]), set(), np.array([])], ids=stable)
def test_an_empty_axis_is_named(empty: Any) -> None:
    with pytest.raises(ValueError, match="'lr' has no values"):
        Sweep().product(lr=empty)


def test_a_dynamic_value_without_values_is_named_with_its_path() -> None:
    with pytest.raises(ValueError, match=r"'model\.depth' has no values"):
        Sweep(configs=[{"model": {"depth": DynamicValue([])}}])


@pytest.mark.parametrize(
    "again",
    [
        lambda sweep: sweep.product(lr=[3]),
        lambda sweep: sweep.zip(lr=[3, 4]),
        lambda sweep: sweep.chain({"lr": 3}, {"lr": 4}),
        lambda sweep: sweep * {"lr": [1, 2]},
        lambda sweep: sweep * Sweep().product(lr=[1, 2]),
        lambda sweep: sweep.set(lr=DynamicValue([1, 2])),
    ],
)
def test_a_name_that_varies_twice_is_an_error_that_names_it(again: Any) -> None:
    with pytest.raises(ValueError, match="'lr' varies already"):
        again(Sweep().product(lr=[1, 2]))


def test_set_after_product_overrides_and_warns() -> None:
    with pytest.warns(TraceletWarning, match="'lr' varied"):
        sweep = Sweep().product(lr=[1, 2]).set(lr=3)

    assert list(sweep) == [{"lr": 3}, {"lr": 3}]


def test_product_after_set_varies_the_default() -> None:
    assert list(Sweep().set(lr=0, a=1).product(lr=[1, 2])) == [{"lr": 1, "a": 1}, {"lr": 2, "a": 1}]


def test_a_chain_takes_configurations_of_different_names_and_of_other_sweeps() -> None:
    sweep = Sweep().chain({"a": 1}, Sweep().product(b=[1, 2]), {"c": [1, 2]})

    assert list(sweep) == [{"a": 1}, {"b": 1}, {"b": 2}, {"c": [1, 2]}]


def test_plus_is_both_after_another() -> None:
    assert list(Sweep().product(a=[1, 2]) + Sweep().set(b=3)) == [{"a": 1}, {"a": 2}, {"b": 3}]


def test_repetitions_are_in_a_row_and_numbered_beside_the_configuration() -> None:
    sweep = Sweep().product(layers=[[1], [2]]) ** 2

    configs = list(sweep)
    configs[0]["layers"].append(9)

    assert configs[1] == {"layers": [1]}
    assert [(config["layers"], config.repeat) for config in sweep] == [
        ([1], 0),
        ([1], 1),
        ([2], 0),
        ([2], 1),
    ]
    assert [sweep[index].repeat for index in range(4)] == [0, 1, 0, 1]
    assert [config.repeat for config in (Sweep() ** 2) ** 2] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("times", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), (1.5, TypeError)]
)
def test_a_number_of_repetitions_is_an_integer_from_1(times: Any, error: type) -> None:
    with pytest.raises(error, match="integer from 1"):
        Sweep() ** times


def test_choices_among_the_values_of_a_choice_expand_in_place() -> None:
    choice = DynamicValue([{"name": "sgd", "momentum": DynamicValue([0, 0.9])}, {"name": "adam"}])

    for sweep in (Sweep(configs=[{"opt": choice}]), Sweep().product(opt=choice)):
        assert list(sweep) == [
            {"opt": {"name": "sgd", "momentum": 0}},
            {"opt": {"name": "sgd", "momentum": 0.9}},
            {"opt": {"name": "adam"}},
        ]
        assert [sweep[index] for index in range(3)] == list(sweep)


def test_choices_stand_in_lists_and_in_every_call() -> None:
    assert list(Sweep().set(a=[DynamicValue([1, 2]), 3])) == [{"a": [1, 3]}, {"a": [2, 3]}]
    assert list(Sweep().chain({"a": (DynamicValue([1, 2]),)})) == [{"a": (1,)}, {"a": (2,)}]
    pairs = Sweep().zip(a=[1, 2], b=[DynamicValue([3, 4]), 5])
    assert [tuple(config.values()) for config in pairs] == [(1, 3), (1, 4), (2, 5)]


def test_configs_are_mappings_models_and_files(tmp_path: Path) -> None:
    class Model(BaseModel):
        lr: Any
        inner: dict[str, int] = {}

    Path("more.json").write_text('[{"lr": 3}, {"lr": 4}]')

    sweep = Sweep(
        configs=[
            MappingProxyType({"lr": 1}),
            Model(lr=DynamicValue([2, 5])),
            "more.json",
            Path("more.json"),
        ]
    )

    assert [config["lr"] for config in sweep] == [1, 2, 5, 3, 4, 3, 4]
    assert sweep[1] == {"lr": 2, "inner": {}}


@pytest.mark.parametrize(
    "wrong", [5, None, [("lr", 1)], object()], ids=["5", "None", "list", "object"]
)
def test_other_configs_are_type_errors(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a mapping or a pydantic model"):
        Sweep(configs=[wrong])


@pytest.mark.parametrize("wrong", [{"lr": 1}, "configs.yaml", 5])
def test_configs_are_a_list(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a list of configurations"):
        Sweep(configs=wrong)


def test_configs_are_read_once() -> None:
    assert list(Sweep(configs=({"lr": lr} for lr in (1, 2)))) == [{"lr": 1}, {"lr": 2}]
    assert len(Sweep(configs=[Sweep().product(lr=[1, 2]), {"lr": 3}])) == 3


def test_no_configurations_are_an_error() -> None:
    with pytest.raises(ValueError, match="no configurations"):
        Sweep(configs=[])
    with pytest.raises(ValueError, match="no configurations"):
        Sweep().chain()


def test_a_generator_as_a_value_is_refused_before_it_is_empty() -> None:
    with pytest.raises(TypeError, match=r"'model\.x'.*only once"):
        Sweep().set(model={"x": iter([1])})


@pytest.mark.parametrize(
    "holder",
    [
        MappingProxyType({"lr": DynamicValue([1, 2])}),
        deque([DynamicValue([1, 2])]),
        Point(DynamicValue([1, 2]), 0),
    ],
)
def test_a_choice_where_none_can_be_expanded_is_no_value(holder: Any) -> None:
    for make in (
        lambda: Sweep(configs=[{"model": {"x": holder}}]),
        lambda: Sweep().product(model=[{"x": holder}]),
        lambda: Sweep().set(model={"x": holder}),
    ):
        with pytest.raises(TypeError, match=r"'model\.x'.* with a DynamicValue inside"):
            make()


@pytest.mark.parametrize("key", [1, "", None])
def test_names_are_texts(key: Any) -> None:
    for make in (
        lambda: Sweep() * {key: [1]},
        lambda: Sweep() % {key: 1},
        lambda: Sweep().chain({key: 1}),
    ):
        with pytest.raises(ValueError, match="a name is a string"):
            make()


def test_operators_with_something_else_are_type_errors() -> None:
    for other in (5, [1], None):
        with pytest.raises(TypeError):
            Sweep() * other
        with pytest.raises(TypeError):
            Sweep() % other
        with pytest.raises(TypeError):
            Sweep() + other


# ------------------------------------------------------------------------- nothing else is changed


def test_every_method_leaves_the_sweep_as_it_was() -> None:
    sweep = Sweep().product(a=[1, 2])

    for made in (
        sweep.product(b=[1]),
        sweep.zip(b=[1]),
        sweep.chain({"b": 1}),
        sweep.set(b=1),
        sweep**2,
        sweep * {"b": [1]},
        sweep % {"b": 1},
        sweep + sweep,
        sweep[:1],
        sweep.sample(1),
    ):
        assert made is not sweep
        assert list(sweep) == [{"a": 1}, {"a": 2}]


def test_what_was_given_can_be_changed_afterwards() -> None:
    layers, values, entry = [64], [1, 2], {"deep": {"x": 1}}
    sweep = Sweep().set(layers=layers).product(a=values).chain(entry)
    before = list(sweep)

    values.append(3)
    entry["deep"]["x"] = 2
    layers.append(32)

    assert list(sweep) == before


def test_configurations_share_nothing() -> None:
    sweep = Sweep().product(
        layers=[[1]], net=[{"sizes": [1]}], weights=[{1, 2}], array=[np.ones(2)] * 2
    )
    first, second = sweep
    first["layers"].append(2)
    first["net"]["sizes"].append(2)
    first["weights"].add(3)
    first["array"][0] = 5

    for config in (second, *sweep, sweep[0]):
        assert config["layers"] == [1]
        assert config["net"] == {"sizes": [1]}
        assert config["weights"] == {1, 2}
        assert config["array"].tolist() == [1, 1]


def test_iterations_do_not_disturb_each_other() -> None:
    sweep = Sweep().product(a=[1, 2], b=[3, 4])

    pairs = [(one["a"], other["b"]) for one, other in itertools.product(sweep, sweep)]

    assert len(pairs) == 16


def test_a_class_as_target_keeps_its_attributes() -> None:
    class Training:
        lr = 0.1

    before = dict(vars(Training))
    list(Sweep(Training).product(lr=[1, 2]))

    assert dict(vars(Training)) == before


# ----------------------------------------------------------------------------- size and indexing


def test_a_sweep_of_any_size_is_described_and_not_made(tmp_path: Path) -> None:
    sweep = Sweep()
    for number in range(12):
        sweep = sweep.product(**{f"x{number}": range(10)})

    assert len(sweep) == 10**12
    assert sweep[123456789012] == {f"x{n}": int(d) for n, d in enumerate("123456789012")}
    assert sweep[-1] == sweep[10**12 - 1]
    assert [config.index for config in sweep[10**11 :: 10**11]][:2] == [0, 1]
    assert sweep[999_999_999_998:][1] == sweep[-1]
    assert next(iter(sweep[5 * 10**11 :])) == sweep[5 * 10**11]
    assert len({config.id for config in sweep.sample(10, seed=1)}) == 10
    sweep.save("sweep.jsonl")
    assert Path("sweep.jsonl").stat().st_size < 1000
    assert Sweep.load("sweep.jsonl") == sweep


def test_one_axis_can_be_of_any_size() -> None:
    sweep = Sweep().product(seed=range(10**30))

    assert sweep.size == 10**30
    assert sweep[-1] == {"seed": 10**30 - 1}
    assert len(list(sweep.sample(3, seed=0))) == 3
    assert next(iter(sweep)) == {"seed": 0}
    with pytest.raises(OverflowError):
        len(sweep)
    assert sweep.size > sys.maxsize


def test_an_index_beyond_the_end_is_an_index_error() -> None:
    sweep = Sweep().product(a=[1, 2])
    for index in (2, -3):
        with pytest.raises(IndexError, match="a sweep that has 2"):
            sweep[index]
    for wrong in ("a", 1.0, None):
        with pytest.raises(TypeError, match="an integer or a slice"):
            sweep[wrong]  # type: ignore[call-overload]


def test_slices_are_sweeps() -> None:
    sweep = Sweep().product(a=range(10))

    assert [config["a"] for config in sweep[2:8:2][1:]] == [4, 6]
    assert [config["a"] for config in sweep[::-1]] == list(range(9, -1, -1))
    assert list(sweep[5:5]) == []
    assert not sweep[5:5]
    assert [tuple(config.values()) for config in sweep[:2].product(b=[1, 2])] == [
        (0, 1),
        (0, 2),
        (1, 1),
        (1, 2),
    ]


def test_a_sample_is_drawn_without_replacement_and_repeatably() -> None:
    sweep = Sweep().product(a=range(100))

    drawn = [config["a"] for config in sweep.sample(100, seed=3)]

    assert sorted(drawn) == list(range(100))
    assert [config["a"] for config in sweep.sample(100, seed=3)] == drawn
    assert [config["a"] for config in sweep.sample(100, seed=4)] != drawn


@pytest.mark.parametrize(
    ("n", "error"), [(0, ValueError), (11, ValueError), (True, TypeError), ("3", TypeError)]
)
def test_a_sample_that_cannot_be_drawn_is_an_error(n: Any, error: type) -> None:
    with pytest.raises(error, match=r"sample\("):
        Sweep().product(a=range(10)).sample(n)


# ------------------------------------------------------------------------------------------- ids


def test_an_id_does_not_depend_on_the_order_of_keys_or_the_process() -> None:
    assert configuration_id({"a": 1, "b": {"c": 2, "d": 3}}) == configuration_id(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert configuration_id({"lr": 0.1, "name": "net"}) == "8843196040417e71"


def test_different_values_have_different_ids() -> None:
    values = [1, "1", 1.0, True, None, "None", [1], {"a": 1}, Path("1"), b"1", float("nan"), "NaN"]
    values += [
        {1},
        {"$set": ["1"]},
        np.zeros(2000),
        np.ones(2000),
        print,
        "print",
        2**70,
        {1: 2},
        {"1": 2},
    ]

    assert len({configuration_id({"a": value}) for value in values}) == len(values)


def test_ids_are_beside_the_configuration() -> None:
    (config,) = Sweep().product(a=[1])

    assert config.id == configuration_id({"a": 1})
    assert list(config) == ["a"]
    assert config == {"a": 1}


def test_the_public_names_are_there() -> None:
    assert tracelet.Sweep is Sweep
    assert tracelet.DynamicValue is DynamicValue
    assert repr(Sweep(print).product(end=[1, 2])) == "<Sweep of print: 2 configurations>"
    assert repr(DynamicValue([1])) == "DynamicValue([1])"
    assert DynamicValue([1, 2]) == DynamicValue(iter([1, 2]))
