"""Any sequence of metric calls is read back as it was logged, whichever way each call takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracelet
from tracelet.records import MetricPoint
from tracelet.values.plain import INT_BITS

NAMES = st.sampled_from(["loss", "loss", "train/Größe", "train/Größe", np.str_("loss"), "\udc80"])
VALUES = st.one_of(
    st.floats(0, 1),
    st.integers(0, 9),
    st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    st.floats(),
    st.integers(-(2**40), 2**40).map(lambda number: number**9),
    st.sampled_from([True, 2**30, -(2**30), 2**1024, 2**INT_BITS - 1, np.float32(0.1), np.int8(3)]),
)
ITERATIONS = st.one_of(
    st.none(),
    st.none(),
    st.integers(0, 9),
    st.sampled_from([-1, 2**30 - 1, 2**30, 2**63 - 1, -(2**63), 3.0, np.int64(4), True]),
)
AXES = st.sampled_from(["iteration", "iteration", "iteration", "epoch"])
CALLS = st.one_of(
    st.tuples(
        st.just("log"),
        st.dictionaries(NAMES, VALUES, min_size=1, max_size=3),
        ITERATIONS,
        AXES,
        st.booleans(),
    ),
    st.tuples(st.just("set"), st.sampled_from([-2, 0, 7, 2**30])),
)


class Model:
    """What the calls mean, written down in the shortest way."""

    def __init__(self) -> None:
        self.current: int | None = None
        self.last: dict[tuple[str, str], int] = {}
        self.points: list[tuple[str, float | int, int, str]] = []

    def log(self, values: dict[str, Any], iteration: Any, axis: str) -> None:
        for given_name, given_value in values.items():
            name = given_name.encode("utf-8", "backslashreplace").decode()
            value = given_value.item() if isinstance(given_value, np.generic) else given_value
            last = self.last.get((name, axis), -1)
            at = iteration
            if at is None:
                on_default = self.current if axis == "iteration" else None
                at = min(last + 1, 2**63 - 1) if on_default is None else on_default
            self.last[name, axis] = int(at)
            self.points.append((name, value, int(at), axis))


def same(point: MetricPoint, expected: tuple[str, float | int, int, str]) -> bool:
    name, value, iteration, axis = expected
    both_nan = value != value and point.value != point.value  # noqa: PLR0124 - NaN alone is so
    equal = point.value == value and isinstance(point.value, float) == isinstance(value, float)
    return (point.name, point.iteration, point.axis) == (name, iteration, axis) and (
        both_nan or equal
    )


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls=st.lists(CALLS, min_size=5, max_size=30))
def test_what_is_logged_is_what_is_read(tmp_path: Path, calls: list[tuple[Any, ...]]) -> None:
    model = Model()
    exp = tracelet.start_logging("calls", backend="null", dir=tmp_path, courier="thread")
    for call in calls:
        if call[0] == "set":
            exp.set_iteration(call[1])
            model.current = call[1]
            continue
        _, values, iteration, axis, together = call
        if together:
            exp.log_metrics(values, iteration, axis=axis)
            model.log(values, iteration, axis)
        else:
            for name, value in values.items():
                exp.log_metric(name, value, iteration, axis=axis)
                model.log({name: value}, iteration, axis)
    exp.stop()
    found = {name: iter(points) for name, points in tracelet.load_run(exp.dir).metrics.items()}
    wrong = [one for one in model.points if not same(next(found[one[0]]), one)]
    assert not wrong
    assert not [point for points in found.values() for point in points], "more than was logged"
    assert exp.report is not None
    assert exp.report.complete


@pytest.mark.parametrize("name", [[], {}, None, 3, b"loss", ""])
def test_what_is_no_name_is_refused_after_any_other(tmp_path: Path, name: Any) -> None:
    with tracelet.start_logging("names", backend="null", dir=tmp_path, courier="thread") as exp:
        exp.log_metric("loss", 0.5, 1)
        with pytest.raises(tracelet.TraceletError, match="name"):
            exp.log_metric(name, 0.5, 1)
    assert list(tracelet.load_run(exp.dir).metrics) == ["loss"]
