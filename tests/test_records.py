"""The line of a record: whatever the user's texts are, it is UTF-8 and comes back."""

from __future__ import annotations

from typing import Any

import pytest

from tracelet.records import (
    AnyRecord,
    BackendAdded,
    Config,
    Params,
    Properties,
    Started,
    decode_lines,
    encode,
)

NAN = float("nan")
ODD: dict[str, Any] = {"of \udcff": {"in \udcff": ["\udcff", {"$float": "NaN"}, None, NAN]}}


@pytest.mark.parametrize("odd", [ODD, {"only \udcff": 1}, {"only": [{"$dict": {}}]}, {"n": NAN}])
@pytest.mark.parametrize(
    "make",
    [
        lambda value: Params(1.0, value),
        lambda value: Config(1.0, "a", ".json", "0" * 64, value),
        lambda value: Properties(1.0, {"a": value}),
        lambda value: Started(1.0, {"run": value}),
        lambda value: BackendAdded(1.0, {"name": "b", "target": "b", "options": value}),
    ],
)
def test_what_json_cannot_hold_comes_back_as_it_was(make: Any, odd: dict[str, Any]) -> None:
    record: AnyRecord = make(odd)
    (found,) = decode_lines(encode(record) + b"\n")
    assert repr(found) == repr(record).replace("\\udcff", "\\\\udcff")
