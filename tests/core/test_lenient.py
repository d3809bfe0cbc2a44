"""With ``on_error="warn"`` a mistake stops no call, and each gives back what it would have."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.core import lenient
from tracelet.errors import TraceletWarning

NOT_LOGGING = {
    *(
        "start",
        "stop",
        "check_start",
        "end",
        "end_by",
        "note_left",
        "backend",
        "should_stop",
        "stop_when",
    ),  # begin and end the run, and ask about it
    *("parameters", "get_parameters", "get_parameters_as_dict", "get_configuration"),
}
"""The methods of an experiment that begin and end the run, ask about it, or only read."""

MISTAKES: dict[str, Any] = {
    "log_metric": lambda exp: exp.log_metric("", 1),
    "log_metrics": lambda exp: exp.log_metrics(3),
    "log_params": lambda exp: exp.log_params([1]),
    "log_param": lambda exp: exp.log_param("", 1),
    "set_parameters": lambda exp: exp.set_parameters({"": 1}),
    "set_parameter": lambda exp: exp.set_parameter("", 1),
    "set_parameters_as_dict": lambda exp: exp.set_parameters_as_dict({"a": {"": 1}}),
    "connect": lambda exp: exp.connect({"": 1}),
    "connect_configuration": lambda exp: exp.connect_configuration("no such file"),
    "log_artifact": lambda exp: exp.log_artifact("no such file"),
    "log": lambda exp: exp.log("text", level="loud"),
    "set_iteration": lambda exp: exp.set_iteration("x"),
    "set_tags": lambda exp: exp.set_tags({"": 1}),
    "set_tag": lambda exp: exp.set_tag("", 1),
    "set_user_properties": lambda exp: exp.set_user_properties("x"),
    "track": lambda exp: exp.track("").append(1),
}
GIVE_BACK = {"connect": {"": 1}, "connect_configuration": "no such file"}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenient, "_causes", set())


@pytest.fixture
def exp() -> Any:
    with tracelet.start_logging("run", on_error="warn", capture=False) as exp:
        yield exp


def test_every_call_that_logs_has_a_mistake_here() -> None:
    methods = {
        name
        for name, _ in inspect.getmembers(tracelet.Experiment, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods - NOT_LOGGING == MISTAKES.keys() | {"flush"}


@pytest.mark.parametrize("call", MISTAKES)
def test_a_mistake_is_one_warning(exp: Any, call: str) -> None:
    with pytest.warns(TraceletWarning, match="not logged") as caught:
        assert MISTAKES[call](exp) == GIVE_BACK.get(call)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    MISTAKES[call](exp)  # warnings are errors here: a second one would be raised
    assert exp.stop()["local"].accepted == 0


def test_the_view_of_the_parameters_is_as_lenient(exp: Any) -> None:
    with pytest.warns(TraceletWarning, match="an empty key"):
        assert exp.params.set({"": 1}) is exp.params
    with pytest.warns(TraceletWarning, match="None are no parameters"):
        assert exp.parameters().replace_all(None) is exp.params
    assert exp.params.set(lr=1).set(b=2).replace_all(c=3) == {"c": 3}


def test_a_track_is_as_lenient(exp: Any) -> None:
    loss = exp.track("loss")
    with pytest.warns(TraceletWarning, match="takes one axis"):
        loss.append(1, epoch=1, batch=2)
    with pytest.warns(TraceletWarning, match="'loss'"):
        loss.append("text")
    loss.append(0.5, epoch=1)
    exp.flush()
    assert len(tracelet.load_run(exp.dir).metrics["loss"]) == 1


def test_after_the_end_every_call_is_a_warning(exp: Any, tmp_path: Path) -> None:
    loss = exp.track("loss")
    exp.stop()
    (tmp_path / "file").write_text("x")
    calls = {
        "log_metric": lambda: exp.log_metric("loss", 1),
        "append": lambda: loss.append(1),
        "set": lambda: exp.params.set(a=1),
        "replace_all": lambda: exp.params.replace_all(a=1),
        "set_parameters": lambda: exp.set_parameters(a=1),
        "set_parameters_as_dict": lambda: exp.set_parameters_as_dict({"a": 1}),
        "connect": lambda: exp.connect({"a": 1}),
        "log_artifact": lambda: exp.log_artifact("file"),
        "flush": exp.flush,
    }
    for name, call in calls.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        said = [str(one.message) for one in caught]
        assert name == "append" or any("was stopped" in text for text in said), (name, said)
    assert tracelet.load_run(exp.dir).params == {}
