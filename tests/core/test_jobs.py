"""A run that began in a job of a launcher ends with that job, as what the job has raised says."""

from __future__ import annotations

import pytest

import tracelet
from tracelet.capture.jobs import Job


def test_runs_end_with_their_jobs() -> None:
    with Job(ends_runs=True):
        first = tracelet.start_logging(run_id="first")
        first.log_metric("loss", 1)
    assert (first.status, tracelet.load_run("first").status) == ("finished", "finished")

    def fail() -> None:
        with Job(ends_runs=True):
            tracelet.start_logging(run_id="second").log_metric("loss", 2)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    second = tracelet.load_run("second")
    assert (second.status, second.reason) == ("failed", "ValueError: no")
    with Job(ends_runs=True):
        tracelet.start_logging(run_id="third").stop("killed")
    assert tracelet.load_run("third").status == "killed"
    outside = tracelet.start_logging(run_id="outside")
    with Job(ends_runs=True):
        pass
    assert outside.status == "running"
