"""Each configuration of a sweep is a run of its group, in every tracker."""

from __future__ import annotations

from pathlib import Path

import sweeping
from trackers import TRACKERS, Trackers, Training, wait_for

import tracelet


def test_every_tracker_has_a_run_of_the_group_for_each_configuration(
    folder: Path, trackers: Trackers
) -> None:
    script = Path(sweeping.__file__)
    settings = trackers.settings(TRACKERS)
    training = Training(
        folder / "sweep", settings, environment=trackers.environment(), script=script
    )
    assert training.wait() == 0, training.output

    runs = tracelet.runs(sweeping.PROJECT, dir=training.directory / "runs")
    configs = sorted((run.params["lr"], run.params["depth"]) for run in runs)
    assert configs == [(lr, depth) for lr in (0.1, 0.2) for depth in (2, 3)]
    for run in runs:
        lr, depth = run.params["lr"], run.params["depth"]
        wait_for(lambda run=run: tracelet.load_run(run.dir).report.complete)
        for name in TRACKERS:
            read = trackers.read_back(name, run.dir)
            assert read.params == {"lr": lr, "depth": depth}, name
            assert [point.value for point in read.points] == sweeping.losses(lr, depth), name
            assert read.group == sweeping.NAME, name
            assert read.status == ("failed" if sweeping.fails(lr, depth) else "finished"), name
            assert read.runs == 1, name
