"""A DataFrame of points: types, order, and what does not fit a float64."""

from __future__ import annotations

import math

import pytest

pd = pytest.importorskip("pandas")

from tracelet.core.frames import points_to_dataframe  # noqa: E402
from tracelet.records import Metric, Text  # noqa: E402


def point(name="loss", value=0.5, iteration=0, axis="iteration", time=1.5):
    return Metric(time, name, value, iteration, axis)


def test_has_one_row_a_point_in_the_order_of_the_log_across_batches():
    batches = [
        [point("b", 1.0, 0), Text(1.0, "a line"), point("a", 2.0, 0)],
        [],
        [Text(1.0, "only a line")],
        [point("b", 3.0, -1, "epoch")],
    ]
    frame = points_to_dataframe(batches)
    assert list(frame.columns) == ["name", "value", "iteration", "axis", "time"]
    assert frame["name"].tolist() == ["b", "a", "b"]
    assert frame["value"].tolist() == [1.0, 2.0, 3.0]
    assert frame["iteration"].tolist() == [0, 0, -1]
    assert frame["axis"].tolist() == ["iteration", "iteration", "epoch"]
    assert frame["time"].tolist() == [1.5, 1.5, 1.5]


@pytest.mark.parametrize("batches", [[], [[]], [[Text(1.0, "a line")]]])
def test_of_a_run_without_points_is_empty_with_the_same_types(batches):
    frame = points_to_dataframe(batches)
    full = points_to_dataframe([[point()]])
    assert len(frame) == 0
    assert frame.dtypes.to_dict() == full.dtypes.to_dict()


def test_gives_nan_and_the_infinities_back_as_numbers():
    values = ["NaN", "Infinity", "-Infinity", 1.0]
    found = points_to_dataframe([[point(value=value) for value in values]])["value"]
    assert found.dtype == "float64"
    assert math.isnan(found[0])
    assert found.tolist()[1:] == [math.inf, -math.inf, 1.0]


def test_makes_floats_of_integers_that_a_float_holds():
    found = points_to_dataframe([[point(value=3), point(value=2**53)]])["value"]
    assert found.dtype == "float64"
    assert found.tolist() == [3.0, 2.0**53]


def test_keeps_every_value_exact_if_an_integer_is_too_large_for_a_float():
    batches = [[point(value=0.5), point(value=7)], [point(value=10**400)], [point(value="NaN")]]
    found = points_to_dataframe(batches)["value"]
    assert found.dtype == object
    assert found.tolist()[:3] == [0.5, 7, 10**400]
    assert type(found[1]) is int
    assert math.isnan(found[3])


def test_keeps_the_largest_iterations():
    found = points_to_dataframe([[point(iteration=2**63 - 1), point(iteration=-(2**63))]])
    assert found["iteration"].tolist() == [2**63 - 1, -(2**63)]
