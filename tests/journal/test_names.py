"""Any name that a user gives makes a directory, and none outside of its place."""

from __future__ import annotations

import pytest

import tracelet
from tracelet.destinations import slug
from tracelet.journal.rundir import new_run_id


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vision", "vision"),
        ("my project", "my project"),
        ("a/b\\c:d", "a_b_c_d"),
        ("../up", "_up"),
        ("..", "_"),
        ("", "_"),
        (" . ", "_"),
        ("line\nbreak", "line_break"),
        ("x" * 1000, "x" * 160),
        ("数" * 1000, "数" * 53),
        ("bad \ud800", "bad _"),
    ],
)
def test_a_name_is_one_part_of_a_path(text: str, name: str) -> None:
    assert slug(text) == name
    assert slug(slug(text)) == slug(text)


@pytest.mark.parametrize("name", ["x" * 1000, "数" * 1000, "../../up", "", "a b", "bad \ud800"])
def test_every_name_and_project_can_be_logged(name: str) -> None:
    with tracelet.start_logging(name or None, project=name or None) as exp:
        exp.log_metric("loss", 0.5)

    assert exp.run_id is not None
    assert slug(exp.run_id) == exp.run_id
    assert exp.dir is not None
    assert [run.dir for run in tracelet.runs()] == [exp.dir]


def test_a_run_id_has_name_time_and_four_characters() -> None:
    name, day, second, random = new_run_id("my run").split("-")

    assert name == "my_run"
    assert (len(day), len(second), len(random)) == (8, 6, 4)
