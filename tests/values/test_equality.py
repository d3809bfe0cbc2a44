"""Two values are the same if they have one type and one content."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tracelet.values.equality import same_value


class Broken:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


ARRAY = np.array([1, 2])


def cyclic() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (float("nan"), float("nan"), True),
        (0.0, -0.0, False),
        ([1, {"a": [2]}], [1, {"a": [2]}], True),
        ([1], [1.0], False),
        ([1], (1,), False),
        ((1,), (True,), False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"b": 1}, False),
        (ARRAY, ARRAY, True),
        (ARRAY, ARRAY.copy(), False),
        (Broken(), Broken(), False),
        ([Broken()], [Broken()], False),
        (cyclic(), cyclic(), False),
    ],
)
def test_values_are_the_same_in_type_and_content(left: Any, right: Any, expected: bool) -> None:
    assert same_value(left, right) is expected
    assert same_value(right, left) is expected
