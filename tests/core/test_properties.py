"""Every documented form of a user property becomes the same typed record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tracelet
from tracelet.backends.base import Property
from tracelet.errors import InvalidValueError, KeyCollisionError, NotRunningError, ValueTypeError
from tracelet.wire import REDACTED


@pytest.fixture
def exp(tmp_path: Path) -> Any:
    with tracelet.start_logging("run", dir=tmp_path) as exp:
        yield exp


def stored(exp: tracelet.Experiment) -> dict[str, Property]:
    exp.flush()
    assert exp.dir is not None
    return dict(tracelet.load_run(exp.dir).properties)


BACKBONE = Property("great", "network type", "text")


@pytest.mark.parametrize(
    "arguments",
    [
        ({"name": "backbone", "value": "great", "description": "network type", "type": "text"},),
        ([{"name": "backbone", "value": "great", "description": "network type", "type": "text"}],),
        ({"backbone": {"value": "great", "description": "network type", "type": "text"}},),
        ({"backbone": {"name": "backbone", **msgspec.to_builtins(BACKBONE)}},),
    ],
)
def test_a_described_property_is_the_same_in_every_form(exp: Any, arguments: Any) -> None:
    exp.set_user_properties(*arguments)

    assert stored(exp) == {"backbone": BACKBONE}


def test_keywords_take_values_and_described_values(exp: Any) -> None:
    exp.set_user_properties(
        epochs=3,
        backbone={"value": "great", "description": "network type", "type": "text"},
    )

    assert stored(exp) == {"epochs": Property(3), "backbone": BACKBONE}


def test_several_dicts_a_mapping_and_keywords_go_into_one_call(exp: Any) -> None:
    exp.set_user_properties({"name": "a", "value": 1}, {"b": 2.5, "c": None}, d=[True])

    assert stored(exp) == {
        "a": Property(1), "b": Property(2.5), "c": Property(None), "d": Property([True])
    }  # fmt: skip


def test_properties_can_be_called_name_value_and_self(exp: Any) -> None:
    exp.set_user_properties({"name": 1, "value": 2})
    exp.set_user_properties(type="x", self="y")

    names = {"name": Property(1), "value": Property(2), "type": Property("x")}
    assert stored(exp) == {**names, "self": Property("y")}


def test_a_later_property_replaces_an_earlier_one(exp: Any) -> None:
    exp.set_user_properties(score=1)
    exp.set_user_properties(score=2)

    assert stored(exp) == {"score": Property(2)}


def test_secrets_in_properties_are_hidden(exp: Any) -> None:
    exp.set_user_properties(
        password="hunter2", where={"value": 1, "description": "https://me:hunter2@host/x"}
    )

    found = stored(exp)
    assert found["password"].value == REDACTED
    assert "hunter2" not in (found["where"].description or "")


def test_no_property_at_all_is_no_record(exp: Any) -> None:
    exp.set_user_properties()
    exp.set_user_properties([])

    assert stored(exp) == {}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (("x",), ValueTypeError),
        (({1: 2},), ValueTypeError),
        (({"": 2},), InvalidValueError),
        (({"a": {"description": "no value"}},), InvalidValueError),
        (({"a": {"value": 1, "colour": "red"}},), InvalidValueError),
        (({"name": "a", "value": 1, "descripton": "misspelt"},), InvalidValueError),
        (({"name": "a", "description": "no value"},), InvalidValueError),
        (({"name": "a"},), InvalidValueError),
        (({"a": {"name": "b", "value": 1}},), InvalidValueError),
        (({"a": 1}, {"a": 2}), KeyCollisionError),
    ],
)
def test_what_is_no_property_is_refused_before_anything_is_written(
    exp: Any, given: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        exp.set_user_properties({"fine": 1}, *given)

    assert stored(exp) == {}


def test_a_stopped_run_takes_no_property(exp: Any) -> None:
    exp.stop()

    with pytest.raises(NotRunningError):
        exp.set_user_properties(a=1)


def test_a_property_whose_value_alone_is_set_keeps_its_description_and_type(exp: Any) -> None:
    exp.set_user_properties(backbone={"value": "fine", "description": "a net", "type": "text"})
    exp.set_user_properties(backbone="great")
    assert stored(exp) == {"backbone": Property("great", "a net", "text")}
    exp.set_user_properties({"name": "backbone", "value": "best"})
    assert stored(exp) == {"backbone": Property("best", "a net", "text")}
    exp.set_user_properties(backbone={"value": "last", "description": "the last"})
    assert stored(exp) == {"backbone": Property("last", "the last")}


def test_a_resumed_and_a_loaded_run_know_what_a_property_was(exp: Any) -> None:
    exp.set_user_properties(backbone={"value": "fine", "description": "a net"})
    exp.stop()
    with tracelet.start_logging(resume=exp.run_id, dir=exp.dir.parent.parent) as again:
        again.set_user_properties(backbone="great")
    run = tracelet.load_run(exp.dir)
    assert run.properties == {"backbone": Property("great", "a net")}
    run.set_user_properties(backbone="best")
    assert tracelet.load_run(exp.dir).properties == {"backbone": Property("best", "a net")}
    exp.start()  # for the fixture, which stops it


def test_a_child_process_keeps_what_its_parent_has_described(exp: Any) -> None:
    exp.set_user_properties(backbone={"value": "fine", "description": "a net"})
    child = "import tracelet; tracelet.get_active_experiment().set_user_properties(backbone=1)"
    subprocess.run([sys.executable, "-c", child], check=True)
    assert stored(exp) == {"backbone": Property(1, "a net")}
