"""Points: each stays one of its own, in the order of the log, also when a batch comes again."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from tracelet.records import MetricPoint
from tracelet_mlflow.series import Series

NOW = 1_750_000_000.0
LARGEST = 1.7976931348623157e308


def stored(series: Series, points: list[MetricPoint], size: int) -> list[tuple[object, ...]]:
    """Return what goes to MLflow when points come in batches of ``size``."""
    found: list[tuple[object, ...]] = []
    for at in range(0, len(points), size):
        plan = series.plan(points[at : at + size])
        series.done(plan)
        found += [
            (one.key, one.point.iteration, one.timestamp, str(one.value)) for one in plan.placed
        ]
    return found


def some_points(seed: int, count: int = 2000) -> list[MetricPoint]:
    """Make points that repeat iterations and values within a few milliseconds."""
    rng = random.Random(seed)
    points, when = [], NOW
    for _ in range(count):
        when += rng.choice([0, 0, 1e-6, 1e-4, 2e-3])
        name, axis = rng.choice(["loss", "acc", "a@b"]), rng.choice(["iteration"] * 5 + ["epoch"])
        value = rng.choice([0.5, 0.0, math.nan, 1.0])
        points.append(MetricPoint(name, value, rng.randint(-2, 2), axis, when))
    return points


@pytest.mark.parametrize("seed", range(10))
def test_every_point_is_one_of_its_own_in_mlflow_s_order(seed: int) -> None:
    found = stored(Series({}, [], {}), some_points(seed), 100)
    assert len(set(found)) == len(found)
    for key in {point[0] for point in found}:
        order = [(point[2], point[1]) for point in found if point[0] == key]
        assert order == sorted(order)


@pytest.mark.parametrize("seed", range(10))
def test_what_comes_again_is_the_same_again(seed: int) -> None:
    points = some_points(seed)
    at_once = stored(Series({}, [], {}), points, 1000)
    series = Series({}, [], {})
    before = stored(series, points[:700], 100)
    checkpoint = msgspec.json.decode(msgspec.json.encode(series.clocks))

    # MLflow has the points up to 1400 and their tags; the cursor is at 700.
    tags = Series({}, [], {}).plan(points[:1400]).tags
    restarted = Series(tags, {str(point[0]) for point in at_once[:1400]}, checkpoint)

    assert before + stored(restarted, points[700:], 33) == at_once


def test_a_plan_that_failed_leaves_nothing_behind() -> None:
    points = some_points(3, 50)
    series = Series({}, [], {})
    first = series.plan(points)
    assert series.plan(points) == first


def test_milliseconds_are_rounded_and_not_cut() -> None:
    times = [NOW + number / 1000 for number in range(1000)]
    points = [MetricPoint("t", 1.0, number, "iteration", at) for number, at in enumerate(times)]
    plan = Series({}, [], {}).plan(points)
    assert [one.timestamp / 1000 for one in plan.placed] == times


def test_a_burst_keeps_its_times() -> None:
    points = [MetricPoint("t", 1.0, number, "iteration", NOW) for number in range(100_000)]
    plan = Series({}, [], {}).plan(points)
    assert {one.timestamp for one in plan.placed} == {round(NOW * 1000)}


def test_times_that_were_given_stay_in_any_order() -> None:
    times = [NOW, NOW - 10, NOW + 5, NOW - 3600, NOW - 10]
    points = [MetricPoint("t", 1.0, number, "iteration", at) for number, at in enumerate(times)]
    plan = Series({}, [], {}).plan(points)
    assert [one.timestamp / 1000 for one in plan.placed] == times


def test_a_point_that_is_moved_far_counts_as_adjusted() -> None:
    points = [MetricPoint("t", 1.0, 0, "iteration", NOW) for _ in range(1500)]
    reasons = [one.reason for one in Series({}, [], {}).plan(points).placed]
    assert reasons[:1001] == [None] * 1001
    assert None not in reasons[1001:]


@pytest.mark.parametrize(
    ("value", "expected", "adjusted"),
    [
        (1, 1.0, False),
        (2**53, 2.0**53, False),
        (2**60, 2.0**60, False),
        (2**53 + 1, 2.0**53, True),
        (10**400, LARGEST, True),
        (-(10**400), -LARGEST, True),
        (math.inf, LARGEST, True),
        (-math.inf, -LARGEST, True),
        (math.nan, math.nan, False),
        (LARGEST, LARGEST, False),
        (5e-324, 5e-324, False),
        (0.0, 0.0, False),
        (-0.0, 0.0, True),
    ],
)
def test_a_value_is_exact_or_counts_as_adjusted(
    value: float, expected: float, adjusted: bool
) -> None:
    (one,) = Series({}, [], {}).plan([MetricPoint("m", value, 0, "iteration", NOW)]).placed
    assert repr(one.value) == repr(expected)
    assert (one.reason is not None) == adjusted


def test_a_time_before_1970_counts_as_adjusted() -> None:
    (one,) = Series({}, [], {}).plan([MetricPoint("m", 1.0, 0, "iteration", -5.0)]).placed
    assert (one.timestamp, one.reason) == (0, "a time before 1970")


def test_the_first_axis_of_a_metric_has_its_plain_name() -> None:
    def point(name: str, axis: str) -> MetricPoint:
        return MetricPoint(name, 1.0, 1, axis, NOW)

    series = Series({}, [], {})
    first = series.plan([point("loss", "epoch"), point("loss", "iteration"), point("acc", "epoch")])
    assert [one.key for one in first.placed] == ["loss", "loss:by:iteration", "acc"]
    restarted = Series(first.tags, [one.key for one in first.placed], {})
    again = restarted.plan([point("loss", "iteration"), point("loss", "epoch"), point("acc", "x")])
    assert [one.key for one in again.placed] == ["loss:by:iteration", "loss", "acc:by:x"]
