"""Objects that cannot be shown are refused, or left out with a warning, by name."""

from __future__ import annotations

import datetime as dt
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.core import lenient
from tracelet.errors import InvalidValueError, TraceletWarning, ValueTypeError


class Broken:
    """Nobody can say what it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise AttributeError("no repr")


@pytest.fixture
def exp(tmp_path: Path) -> Any:
    with tracelet.start_logging("broken", dir=tmp_path, capture=False) as exp:
        yield exp


@pytest.mark.parametrize("call", ["connect", "log_params"])
def test_a_key_that_cannot_be_shown_is_left_out_by_name(exp: Any, call: str) -> None:
    given = {"lr": 0.1, "net": {Broken(): 1, "depth": 2}}
    with pytest.warns(TraceletWarning, match=r"left out.*net.<.*Broken object> .*no repr"):
        getattr(exp, call)(given)
    assert exp.params == {"lr": 0.1, "net.depth": 2}
    if call == "connect":
        with pytest.warns(TraceletWarning, match="connected dict cannot be read again"):
            exp.flush()


CALLS: dict[str, Callable[[Any], Any]] = {
    "a configuration": lambda exp: exp.connect_configuration(Broken()),
    "the name of a configuration": lambda exp: exp.connect_configuration({}, Broken()),
    "a section": lambda exp: exp.log_params({"a": 1}, section=Broken()),
    "properties": lambda exp: exp.set_user_properties(Broken()),
    "the name of a property": lambda exp: exp.set_user_properties({Broken(): 1}),
    "tags": lambda exp: exp.set_tags(Broken()),
    "the name of a tag": lambda exp: exp.set_tags({Broken(): 1}),
    "the value of a tag": lambda exp: exp.set_tags({"who": Broken()}),
    "a run": lambda _: tracelet.load_run(Broken()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", CALLS)
def test_what_cannot_be_shown_is_refused_as_anything_of_its_type(exp: Any, what: str) -> None:
    with pytest.raises(ValueTypeError, match=r"Broken|no repr"):
        CALLS[what](exp)


@pytest.mark.parametrize("given", [5, b"run", 1.5])
def test_a_run_is_looked_for_by_a_text(given: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueTypeError, match="directory or a run id"):
        tracelet.load_run(given)
    with pytest.raises(ValueTypeError, match="dir"):
        tracelet.load_run("a", dir=given)
    with pytest.raises(ValueTypeError, match="dir"):
        tracelet.runs(dir=given)


def test_properties_in_a_list_that_contains_itself_are_refused(exp: Any) -> None:
    bottomless: list[Any] = [{"name": "a", "value": 1}]
    bottomless.append(bottomless)
    with pytest.raises(InvalidValueError, match="levels deep"):
        exp.set_user_properties(bottomless)


class FailureError(Exception):
    """What the code of a value raises; no builtin that something might be ready for."""


def raising(*methods: str) -> Any:
    """Return an object of a class of which these methods raise."""

    def fails(*_: Any) -> Any:
        raise FailureError("today")

    return type("Failing", (), dict.fromkeys(methods, fails))()


class FailingMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise FailureError("today")

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


class FailingList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        raise FailureError("today")


class FailingDate(dt.date):
    def isoformat(self) -> str:
        raise FailureError("today")


class FailingPath(os.PathLike[str]):
    def __fspath__(self) -> str:
        raise FailureError("today")


class FailingArray:
    dtype = "float"

    @property
    def shape(self) -> Any:
        raise FailureError("today")

    def tolist(self) -> Any:
        raise FailureError("today")

    __float__ = tolist


class FailingItem:
    @property
    def item(self) -> Any:
        raise FailureError("today")

    def __len__(self) -> int:
        raise FailureError("today")


NUMBERS = {
    "item": raising("item"),
    "float": raising("__float__"),
    "index": raising("__index__"),
    "property": FailingItem(),
    "shape": FailingArray(),
}
PARAMS = {
    "mapping": FailingMapping(),
    "list": FailingList([1]),
    "date": FailingDate(2024, 1, 1),
    "path": FailingPath(),
    "array": FailingArray(),
}
WITH_NUMBER: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "value": ("metric 'bad' ", lambda exp, one: exp.log_metric("bad", one)),
    "values": ("metric 'bad' ", lambda exp, one: exp.log_metrics({"good": 1.0, "bad": one})),
    "iteration": ("iteration of metric 'bad' ", lambda exp, one: exp.log_metric("bad", 1.0, one)),
    "current": ("set_iteration: ", lambda exp, one: exp.set_iteration(one)),
}
WITH_PARAM: dict[str, Callable[[Any, Any], Any]] = {
    "log_params": lambda exp, one: exp.log_params({"a": 1, "net": {"a": 1, "bad": one}, "b": 2}),
    "connect": lambda exp, one: exp.connect({"a": 1, "net": {"a": 1, "bad": one}, "b": 2}),
}
FAILING: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **{
        f"{call} {kind}": (where, functools.partial(log, one=one))
        for call, (where, log) in WITH_NUMBER.items()
        for kind, one in NUMBERS.items()
    },
    **{
        f"{call} {kind}": (r"parameter \['net'\]\['bad'\] ", functools.partial(log, one=one))
        for call, log in WITH_PARAM.items()
        for kind, one in PARAMS.items()
    },
    "time": ("time ", lambda exp: exp.log_metric("bad", 1.0, time=raising("__float__"))),
    "metrics": ("log_metrics: the mapping", lambda exp: exp.log_metrics(FailingMapping())),
    "params": ("the parameters ", lambda exp: exp.log_params(FailingMapping())),
    "config": (r"\['a'\] ", lambda exp: exp.connect_configuration([FailingMapping()], "a")),
    "tags": ("the tags ", lambda exp: exp.set_tags(FailingMapping())),
    "properties": ("the user prop", lambda exp: exp.set_user_properties(FailingMapping())),
    "property": (
        "the user property 'bad' ",
        lambda exp: exp.set_user_properties(bad=FailingMapping()),
    ),
    "its value": (
        r"\['bad'\] ",
        lambda exp: exp.set_user_properties(bad={"value": FailingMapping()}),
    ),
    "log": ("a line of the log", lambda exp: exp.log(raising("__str__"))),
}


@pytest.mark.parametrize("what", FAILING)
def test_what_the_code_of_a_value_raises_is_an_error_that_names_it(exp: Any, what: str) -> None:
    where, log = FAILING[what]
    with pytest.raises(ValueTypeError, match=where) as caught:
        log(exp)
    assert isinstance(caught.value.__cause__, FailureError)
    assert exp.stop()["local"].accepted == 0
    assert exp.params == {}


@pytest.mark.parametrize("what", FAILING)
def test_what_the_code_of_a_value_raises_can_be_a_warning(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lenient, "_causes", set())
    where, log = FAILING[what]
    exp = tracelet.start_logging(dir=tmp_path, on_error="warn", capture=False)
    with pytest.warns(TraceletWarning, match=f"not logged: .*{where}"):
        log(exp)
    exp.log_metric("good", 0.5)
    assert exp.stop()["local"].accepted == 1
