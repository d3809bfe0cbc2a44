"""A file that a backend writes itself never takes the place of a user's of the same name."""

from __future__ import annotations

from pathlib import Path

import tracelet
from tracelet.backends.base import Backend
from tracelet.backends.memory import MemoryBackend


class Small(MemoryBackend):
    """A tracker without a place for the log: it is an artifact among the others."""

    name = "small"
    own_files = Backend.own_files
    log_text = Backend.log_text


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
