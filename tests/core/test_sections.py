"""Parameters in sections: every call that sets or reads them, and that nothing is lost between."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracelet
from tracelet.core.parameters import Parameters
from tracelet.errors import InvalidValueError, KeyCollisionError, TraceletError, ValueTypeError
from tracelet.values.flatten import flatten
from tracelet.values.sections import by_section, full_key, plain_key, sections_first, split_section


@pytest.fixture
def exp(tmp_path: Path) -> Iterator[Any]:
    with tracelet.start_logging("run", dir=tmp_path / "runs", capture=False) as exp:
        yield exp


def stored(exp: Any) -> dict[str, Any]:
    """What the local backend has of the parameters."""
    assert exp.flush()
    file = exp.dir / "parameters.json"
    content: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    assert content == tracelet.load_run(exp.dir).params == exp.params
    return content


def test_set_parameters_replaces_all_parameters_and_nothing_else(exp: Any) -> None:
    exp.log_params({"old": 1, "model": {"depth": 18}}, section="Args")
    exp.set_user_properties(score=1)
    exp.connect_configuration({"a": 1}, name="c")
    exp.set_tags(team="ml")

    exp.set_parameters({"Args/epochs": 7, "lr": 0.5}, decay=1)
    assert exp.get_parameters() == {"Args/epochs": 7, "General/lr": 0.5, "General/decay": 1}
    assert stored(exp) == {"Args/epochs": 7, "lr": 0.5, "decay": 1}

    run = tracelet.load_run(exp.dir)
    assert [one.value for one in run.params.history("Args/model.depth")] == [18]
    assert run.properties["score"].value == 1
    assert run.configurations == {"c": {"a": 1}}
    assert run.tags == {"team": "ml"}

    exp.set_parameters()
    assert stored(exp) == {}


def test_set_parameter_sets_one(exp: Any) -> None:
    exp.set_parameter(name="decay", value=0.001)
    exp.set_parameter("Args/model", {"depth": 18})
    exp.set_parameter("General/lr", 1)
    assert stored(exp) == {"decay": 0.001, "Args/model.depth": 18, "lr": 1}


def test_set_parameters_as_dict_merges_and_the_first_level_is_the_section(exp: Any) -> None:
    exp.log_params(lr=1)
    exp.set_parameters_as_dict(
        {
            "my_args/lr": 0.3,
            "opt": {"m": 0.9, "schedule": {"name": "cosine", "steps": [1, 2]}},
            "epochs": 10,
            "General": {"seed": 3},
            "my_args/deep": {"er": 1},
            "a.b": {"c": 2},
            "nothing": {},
            "inner": {"nothing": {}},
            7: {0: False},
            "parsed": argparse.Namespace(x=1),
        }
    )
    assert stored(exp) == {
        "lr": 1,
        "my_args/lr": 0.3,
        "opt/m": 0.9,
        "opt/schedule.name": "cosine",
        "opt/schedule.steps": [1, 2],
        "epochs": 10,
        "seed": 3,
        "my_args/deep.er": 1,
        "a.b/c": 2,
        "inner/nothing": {},
        "7/0": False,
        "parsed/x": 1,
    }
    assert exp.get_parameters_as_dict() == {
        "General": {"lr": 1, "epochs": 10, "seed": 3},
        "my_args": {"lr": 0.3, "deep": {"er": 1}},
        "opt": {"m": 0.9, "schedule": {"name": "cosine", "steps": [1, 2]}},
        "a.b": {"c": 2},
        "inner": {"nothing": {}},
        "7": {"0": False},
        "parsed": {"x": 1},
    }


def test_values_come_back_typed_and_are_copies(exp: Any) -> None:
    value = {"Args": {"i": 1, "f": 1.0, "b": True, "n": None, "s": "1", "l": [1, "1", None]}}
    exp.set_parameters_as_dict(value)
    found = exp.get_parameters()
    assert [repr(one) for one in found.values()] == [repr(one) for one in value["Args"].values()]
    found["Args/l"].append(2)
    exp.get_parameters_as_dict()["Args"]["l"].append(3)
    assert exp.get_parameters_as_dict() == value


def test_a_section_can_be_named_in_every_call_that_merges(exp: Any) -> None:
    given = {"lr": 1, "model": {"depth": 18}}
    exp.log_params(given, section="A", x=1)
    exp.params.set(given, section="B")
    exp.connect(given, name="C")
    exp.parameters().set(section="General", y=2)
    assert exp.get_parameters_as_dict() == {
        "A": {"lr": 1, "model": {"depth": 18}, "x": 1},
        "B": given,
        "C": given,
        "General": {"y": 2},
    }


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda exp: exp.set_parameters([1]), ValueTypeError),
        (lambda exp: exp.set_parameters(None), ValueTypeError),
        (lambda exp: exp.set_parameters(None, a=1), ValueTypeError),
        (lambda exp: exp.params.replace_all(None), ValueTypeError),
        (lambda exp: exp.set_parameters({"": 1}), InvalidValueError),
        (lambda exp: exp.set_parameters({"General/a": 1, "a": 2}), KeyCollisionError),
        (lambda exp: exp.set_parameter("", 1), InvalidValueError),
        (lambda exp: exp.set_parameters_as_dict([1]), ValueTypeError),
        (lambda exp: exp.set_parameters_as_dict({"a": {"": 1}}), InvalidValueError),
        (lambda exp: exp.set_parameters_as_dict({"a": {"b": 1}, "a/b": 2}), KeyCollisionError),
        (lambda exp: exp.set_parameters_as_dict({"a": 1, "General": {"a": 2}}), KeyCollisionError),
        (lambda exp: exp.log_params({"a": 1}, section=""), InvalidValueError),
        (lambda exp: exp.log_params({"a": 1}, section=3), ValueTypeError),
    ],
)
def test_a_mistake_changes_nothing(exp: Any, call: Any, error: type[Exception]) -> None:
    exp.log_params(kept=1)
    with pytest.raises(error):
        call(exp)
    assert stored(exp) == {"kept": 1}


def test_a_slash_at_the_beginning_or_the_end_makes_no_section(exp: Any) -> None:
    exp.log_params({"/data/train": 1, "weird/": 2, "General/": 3, "/": 4})
    assert stored(exp) == {"/data/train": 1, "weird/": 2, "General/": 3, "/": 4}
    assert exp.get_parameters() == {
        "General//data/train": 1,
        "General/weird/": 2,
        "General/General/": 3,
        "General//": 4,
    }
    for key, value in exp.get_parameters().items():
        assert exp.params[key] == value
    assert exp.params["General/"] == 3


def test_general_may_be_written_more_than_once(exp: Any) -> None:
    exp.log_params({"General/General/lr": 1})
    exp.log_params({"General/x": 2}, section="General")
    exp.log_params({"deep": 3}, section="General/Args")
    assert stored(exp) == {"lr": 1, "x": 2, "Args/deep": 3}
    assert exp.params["General/General/lr"] == exp.params["General/lr"] == 1
    assert exp.params["General/Args/deep"] == 3


# ------------------------------------------------------------------------------ nothing is lost

names = st.text(alphabet="ab./G", min_size=1, max_size=6) | st.sampled_from(
    ["General", "General/a", "General/General", "a/b", "/a", "a/", "a.b/c"]
)
leaves = st.sampled_from([0, False, "", None, [], {}, "x"])
trees = st.dictionaries(
    names,
    st.recursive(leaves, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6),
    max_size=4,
)


def made(tree: dict[str, Any]) -> Parameters | None:
    """Parameters with these values, if they are some."""
    try:
        return Parameters(lambda record: None).set(tree)
    except TraceletError:
        return None


@settings(deadline=None, max_examples=150)
@given(trees)
def test_what_is_read_with_sections_sets_the_same_parameters(tree: dict[str, Any]) -> None:
    params = made(tree)
    if params is None:
        return
    flat = params.flat()
    full = {full_key(key): value for key, value in flat.items()}
    assert len(full) == len(flat)
    assert {plain_key(key): value for key, value in full.items()} == flat
    for key, value in full.items():
        assert params[key] == value

    again = Parameters(lambda record: None)
    again.replace_all(full)
    assert again == flat


@settings(deadline=None, max_examples=150)
@given(trees)
def test_what_is_read_by_section_has_every_parameter(tree: dict[str, Any]) -> None:
    params = made(tree)
    if params is None:
        return
    sections = params.by_section()
    assert all(sections.values())
    found: dict[str, Any] = {}
    for section, values in sections.items():
        for name, value in flatten(values).values.items():
            found[f"{section}/{name}"] = value
    assert found == {"/".join(split_section(key)): value for key, value in params.items()}


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.text("abc.", min_size=1), trees.filter(bool), max_size=3))
def test_a_mapping_of_sections_comes_back_as_it_was(tree: dict[str, Any]) -> None:
    try:
        flat = sections_first(flatten(tree))
    except KeyCollisionError:
        return
    assert by_section(flat) == tree
