"""Nested metrics become metrics whose names have a slash; a mistake in them logs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.errors import InvalidValueError, KeyCollisionError, ValueTypeError


@pytest.fixture
def exp(tmp_path: Path) -> Any:
    with tracelet.start_logging("run", dir=tmp_path) as exp:
        yield exp


def test_nested_metrics_get_names_with_a_slash(exp: Any) -> None:
    exp.log_metrics({"train": {"loss": 1, "top": {"1": 0.5}}, "lr": 0.1}, iteration=3)
    found = tracelet.load_run(exp.dir).metrics
    points = {name: (one.value, one.iteration) for name, (one,) in found.items()}
    assert points == {"train/loss": (1, 3), "train/top/1": (0.5, 3), "lr": (0.1, 3)}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"a": {"b": 1}, "a/b": 2}, KeyCollisionError, "'a/b' is given twice"),
        ({"a": {"": 1}}, InvalidValueError, "must not be empty"),
        ({"a": {1: 1}}, ValueTypeError, "must be a str, not int"),
        ({"a": {"b": "text"}}, ValueTypeError, "'a/b'"),
    ],
)
def test_a_mistake_in_nested_metrics_logs_nothing(
    exp: Any, given: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        exp.log_metrics(given)
    assert tracelet.load_run(exp.dir).metrics == {}


def test_a_mapping_of_metrics_that_contains_itself_is_refused(exp: Any) -> None:
    given: dict[str, Any] = {"loss": 1}
    given["again"] = given
    with pytest.raises(InvalidValueError, match="nested more than 100 levels"):
        exp.log_metrics(given)
