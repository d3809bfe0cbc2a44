"""Parameters are nested for W&B's config, and their flat keys can be read off it again."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tracelet_wandb.config import ParamTree, config_key, holdable, is_holdable, top_key


def config(flat: dict[str, Any]) -> dict[str, Any]:
    tree = ParamTree()
    made: dict[str, Any] = {}
    for top in tree.update(flat):
        made.update(tree.branch(top))
    return made


def test_dotted_keys_are_nested() -> None:
    assert config({"model.depth": 18, "model.head.name": "x", "lr": 0.1}) == {
        "model": {"depth": 18, "head": {"name": "x"}},
        "lr": 0.1,
    }


def test_a_leaf_beside_a_branch_keeps_both() -> None:
    assert config({"a": 1, "a.b": 2, "a.b.c": 3}) == {"a": 1, "a.b": 2, "a.b.c": 3}
    assert config({"x.a.b": 2, "x.a": 1}) == {"x": {"a": 1, "a.b": 2}}


def test_dots_at_the_ends_are_kept() -> None:
    assert config({".a": 1, "b.": 2, "c..d": 3}) == {
        "": {"a": 1},
        "b": {"": 2},
        "c": {"": {"d": 3}},
    }


def test_an_update_keeps_the_rest_of_the_branch() -> None:
    tree = ParamTree()
    tree.update({"m.a": 1, "m.b": 2})
    assert tree.update({"m.a": 5}) == {"m"}
    assert tree.branch("m") == {"m": {"a": 5, "b": 2}}


def test_what_is_removed_is_gone() -> None:
    tree = ParamTree()
    tree.update({"m.a": 1, "m.b": 2, "x": 1})
    assert tree.remove(["m.a", "x", "never"]) == {"m", "x"}
    assert tree.branch("m") == {"m": {"b": 2}}
    assert tree.branch("x") == {}


@pytest.mark.parametrize(
    "key", ["", "tracelet", "_wandb", "-lr", "lr-", "--", "param:x", "config:x"]
)
def test_keys_that_w_and_b_or_tracelet_would_change_are_renamed(key: str) -> None:
    made = top_key(key)
    assert made.startswith("param:")
    assert made == made.strip("-")


@pytest.mark.parametrize("key", ["lr", "Args/epochs", "a-b", "_private", "ü"])
def test_other_keys_are_as_they_are(key: str) -> None:
    assert top_key(key) == key


def test_a_configuration_object_makes_way_for_a_parameter() -> None:
    assert config_key("model", {"lr"}) == "model"
    assert config_key("model", {"model"}) == "config:model"
    assert config_key("tracelet", set()) == "config:tracelet"


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (math.nan, "NaN"),
        ([1, [math.nan]], [1, ["NaN"]]),
        ({"a": {"b": math.nan}}, {"a": {"b": "NaN"}}),
        ("wandb-artifact://x/y", " wandb-artifact://x/y"),
        ([{"_type": "artifactVersion", "id": 1}], [{" _type": "artifactVersion", "id": 1}]),
    ],
)
def test_what_config_cannot_hold_is_shown_as_well_as_it_can(value: Any, held: Any) -> None:
    assert not is_holdable(value)
    assert holdable(value) == held
    assert is_holdable(held)


@pytest.mark.parametrize("value", [None, True, 2**70, 0.1, math.inf, "NaN", [], {}, {"_type": "x"}])
def test_everything_else_is_held(value: Any) -> None:
    assert is_holdable(value)
    assert holdable(value) == value
