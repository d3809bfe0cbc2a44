"""Points become rows: as few as keep every point and the order of each metric."""

from __future__ import annotations

import random

from tracelet.records import MetricPoint
from tracelet_wandb.names import Keys
from tracelet_wandb.rows import rounded, rows

BEGAN = 1000.0


def point(
    name: str, iteration: int, value: float = 0.5, axis: str = "iteration", time: float = BEGAN
) -> MetricPoint:
    return MetricPoint(name, value, iteration, axis, time)


def made(*points: MetricPoint) -> list[dict[str, object]]:
    return rows(points, Keys(), BEGAN)


def test_points_of_one_iteration_are_one_row() -> None:
    (row,) = made(point("a", 3, 1.0), point("b", 3, 2.0, time=BEGAN + 0.0005))
    assert row == {"iteration": 3, "_timestamp": BEGAN, "_runtime": 0.0, "a": 1.0, "b": 2.0}


def test_another_iteration_is_another_row() -> None:
    assert [row["iteration"] for row in made(point("a", 3), point("a", 1), point("a", 3))] == [
        3,
        1,
        3,
    ]


def test_another_axis_is_another_row() -> None:
    first, second = made(point("a", 1), point("b", 1, axis="epoch"))
    assert "epoch" not in first
    assert second["epoch"] == 1
    assert "iteration" not in second


def test_points_of_another_axis_between_them_do_not_make_two_rows() -> None:
    first, second = made(point("a", 1), point("val", 1, axis="epoch"), point("b", 1))
    assert {"a", "b", "iteration"} < first.keys()
    assert {"val", "epoch"} < second.keys()


def test_a_metric_on_two_axes_keeps_its_order() -> None:
    found = made(point("a", 1), point("b", 1, 0.1, "epoch"), point("b", 1, 0.2), point("c", 1))
    assert [row.get("b") for row in found] == [None, 0.1, 0.2]
    assert "c" in found[2]


def test_a_name_that_repeats_starts_a_row() -> None:
    found = made(point("a", 1, 1.0), point("b", 1, 2.0), point("a", 1, 3.0), point("b", 1, 4.0))
    assert [(row["a"], row["b"]) for row in found] == [(1.0, 2.0), (3.0, 4.0)]


def test_the_time_of_a_row_is_that_of_its_points() -> None:
    (row,) = made(point("a", 1, time=BEGAN + 7), point("b", 1, time=BEGAN + 60))
    assert (row["_timestamp"], row["_runtime"]) == (BEGAN + 7, 7.0)
    assert row["_times"] == [["b", BEGAN + 60]]


def test_integers_beyond_64_bits_are_rounded_and_known_to_be() -> None:
    values = [2**63 - 1, -(2**63), 2**63, 2**64, 10**25 + 1, -(10**400), 3, 0.1]
    points = [point("a", index, value) for index, value in enumerate(values)]
    assert [row["a"] for row in made(*points)][2:6] == [2.0**63, 2.0**64, 1e25, float("-inf")]
    assert [row["a"] for row in made(*points)][:2] == values[:2]
    assert rounded(points) == [points[4], points[5]]


def test_no_point_is_lost_and_each_metric_keeps_its_order() -> None:
    choose = random.Random(7)
    for _ in range(200):
        points = [
            point(
                choose.choice("abc"),
                choose.randrange(3),
                number,
                choose.choice(["iteration", "epoch"]),
            )
            for number in range(choose.randrange(40))
        ]
        found = [
            (key, value, row.get("iteration", row.get("epoch")))
            for row in made(*points)
            for key, value in row.items()
            if key in ("a", "b", "c")
        ]
        for name in "abc":
            logged = [(one.name, one.value, one.iteration) for one in points if one.name == name]
            assert [one for one in found if one[0] == name] == logged
