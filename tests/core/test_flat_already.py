"""Mappings that are flat and plain already take a short way, to the same parameters."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracelet.core.parameters import Parameters
from tracelet.errors import InvalidValueError, TraceletWarning
from tracelet.values.flatten import Flat, flatten

TEXTS = st.text(st.characters(exclude_categories=())) | st.text("ab.\udc80ü", max_size=3)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS


def outcome(value: dict[Any, Any]) -> Flat | str:
    try:
        return flatten(value)
    except InvalidValueError as error:
        return f"{type(error).__name__}: {error}"


@settings(deadline=None)
@given(st.dictionaries(TEXTS | st.integers(0, 3), PLAIN | st.lists(PLAIN, max_size=2), max_size=4))
@example({"a": "\udc80"})
@example({"\udc80": 1})
@example({"a.b": 1, "": 2})
@example({"a": 10**4300})
@example({"a": -(10**4300)})
@example({0: 1, "0": 2})
def test_a_dict_and_a_mapping_that_is_looked_at_key_by_key_become_the_same(
    value: dict[Any, Any],
) -> None:
    # Through repr, for which NaN is equal to itself and 0 is not False.
    assert repr(outcome(value)) == repr(outcome(OrderedDict(value)))


def test_what_becomes_of_the_dict_later_changes_nothing() -> None:
    params = Parameters(lambda _: None)
    flat = flatten(value := {"lr": 0.1, "name": "net"})
    params.merge(flat)
    value["lr"] = 0.2
    value["more"] = 1
    assert flat == ({"lr": 0.1, "name": "net"}, {})
    assert params == {"lr": 0.1, "name": "net"}


def test_a_key_that_moves_below_a_value_replaces_it() -> None:
    params = Parameters(lambda _: None)
    params.set({"a.b": 1, "a": 2})  # the first has a dot of its own
    with pytest.warns(TraceletWarning, match="gone: 'a'"):
        params.set({"a": {"b": 3}})
    assert params.nested() == {"a": {"b": 3}}
    assert params == {"a.b": 3}
