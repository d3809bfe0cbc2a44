"""Names go to W&B and come back; what it would drop or merge is renamed, the rest is as it was."""

from __future__ import annotations

import pytest

from tracelet.backends.names import decode_name
from tracelet_wandb import names
from tracelet_wandb.names import Keys


@pytest.mark.parametrize("name", ["loss", "train/loss", "a.b", "_private", "größe ✓", "w" * 300])
def test_most_metrics_keep_their_name(name: str) -> None:
    assert Keys().metric(name) == name


@pytest.mark.parametrize(
    "name", ["", "_step", "_runtime", "_timestamp", "_times", "_wandb", "iteration", "axis:x"]
)
def test_a_metric_that_w_and_b_would_take_for_its_own_is_renamed(name: str) -> None:
    assert Keys().metric(name) == f"metric:{name}"


def test_no_two_metrics_have_one_key() -> None:
    keys = Keys()
    all_names = ["_step", "metric:_step", "metric:metric:_step", "axis:_step", "iteration", "x"]
    made = [keys.metric(name) for name in all_names]
    assert len(set(made)) == len(made)
    assert [key.removeprefix("metric:") for key in made] == all_names


def test_a_metric_called_like_an_axis_is_renamed() -> None:
    keys = Keys()
    assert [keys.axis("epoch"), keys.metric("epoch")] == ["epoch", "metric:epoch"]


def test_an_axis_called_like_a_metric_is_renamed() -> None:
    keys = Keys()
    assert [keys.metric("epoch"), keys.axis("epoch")] == ["epoch", "axis:epoch"]
    assert [keys.metric("epoch"), keys.axis("epoch")] == ["epoch", "axis:epoch"]


def test_an_axis_with_a_star_is_no_pattern() -> None:
    assert Keys().axis("100%*") == "axis:100%_x2a_"
    assert decode_name("100%_x2a_") == "100%*"


@pytest.mark.parametrize("text", ["run-20261121-080000-abcd", "with space", "größe"])
def test_a_usual_run_id_is_the_id_in_w_and_b(text: str) -> None:
    assert names.run_id(text) == text


@pytest.mark.parametrize("text", ["a#b", "a:b", "it's", "a,b;c", " a", "x" * 250, "ü" * 120])
def test_another_run_id_is_made_fit(text: str) -> None:
    made = names.run_id(text)
    assert not set(made) & set(":;,#?/'")
    assert made == made.strip()
    assert len(made.encode()) <= 110
    assert made == names.run_id(text) != names.run_id(text + "!")


def test_run_ids_that_would_become_the_same_stay_apart() -> None:
    assert len({names.run_id(text) for text in ("a#b", "a?b", "a-b")}) == 3


@pytest.mark.parametrize(("text", "made"), [("vision", "vision"), ("a/b#c%", "a_b_c_"), ("", "_")])
def test_a_project_is_made_fit(text: str, made: str) -> None:
    assert names.project(text) == made
    assert len(names.project("x" * 200)) == 128


def test_an_artifact_is_made_fit() -> None:
    assert names.artifact("run-1") == "run-1"
    assert names.artifact("größe") != names.artifact("gröse")
    assert names.artifact("a b") == "a_x20_b"
