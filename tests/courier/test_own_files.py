"""A file that a backend writes itself never takes the place of a user's of the same name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracelet
from tracelet.backends.base import Backend
from tracelet.backends.memory import MemoryBackend
from tracelet.courier.calls import free_path

OWN = Backend.own_files
PATHS = st.lists(
    st.sampled_from(["artifacts", "configs", "log.txt", "tracelet", "adjusted.jsonl", "a"]),
    min_size=1,
    max_size=5,
).map("/".join)


class Small(MemoryBackend):
    """A tracker without places for log and configurations: artifacts among the others."""

    name = "small"
    own_files = Backend.own_files
    log_text = Backend.log_text
    log_config = Backend.log_config


def test_both_logs_are_kept_and_the_moved_one_is_counted(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("mine")
    backend = Small()
    with tracelet.start_logging(run_id="r", backend=backend) as exp:
        exp.log("a line")
        exp.log_artifact(tmp_path / "log.txt")
    assert backend.artifacts["artifacts/log.txt"] == b"mine"
    assert b"a line" in backend.artifacts["log.txt"]
    assert exp.report is not None
    assert exp.report["small"].adjusted == 1
    assert b"artifacts/log.txt" in backend.artifacts["tracelet/adjusted.jsonl"]


def test_a_configuration_and_an_artifact_of_its_name_are_both_kept(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text("mine")
    backend = Small()
    with tracelet.start_logging(run_id="r", backend=backend) as exp:
        exp.log_artifact(tmp_path / "net.json", "configs/net.json")
        exp.connect_configuration({"depth": 18}, name="net")
        exp.log_artifact(tmp_path / "net.json", "artifacts/configs/net.json")
    assert b"18" in backend.artifacts["configs/net.json"]
    assert backend.artifacts["artifacts/configs/net.json"] == b"mine"
    assert backend.artifacts["artifacts/artifacts/configs/net.json"] == b"mine"


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("model.pt", "model.pt"),
        ("log.txt.gz", "log.txt.gz"),
        ("my/configs/a.yaml", "my/configs/a.yaml"),
        ("artifacts/model.pt", "artifacts/model.pt"),
        ("log.txt", "artifacts/log.txt"),
        ("log.txt/below", "artifacts/log.txt/below"),
        ("configs", "artifacts/configs"),
        ("configs/deep/a.yaml", "artifacts/configs/deep/a.yaml"),
        ("tracelet", "artifacts/tracelet"),
        ("artifacts/log.txt", "artifacts/artifacts/log.txt"),
    ],
)
def test_only_what_is_in_the_way_is_moved(path: str, stored: str) -> None:
    assert free_path(path, OWN) == stored


@settings(deadline=None)
@given(PATHS, PATHS)
def test_no_two_artifacts_are_stored_under_one_name(one: str, other: str) -> None:
    assert (free_path(one, OWN) == free_path(other, OWN)) == (one == other)
