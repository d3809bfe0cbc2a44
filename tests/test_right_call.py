"""What has a call of its own, given to another call, is answered with the right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

import tracelet
from tracelet.errors import ValueTypeError


@pytest.fixture
def exp(tmp_path: Path) -> Any:
    with tracelet.start_logging("run", dir=tmp_path) as exp:
        yield exp


@pytest.mark.parametrize(
    ("given", "call"),
    [
        ({"loss": 0.5}, r"log_metrics\(\{...\}\)"),
        (np.ones(3), r"log_artifact\(\)"),
        (pd.DataFrame({"a": [1]}), r"log_artifact\(\)"),
        (matplotlib.figure.Figure(), r"log_artifact\(\)"),
    ],
)
def test_log_names_the_right_call(exp: Any, given: Any, call: str) -> None:
    with pytest.raises(ValueTypeError, match=rf"log\(\) takes a line of text, not .*{call}"):
        exp.log(given)
    assert tracelet.load_run(exp.dir).texts == []


@pytest.mark.parametrize("given", ["text", 0.5, None, np.float32(1.5), Path("a")])
def test_what_fits_in_a_line_is_logged(exp: Any, given: Any) -> None:
    exp.log(given)
    assert [line.text for line in tracelet.load_run(exp.dir).texts] == [str(given)]


@pytest.mark.parametrize("given", [np.ones(1001), matplotlib.figure.Figure()])
def test_log_param_names_the_right_call(exp: Any, given: Any) -> None:
    with pytest.raises(ValueTypeError, match=r"the parameter 'x' is a value, .*log_artifact\(\)"):
        exp.log_param("x", given)
    assert exp.params == {}


def test_a_short_array_and_a_mapping_are_parameters(exp: Any) -> None:
    exp.log_param("betas", np.array([0.5, 0.75]))
    exp.log_param("model", {"depth": 18})
    assert exp.params == {"betas": [0.5, 0.75], "model.depth": 18}
