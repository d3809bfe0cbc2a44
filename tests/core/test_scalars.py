"""The one number in a metric's value, and the integer in an iteration."""

from __future__ import annotations

import enum
import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ids import stable

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.records import Metric, decode_lines, encode
from tracelet.values.scalars import iteration_value, metric_name, metric_value


class Level(enum.IntEnum):
    HIGH = 3


class OnDevice:
    """Like a tensor on another device that requires a gradient: only ``item()`` works."""

    shape = ()

    def __float__(self) -> float:
        raise RuntimeError("can't convert a tensor on this device")

    def item(self) -> float:
        return 0.25


class Many(OnDevice):
    shape = (2, 3)

    def item(self) -> float:
        raise RuntimeError("a Tensor with 6 elements cannot be converted to Scalar")


class Floating:
    def __float__(self) -> float:
        return math.inf


class Indexed:
    def __index__(self) -> int:
        return 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, 0.1),
        (3, 3),
        (True, 1),
        (False, 0),
        (10**400, 10**400),
        (2**53 + 1, 2**53 + 1),
        (Level.HIGH, 3),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (Decimal("-Infinity"), "-Infinity"),
        (Decimal("NaN"), "NaN"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.int64(2**53 + 1), 2**53 + 1),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), 1),
        (np.float32("nan"), "NaN"),
        (np.array(0.5), 0.5),
        (np.array([7]), 7),
        (np.array([[[-1.5]]]), -1.5),
        (np.array([Decimal("0.5")], dtype=object), 0.5),
        (np.ma.array([2.5], mask=[False]), 2.5),
        (pd.Series([2.5]), 2.5),
        (OnDevice(), 0.25),
        (Floating(), "Infinity"),
        (Indexed(), 4.0),
    ],
    ids=stable,
)
def test_anything_with_one_number_is_a_value(value: object, expected: object) -> None:
    result = metric_value("loss", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("0.5", "log_params"),
        (np.str_("0.5"), "log_params"),
        (b"0.5", "log_params"),
        (None, "leave the call out"),
        (1j, ".real"),
        (np.complex64(1j), ".real"),
        (np.clongdouble(1j), ".real"),
        ([0.5], "log each"),
        ({"loss": 0.5}, "log each"),
        (np.array([1.0, 2.0]), "shape (2,)"),
        (np.array([]), "shape (0,)"),
        (np.array("0.5"), "log_params"),
        (np.array([None]), "leave the call out"),
        (np.ma.masked, "a masked value; leave the call out"),
        (np.ma.array([1.5], mask=[True]), "a masked value; leave the call out"),
        (np.ma.array(1, mask=True), "a masked value; leave the call out"),
        (np.ma.array([1.0, 2.0], mask=True).mean(), "a masked value; leave the call out"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "shape (2,)"),
        (np.datetime64("2024-01-01", "ns"), "numpy.datetime64"),
        (np.timedelta64(1, "s"), "numpy.timedelta64"),
        (Many(), "shape (2, 3)"),
        (object(), "builtins.object"),
        (pd.NA, "NAType"),
    ],
    ids=stable,
)
def test_what_is_not_one_number_is_refused_by_name(value: object, hint: str) -> None:
    with pytest.raises(ValueTypeError) as caught:
        metric_value("val/loss", value)
    assert "val/loss" in str(caught.value)
    assert hint in str(caught.value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    "value",
    [Decimal("1e400"), Decimal("-1e400"), Fraction(10**400), Decimal("sNaN"), 10**5000],
    ids=["decimal", "negative", "fraction", "signalling", "integer"],
)
def test_a_number_that_cannot_be_stored_is_an_invalid_value(value: object) -> None:
    with pytest.raises(InvalidValueError, match="loss"):
        metric_value("loss", value)


@settings(deadline=None)
@given(st.floats() | st.integers(-(10**400), 10**400))
def test_a_value_survives_its_line(value: float) -> None:
    record = Metric(1.0, "loss", metric_value("loss", value), 0)
    (stored,) = decode_lines(encode(record))
    assert isinstance(stored, Metric)
    back: Any = float(stored.value) if isinstance(stored.value, str) else stored.value
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (-3, -3),
        (3.0, 3),
        (True, 1),
        (Level.HIGH, 3),
        (Decimal(7), 7),
        (Decimal(2**53 + 1), 2**53 + 1),
        (Fraction(6, 2), 3),
        (np.int32(5), 5),
        (np.uint8(5), 5),
        (np.float32(5), 5),
        (np.array([5]), 5),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
    ],
    ids=stable,
)
def test_a_whole_number_of_any_kind_is_an_iteration(value: object, expected: int) -> None:
    result = iteration_value("loss", value)
    assert result == expected
    assert type(result) is int


@pytest.mark.parametrize(
    "value",
    [1.5, math.nan, math.inf, Decimal("1.5"), Decimal("NaN"), np.float32(0.5), 2**63, -1e300],
    ids=stable,
)
def test_an_impossible_iteration_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidValueError, match="val/loss"):
        iteration_value("val/loss", value)


@pytest.mark.parametrize("value", ["3", None, [3], 1j, np.array([1, 2]), np.ma.masked], ids=stable)
def test_an_iteration_that_is_no_number_is_a_type_error(value: object) -> None:
    with pytest.raises(ValueTypeError, match="iteration of metric 'val/loss'"):
        iteration_value("val/loss", value)


def test_a_name_is_a_plain_string_that_utf8_can_hold() -> None:
    name = metric_name(np.str_("loss"))
    assert name == "loss"
    assert type(name) is str
    assert metric_name("a\udc80").encode()


@pytest.mark.parametrize("name", [None, 3, b"loss", ["loss"]], ids=stable)
def test_a_name_of_another_type_is_refused(name: object) -> None:
    with pytest.raises(ValueTypeError, match="must be a str"):
        metric_name(name)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="empty"):
        metric_name("")


def test_neither_numpy_nor_torch_is_imported() -> None:
    program = (
        "import sys; from tracelet.values.scalars import metric_value; metric_value('a', 1.5);"
        "sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
