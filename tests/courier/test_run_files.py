"""Files about a run itself: in every tracker, beside what the program logs and not among it."""

from __future__ import annotations

from pathlib import Path

from user_scripts import Script, run_script
from waiting import eventually

import tracelet
from tracelet.backends.memory import MemoryBackend

FILE = "tracelet/packages.txt"


def test_a_tracker_gets_them_and_they_count_as_nothing_that_was_logged() -> None:
    backend = MemoryBackend()
    with tracelet.start_logging(backend=[backend, "local"]) as exp:
        exp.log_metric("loss", 0.5, 0)
    assert exp.dir is not None
    assert exp.report is not None
    assert backend.artifacts == {FILE: (exp.dir / FILE).read_bytes()}
    assert {name: one.accepted for name, one in exp.report.items()} == {"memory": 1, "local": 1}
    assert not tracelet.load_run(exp.dir).artifacts
    assert not (exp.dir / "artifacts").exists()


def test_a_file_of_the_user_never_takes_their_place(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    backend = MemoryBackend()
    with tracelet.start_logging(backend=backend) as exp:
        exp.log_artifact("mine.txt", FILE)
    assert exp.dir is not None
    assert backend.artifacts[f"artifacts/{FILE}"] == b"mine"
    assert backend.artifacts[FILE] == (exp.dir / FILE).read_bytes()
    assert tracelet.load_run(exp.dir).artifacts[FILE].read_bytes() == b"mine"


def test_a_run_that_is_delivered_later_has_them_too(tmp_path: Path) -> None:
    """Through the courier's own process, and after the program was killed."""
    text = """
        import os, tracelet
        exp = tracelet.start_logging(run_id="r", backend="null", courier="process")
        exp.log_metric("loss", 0.5, 0)
        os.kill(os.getpid(), 9)
    """
    assert Script(tmp_path, text).wait() == -9
    run = tmp_path / ".tracelet" / "default" / "r"
    eventually(lambda: tracelet.load_run(run).status == "killed")
    added = """
        import sys, tracelet
        from tracelet.backends.memory import MemoryBackend
        backend = MemoryBackend()
        exp = tracelet.start_logging(resume="r", backend=backend, capture=False)
        exp.stop()
        print(*backend.artifacts)
    """
    assert FILE in run_script(tmp_path, added)
