"""One script, all trackers at once: each has the same run, however the script has ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import training
from comparing import differences
from trackers import TRACKERS, Trackers, Training

import tracelet

EXIT_CODES = {"finished": 0, "failed": 1, "killed": -signal.SIGKILL}


@pytest.fixture(scope="module")
def runs(folder: Path, trackers: Trackers) -> dict[str, Path]:
    """The directory of a run for each ending; they run at the same time."""
    trainings = {
        ending: Training(
            folder / ending,
            trackers.settings(TRACKERS),
            ending,
            environment=trackers.environment(),
        )
        for ending in EXIT_CODES
    }
    trainings["killed"].wait_until_it_says("ready")
    trainings["killed"].process.kill()
    for ending, one in trainings.items():
        one.wait_until_delivered()
        assert one.process.returncode == EXIT_CODES[ending], one.output
    return {ending: one.run_dir for ending, one in trainings.items()}


@pytest.mark.parametrize("ending", EXIT_CODES)
@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_has_the_run_as_it_was_logged(
    trackers: Trackers, runs: dict[str, Path], name: str, ending: str
) -> None:
    assert not differences(trackers.read_back(name, runs[ending]), ending)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_files_called_like_those_of_the_backend_are_beside_them(
    trackers: Trackers, runs: dict[str, Path], name: str
) -> None:
    read = trackers.read_back(name, runs["finished"])
    assert read.configs["net"] == training.CONFIG
    for path in ("configs/net.json", "log.txt"):
        assert read.artifacts[f"artifacts/{path}"] == training.ARTIFACTS[path]


@pytest.mark.parametrize("ending", EXIT_CODES)
def test_the_report_of_each_tracker_is_complete(runs: dict[str, Path], ending: str) -> None:
    report = tracelet.load_run(runs[ending]).report
    assert set(report) == set(TRACKERS)
    assert report.complete
    assert {one.rejected for _, one in report.items()} == {0}
    assert len({one.accepted for _, one in report.items()}) == 1
