"""Names go to ClearML and come back, whatever they are; no two of them become one."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from clearml_reader import config_of, key_of, scalar_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.records import RunInfo
from tracelet_clearml import names


class Scalar(NamedTuple):
    name: str
    axis: str = "iteration"
    mark: str = ""


PIECES = ["a", "b", "/", ".", "./", " (", "over ", ")", " ()", "NaN", "%", "28", "_", "self", "é\n"]
AWKWARD = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=20)
MARKS = st.sampled_from(["", "NaN", "Infinity", "-Infinity"])


@pytest.mark.parametrize(
    ("scalar", "title", "series"),
    [
        (Scalar("loss"), "loss", "loss"),
        (Scalar("train/loss"), "train", "loss"),
        (Scalar("train/loss/deep"), "train", "loss/deep"),
        (Scalar("loss/loss"), "loss", "./loss"),
        (Scalar("val/acc", "epoch"), "val (over epoch)", "acc"),
        (Scalar("val", "a (b)", "NaN"), "val (over a _x28_b_x29_) (NaN)", "val"),
        (Scalar("x (NaN)/y"), "x (NaN) ()", "y"),
    ],
)
def test_a_metric_is_a_series_of_a_chart(scalar: Scalar, title: str, series: str) -> None:
    assert names.title_and_series(*scalar) == (title, series)
    assert scalar_of(title, series) == scalar


@settings(deadline=None)
@given(st.builds(Scalar, AWKWARD, AWKWARD, MARKS))
def test_any_metric_comes_back(scalar: Scalar) -> None:
    assert scalar_of(*names.title_and_series(*scalar)) == scalar


@pytest.mark.parametrize(
    ("key", "section", "name"),
    [
        ("lr", "General", "lr"),
        ("Args/lr", "Args", "lr"),
        ("Args/a/b", "Args", "a/b"),
        ("Properties/x", "General", "Properties/x"),
        ("/x", "General", "/x"),
        ("x/", "General", "x/"),
        ("self", "General", "self_"),
        ("Args/self_", "Args", "self__"),
    ],
)
def test_a_parameter_is_in_its_section(key: str, section: str, name: str) -> None:
    assert names.section_and_name(key) == (section, name)
    assert key_of(section, name) == key


@settings(deadline=None)
@given(AWKWARD.filter(bool))
def test_any_parameter_comes_back(key: str) -> None:
    section, name = names.section_and_name(key)
    assert section
    assert name
    assert section.lower() != "properties"
    assert key_of(section, name) == key


@settings(deadline=None)
@given(AWKWARD | st.sampled_from(["tracelet", "tracelet_", "tracelet__"]))
def test_any_configuration_object_comes_back_and_is_not_ours(name: str) -> None:
    assert names.config_name(name) != names.OWN
    assert config_of(names.config_name(name)) == name


@settings(deadline=None)
@given(AWKWARD, AWKWARD, AWKWARD.filter(bool))
def test_an_artifact_has_a_place_that_no_storage_can_misread(
    project: str, task: str, path: str
) -> None:
    place = names.artifact_place(project, task, "id", path)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){4}", place)
    assert ".id/artifacts/" in place


def test_artifacts_that_look_alike_have_different_places() -> None:
    paths = ["a b", "a_b", "a#b", "a/b", "b", "x/b"]
    assert len({names.artifact_place("p", "t", "id", path) for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("name", "shown"), [("", "___"), ("ab", "ab_"), (" a ", "a__"), ("abc",) * 2]
)
def test_a_short_name_is_made_as_long_as_the_server_wants(name: str, shown: str) -> None:
    assert names.long_enough(name) == shown


def test_runs_of_one_id_in_two_projects_are_two() -> None:
    one, other = (
        RunInfo(run_id="r", name="r", project=project, dir="/", started=0.0) for project in "ab"
    )
    assert names.mark(one) != names.mark(other)
