"""Another tracker is another word in ``tracelet.toml``; the script stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparing import differences
from trackers import SCRIPT, TRACKERS, Trackers, Training


@pytest.mark.parametrize("name", TRACKERS)
def test_the_same_script_logs_the_same_to_the_tracker_that_the_word_names(
    folder: Path, trackers: Trackers, name: str
) -> None:
    settings = trackers.settings(name)
    others = trackers.settings("null").splitlines()
    assert [line for line in settings.splitlines() if line not in others] == [f'backend = "{name}"']
    training = Training(folder / name, settings, "finished", environment=trackers.environment())
    training.wait_until_delivered()
    assert training.process.returncode == 0, training.output
    assert (training.directory / "train.py").read_bytes() == SCRIPT.read_bytes()
    assert not differences(trackers.read_back(name, training.run_dir), "finished")
