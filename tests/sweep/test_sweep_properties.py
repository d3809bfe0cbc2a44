"""What holds for every sweep, whatever it is made of."""
# ruff: noqa: E501 - a table of calls

from __future__ import annotations

import datetime as dt
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracelet import DynamicValue, Sweep

NAMES = st.sampled_from([f"x{number}" for number in range(40)] + ["Training.lr", "ünï", "- a: b"])
SINGLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["1e-5", "yes", "null", "~", "1_000", "0x1F", "2026-01-01", ".inf", "1:30", "=", "1e5"]
    ),
    st.binary(max_size=4),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.decimals(allow_nan=False),
    st.sampled_from([Path("a/b"), range(3), range(0, -4, -2), frozenset({1}), {"a", 2}, 1j]),
)
VALUES = st.recursive(
    SINGLE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.just("$float"), inner, max_size=3)
        | st.dictionaries(st.integers(), inner, max_size=2)
    ),
    max_leaves=5,
)
AXES = st.lists(VALUES, min_size=1, max_size=3)
WITH_CHOICES = (
    VALUES | st.builds(DynamicValue, AXES) | st.builds(lambda v: [DynamicValue(v), 1], AXES)
)


def numbered(number: int) -> Any:
    """A call that appends a factor whose names no other has."""
    name = st.just(f"x{number}") if number else NAMES.filter(lambda one: one not in ("x1", "x2"))
    named = st.tuples(name, AXES)
    return st.one_of(
        named.map(lambda pair: lambda sweep: sweep.product(**{pair[0]: pair[1]})),
        named.map(lambda pair: lambda sweep: sweep.zip(**{pair[0]: pair[1], f"{pair[0]}z": pair[1]})),
        named.map(lambda pair: lambda sweep: sweep.chain({pair[0]: pair[1]}, {"other": number})
                  if number == 1 else sweep),
        st.tuples(name, WITH_CHOICES).map(lambda pair: lambda sweep: sweep.set(**{pair[0]: pair[1]})),
        st.integers(1, 3).map(lambda times: lambda sweep: sweep**times),
        named.map(lambda pair: lambda sweep: (sweep + sweep.set(**{f"{pair[0]}p": pair[1]}))),
    )  # fmt: skip


SWEEPS = st.tuples(*map(numbered, range(3))).map(
    lambda calls: calls[2](calls[1](calls[0](Sweep())))
)


def typed(value: Any) -> Any:
    """A value with the types of everything in it, NaN being itself."""
    if isinstance(value, dict):
        return ["dict", [(typed(key), typed(item)) for key, item in value.items()]]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(typed, value)]
    if isinstance(value, float):
        return "float", "nan" if math.isnan(value) else value.hex()
    return type(value).__name__, value


def configurations(sweep: Sweep) -> list[Any]:
    return [(typed(dict(config)), config.index, config.repeat) for config in sweep]


@settings(max_examples=60, deadline=None)
@given(SWEEPS)
def test_the_length_is_the_number_of_configurations(sweep: Sweep) -> None:
    assert len(list(sweep)) == len(sweep) == sweep.size


@settings(max_examples=60, deadline=None)
@given(SWEEPS)
def test_indexing_is_iterating(sweep: Sweep) -> None:
    by_index = [sweep[index] for index in range(len(sweep))]

    assert [(typed(dict(one)), one.index, one.repeat) for one in by_index] == configurations(sweep)
    assert typed(dict(sweep[-1])) == typed(dict(by_index[-1]))


@settings(max_examples=60, deadline=None)
@given(
    SWEEPS,
    st.integers(-9, 9) | st.none(),
    st.integers(-9, 9) | st.none(),
    st.sampled_from([1, 2, -1, -3]),
)
def test_a_slice_is_that_of_the_list(sweep: Sweep, start: Any, stop: Any, step: int) -> None:
    part = slice(start, stop, step)

    assert [typed(dict(one)) for one in sweep[part]] == [
        typed(dict(one)) for one in list(sweep)[part]
    ]
    assert len(sweep[part]) == len(list(sweep)[part])


@pytest.mark.parametrize("suffix", ["yaml", "json", "jsonl"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sweep=SWEEPS)
def test_a_saved_sweep_is_loaded_as_it_was(suffix: str, sweep: Sweep) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"sweep.{suffix}")
        sweep.save(path)
        loaded = Sweep.load(path)
        picked = sweep[1:]
        picked.save(path)

        assert configurations(loaded) == configurations(sweep)
        assert [one.id for one in loaded] == [one.id for one in sweep]
        assert configurations(Sweep.load(path)) == configurations(picked)


@settings(max_examples=40, deadline=None)
@given(st.lists(AXES, min_size=3, max_size=3), st.integers(1, 2))
def test_the_product_is_associative(axes: list[Any], times: int) -> None:
    a, b, c = (Sweep() * {f"x{number}": values} for number, values in enumerate(axes))
    b = b**times

    assert configurations((a * b) * c) == configurations(a * (b * c))


@settings(max_examples=40, deadline=None)
@given(SWEEPS, st.randoms(use_true_random=False))
def test_an_id_is_that_of_the_values_in_any_order(sweep: Sweep, random: Any) -> None:
    for config in sweep:
        items = list(config.items())
        random.shuffle(items)
        (other,) = Sweep(configs=[dict(items)])
        assert other.id == config.id
