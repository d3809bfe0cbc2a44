"""Names: MLflow takes every one, no two become one, and each comes back."""

from __future__ import annotations

import random

import pytest
from mlflow.utils.uri import validate_path_is_safe
from mlflow.utils.validation import _validate_param_name, _validate_tag_name

from tracelet.backends.names import decode_name
from tracelet_mlflow.names import (
    LONGEST,
    name_tag,
    series_name,
    stored_name,
    stored_path,
)

PLAIN = [
    "loss",
    "val/mean",
    "a b",
    "größe",
    "layer:10:weight",
    "x.y-z_0",
    "..." + "x",
    "a:x",
    "é" * 250,
]
AWKWARD = [
    "mean@1",
    "loss[0]",
    "a,b=c;d",
    "100%",
    "#",
    "✓",
    "🚀 go",
    "two\nlines",
    "nul\0",
    "tab\t",
    "/a",
    "a/",
    "a//b",
    "a/./b",
    "a/../b",
    ".",
    "..",
    "../a",
    "..hidden",
    "./a",
    "/",
    "//",
    "a:x40:b",
    "a:x:b",
    "loss:by:epoch",
    "",
    " ",
    "a\\b",
    "n_x0123456789abcdef",
    "a_x40_b",
    "a_x_b",
    "/_x40_@",
]
LONG = ["w" * 251, "w" * 252, "@" * 100, "a/" * 200 + "b", "é@" * 300, "." * 300, "x" * 5000]


@pytest.mark.parametrize("name", PLAIN[:6] + PLAIN[7:])
def test_a_name_that_mlflow_takes_stays(name: str) -> None:
    assert stored_name(name) == name


@pytest.mark.parametrize("name", PLAIN + AWKWARD + LONG)
def test_mlflow_takes_every_name(name: str) -> None:
    stored = stored_name(name)
    _validate_param_name(stored)
    _validate_tag_name(f"param.{stored}")
    assert 0 < len(stored) <= LONGEST


@pytest.mark.parametrize("name", PLAIN + AWKWARD)
def test_a_name_that_is_not_too_long_comes_back(name: str) -> None:
    assert decode_name(stored_name(name)) == name


def test_no_two_names_become_one() -> None:
    pieces = [
        "a",
        "@",
        "#",
        ":",
        "x40",
        ":x40:",
        "_x40_",
        "by",
        "/",
        ".",
        "..",
        "_",
        " ",
        "x",
        "40",
        "é",
        "w" * 90,
    ]
    rng = random.Random(7)
    names = {"".join(rng.choices(pieces, k=rng.randint(1, 6))) for _ in range(50_000)}
    names |= {*PLAIN, *AWKWARD, *LONG}
    assert len({stored_name(name) for name in names}) == len(names)
    for name in names:
        _validate_param_name(stored_name(name))


def test_what_a_name_becomes_is_no_name_s_own() -> None:
    for name in AWKWARD + LONG:
        stored = stored_name(name)
        assert stored == name or stored_name(stored) != stored


@pytest.mark.parametrize("metric", [*PLAIN, *AWKWARD, *LONG])
def test_a_second_axis_has_a_key_of_its_own(metric: str) -> None:
    axes = ["epoch", "tokens seen", "a/b", "@", "e" * 300, "/"]
    keys = {series_name(metric, axis) for axis in axes}
    assert len(keys) == len(axes)
    assert stored_name(metric) not in keys
    for key in keys:
        _validate_param_name(key)
        (tag,) = name_tag("tracelet.metric.", key, {"metric": metric})
        _validate_tag_name(tag)
        assert len(key) <= LONGEST >= len(tag)


def test_a_path_has_nothing_that_means_something_in_a_url() -> None:
    assert stored_path("models/größe ✓+&~.pt") == "models/größe ✓+&~.pt"
    paths = [
        "a#b",
        "a%20b",
        "a b",
        "a?",
        "a_x23_b",
        "a~b",
        "a\nb",
        "C:/a",
        "a;",
        "..a/b",
        "_x2e_.a/b",
    ]
    stored = [stored_path(path) for path in paths]
    assert len(set(stored)) == len(paths)
    for path in stored:
        assert validate_path_is_safe(path) == path
