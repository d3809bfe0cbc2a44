"""A sweep as a data frame: one row a configuration, integers being integers."""

from __future__ import annotations

import pandas as pd

from tracelet import Sweep


def test_columns_are_in_order_of_appearance_and_integers_stay_integers() -> None:
    frame = (
        Sweep()
        .chain({"b": 1, "flag": True}, {"a": 0.5, "c": "x", "big": 2**70}, {"b": 2, "none": None})
        .to_dataframe()
    )

    assert list(frame.columns) == ["b", "flag", "a", "c", "big", "none"]
    assert frame["b"].dtype == "Int64"
    assert frame["b"].tolist() == [1, pd.NA, 2]
    assert frame["flag"].dtype == "boolean"
    assert frame["a"].dtype == "float64"
    assert frame["big"][1] == 2**70


def test_whole_columns_have_plain_types() -> None:
    frame = Sweep().product(a=[1, 2], b=[True], c=[0.5, 1], d=[[1, 2]]).to_dataframe()

    assert [str(kind) for kind in frame.dtypes] == ["int64", "bool", "float64", "object"]
    assert frame["d"][0] == [1, 2]


def test_the_empty_configuration_is_a_row() -> None:
    assert Sweep().to_dataframe().shape == (1, 0)
    assert Sweep().product(a=[1])[:0].to_dataframe().shape == (0, 0)
