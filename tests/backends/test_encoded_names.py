"""Names: each comes back from its encoded form, and no two become one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.backends.names import decode_name, encode_name

ALLOWED = [r"\w\-. /:", r"\w\-. ", r"A-Za-z0-9._-", "^()", r"^:;,#?/'\\\x00-\x1f\x7f"]
PIECES = ["a", "@", "_", "x", "_x", "40", "_x40_", "_x_", "(", ")", "/", "é", "\n", "", "😀"]
PIECES += ["_x0123456789abcdef", "0123456789abcdef"]
NAMES = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=20)


@pytest.mark.parametrize("name", ["loss", "train/loss", "grad_x", "_x", "a_b", "x40", "_xyz_", "é"])
def test_a_name_that_the_tracker_takes_stays(name: str) -> None:
    assert encode_name(name, r"\w/") == name


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("mean@1", "mean_x40_1"),
        ("a@_x", "a_x40__x5f_x"),
        ("_x40_", "_x5f_x40_"),
        ("🚀", "_x1f680_"),
        ("", "_x_"),
    ],
)
def test_another_is_marked(name: str, encoded: str) -> None:
    assert encode_name(name, r"\w/") == encoded


@given(NAMES, st.sampled_from(ALLOWED))
def test_any_name_comes_back(name: str, allowed: str) -> None:
    encoded = encode_name(name, allowed)
    assert re.fullmatch(f"[{allowed}]+", encoded)
    assert decode_name(encoded) == name


@given(NAMES, NAMES, st.sampled_from(ALLOWED), st.sampled_from([None, 20, 24]))
def test_no_two_names_become_one(one: str, other: str, allowed: str, limit: int | None) -> None:
    encoded = [encode_name(name, allowed, limit) for name in (one, other)]
    assert (encoded[0] == encoded[1]) == (one == other)
    assert limit is None or max(map(len, encoded)) <= limit


def test_what_a_name_that_was_cut_has_become_is_no_name_s_own() -> None:
    cut = encode_name("w" * 300, r"\w", 250)
    assert len(cut) == 250
    assert encode_name(cut, r"\w", 300) != cut
