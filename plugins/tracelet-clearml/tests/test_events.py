"""Points become events: exact, in order, and such that the server keeps every one of them."""

from __future__ import annotations

import hashlib
import json
import math
import random
from typing import Any

import pytest
from clearml.backend_api.services.v2_9 import events as sdk
from clearml_reader import value_of

from tracelet.backends.base import TextLine
from tracelet.records import MetricPoint
from tracelet_clearml.events import Scalars, log_events
from tracelet_clearml.task import text_and_type


def point(
    name: str, iteration: int, value: float = 0.5, axis: str = "iteration", time: float = 1.5
) -> MetricPoint:
    return MetricPoint(name, value, iteration, axis, time)


def events_of(scalars: Scalars, *points: MetricPoint) -> list[dict[str, Any]]:
    plan = scalars.plan(points)
    scalars.done(plan)
    return plan.events


def known_by(event: dict[str, Any]) -> str:
    """Return what the server knows an event by."""
    fields = ("task", "iter", "metric", "variant", "key")
    return hashlib.md5(
        "-".join(str(event[one]) for one in fields if one in event).encode()
    ).hexdigest()


def test_a_scalar_is_as_the_sdk_makes_it() -> None:
    (event,) = events_of(Scalars("task"), point("train/loss", 3, 0.25, time=1.7e9 + 0.1234))
    made = sdk.MetricsScalarEvent(
        task="task",
        timestamp=1700000000123,
        iter=3,
        metric="train",
        variant="loss",
        value=0.25,
    )
    assert event == made.to_dict()


def test_a_line_is_as_the_sdk_makes_it() -> None:
    (event,) = log_events("task", [TextLine("two\nlines", "warning", 1.5)], "host")
    made = sdk.TaskLogEvent(
        task="task", timestamp=1500, level="warning", worker="host", msg="two\nlines"
    )
    assert event == made.to_dict()


def test_a_level_that_the_server_does_not_know_is_info() -> None:
    (event,) = log_events("task", [TextLine("x", "level 25", 0.0)], "host")
    assert event["level"] == "info"


@pytest.mark.parametrize(
    ("value", "mark"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_no_non_finite_number_is_a_point_of_its_chart(value: float, mark: str) -> None:
    plan = Scalars("task").plan([point("loss", 1, value), point("loss", 2, 0.0)])
    assert [(one["metric"], one["value"]) for one in plan.events] == [
        (f"loss ({mark})", 1.0),
        ("loss", 0.0),
    ]
    assert [one.iteration for one, _ in plan.adjusted] == [1]
    json.dumps(plan.events, allow_nan=False)


def test_what_the_server_cannot_hold_is_adjusted() -> None:
    largest = 3.4028234663852886e38
    shown = {
        2**53: 2**53,
        2**53 + 1: 2.0**53,
        2**60: 2.0**60,
        True: 1,
        5e-324: 5e-324,
        largest: largest,
        1e39: largest,
        -1e300: -largest,
        10**400: largest,
        -(10**400): -largest,
    }
    points = [point("x", number, value) for number, value in enumerate(shown)]
    plan = Scalars("task").plan(points)
    assert [event["value"] for event in plan.events] == list(shown.values())
    exact = {2**53, 2**60, True, 5e-324, largest}
    assert [one for one, _ in plan.adjusted] == [one for one in points if one.value not in exact]


def test_iterations_beyond_64_bits_are_the_last_there_are_and_adjusted() -> None:
    points = [point("x", 2**63 - 1), point("x", 2**63), point("x", -(2**70))]
    plan = Scalars("task").plan(points)
    assert [event["iter"] for event in plan.events] == [2**63 - 1, 2**63 - 1, -(2**63) + 1]
    assert [one for one, _ in plan.adjusted] == points[1:]


def test_the_server_keeps_every_point_once_however_often_it_is_sent() -> None:
    choose = random.Random(11)
    for _ in range(100):
        points = [
            point(
                choose.choice(["a", "b/c", "a-b/c", "a/b-c"]),
                choose.randrange(-2, 3),
                choose.choice([0.5, 1.0, math.nan, math.inf]),
                choose.choice(["iteration", "epoch"]),
                float(number),
            )
            for number in range(30)
        ]
        scalars = Scalars("task")
        stored: dict[str, dict[str, Any]] = {}
        done = 0
        while done < len(points):
            batch = points[done : done + choose.randint(1, 9)]
            known = scalars.known
            for event in scalars.plan(batch).events:
                stored[known_by(event)] = event
            if choose.random() < 0.4:  # the worker dies, and begins again with the checkpoint
                scalars = Scalars("task", json.loads(json.dumps(known)))
                continue
            events_of(scalars, *batch)
            done += len(batch)
        assert sorted(event["timestamp"] for event in stored.values()) == [
            1000 * number for number in range(30)
        ]


def test_a_plan_changes_nothing_until_it_is_done() -> None:
    scalars = Scalars("task")
    first = scalars.plan([point("a", 1)])
    assert scalars.plan([point("a", 1)]).events == first.events
    scalars.done(first)
    assert "key" in scalars.plan([point("a", 1)]).events[0]


@pytest.mark.parametrize(
    "value",
    ["", "None", "1", 1, 1.0, 5e-324, -0.0, 2**70, True, False, None, [], {}, [1, [None]], "é"],
)
def test_a_value_comes_back_and_the_sdk_reads_it_so(value: Any) -> None:
    from clearml.utilities.proxy_object import cast_basic_type

    text, kind = text_and_type(value)
    found = value_of(text, kind)
    assert (found, type(found)) == (value, type(value))
    cast = cast_basic_type(text, kind)
    assert (cast, type(cast)) == (value, type(value))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_non_finite_value_comes_back(value: float) -> None:
    assert repr(value_of(*text_and_type(value))) == repr(value)
    assert repr(value_of(*text_and_type([value]))) == repr([value])
