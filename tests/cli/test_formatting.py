"""How the command line writes numbers, sizes, times and courses."""

from __future__ import annotations

import math

import pytest

from tracelet.cli.formatting import clean, cut, duration, many, number, size, value_text
from tracelet.cli.sparkline import ASCII, sparkline


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (1 / 3, "0.33333"),
        (1e-12, "1e-12"),
        (123456.789, "1.2346e+05"),
        (7, "7"),
        (1_000_000, "1000000"),
        (2**53 + 1, "9007199254740993"),
        (-(2**63), "-9223372036854775808"),
        (2**70, "1.181e+21"),
        (10**400, "1.000e+400"),
        (-(10**400), "-1.000e+400"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (2100, "2.1 kB"),
        (999_499, "999 kB"),
        (999_999, "1 MB"),
        (5 * 10**9, "5 GB"),
        (12 * 10**12, "12 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (2 * 86400 + 4 * 3600, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("adam", "adam"),
        ("two words", "two words"),
        ("1e3", '"1e3"'),
        ("", '""'),
        ("None", '"None"'),
        (" padded", '" padded"'),
        (None, "None"),
        (True, "True"),
        ([1, "a", "2"], '[1, a, "2"]'),
        ({"a": [None]}, "{a: [None]}"),
        ({}, "{}"),
    ],
)
def test_values(value: object, text: str) -> None:
    assert value_text(value) == text


def test_control_characters_are_written_out() -> None:
    assert clean("a\x1b[0m\nb\u202ec") == r"a\u001b[0m\nb\u202ec"


def test_a_long_text_is_cut_and_its_length_said() -> None:
    assert cut("abcd", 4) == "abcd"
    assert cut("a" * 5000, 4) == "aaaa… (5,000 characters; --full shows them)"


def test_one_is_singular() -> None:
    assert (many(1, "run"), many(2, "run"), many(1234, "run")) == ("1 run", "2 runs", "1,234 runs")


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 8, ""),
        ([1.0], 8, "="),
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "_.-=+*%#"),
        ([0, 0, 7, 7], 2, "_#"),
        ([0, math.nan, 1], 8, "_!#"),
        ([math.inf, math.nan], 8, "!!"),
        ([-1.7e308, 0, 1.7e308], 8, "_+#"),
        ([1.7e308] * 4, 2, "=="),
    ],
)
def test_sparklines(values: list[float], width: int, line: str) -> None:
    assert sparkline(values, width, ASCII) == line
