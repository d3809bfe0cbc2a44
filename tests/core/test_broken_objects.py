"""Objects that cannot be shown are refused, or left out with a warning, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tracelet
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
