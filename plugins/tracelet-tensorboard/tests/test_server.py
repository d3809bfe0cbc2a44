"""What the default TensorBoard server answers about runs, while they run and after."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import wait_for
from serving import Server, serve
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from tracelet.core.experiment import Experiment

Start = Callable[..., Experiment]


def hparams_of(server: Server, run_id: str | None) -> Any:
    """Return the parameters, final metrics and status that the hparams page shows of a run."""
    for group in server.hparams():
        if group["name"] == run_id:
            metrics = {
                one["name"]["tag"]: (one["value"], one["trainingStep"])
                for one in group["metricValues"]
            }
            return group["hparams"], metrics, group["sessions"][0]["status"]
    return None


def test_a_running_run_is_followed_and_so_is_the_same_run_when_it_goes_on(
    start: Start, log_dir: Path
) -> None:
    exp = start(params={"lr": 0.1})
    assert exp.run_id is not None
    exp.log_metric("loss", 0.5, iteration=0)
    assert exp.flush(60)
    with serve(log_dir) as server:
        wait_for(lambda: server.scalars(exp.run_id, "loss") == [(0, 0.5)])
        exp.log_metric("loss", 0.25, iteration=1)
        exp.stop()
        wait_for(lambda: hparams_of(server, exp.run_id))
        again = start(resume=exp.run_id)
        for iteration in range(2, 50):
            again.log_metric("loss", 0.125, iteration=iteration)
        again.stop()

        expected = [(0, 0.5), (1, 0.25), *((iteration, 0.125) for iteration in range(2, 50))]
        wait_for(lambda: server.scalars(exp.run_id, "loss") == expected)


def test_the_hparams_page_has_the_last_parameters_and_metrics_of_a_run(
    start: Start, log_dir: Path
) -> None:
    exp = start(params={"lr": 0.1, "name": "adam", "list": [1, 2]})
    exp.log_metric("loss", 0.5, iteration=0)
    exp.stop("failed")
    again = start(resume=exp.run_id)
    again.log_params(lr=0.2)
    again.log_metric("loss", 0.25, iteration=7)
    again.stop()

    with serve(log_dir) as server:
        found = wait_for(lambda: hparams_of(server, exp.run_id))
    params = {"lr": 0.2, "name": "adam", "list": "[1, 2]"}
    assert found == (params, {"loss": (0.25, 7)}, "STATUS_SUCCESS")


def test_a_run_with_nan_does_not_break_the_page_for_the_others(start: Start, log_dir: Path) -> None:
    with start(params={"lr": math.nan, "limit": math.inf}) as diverged:
        diverged.log_metric("loss", math.nan, iteration=3)
    with start(params={"lr": 0.1}) as other:
        other.log_metric("loss", 0.5, iteration=3)

    with serve(log_dir) as server:
        wait_for(lambda: hparams_of(server, diverged.run_id))
        found = wait_for(lambda: hparams_of(server, other.run_id))
        assert found == ({"lr": 0.1}, {"loss": (0.5, 3)}, "STATUS_SUCCESS")
        params, metrics, _ = hparams_of(server, diverged.run_id)
        assert params == {"lr": "NaN", "limit": "Infinity"}
        assert metrics == {"loss": ("NaN", 3)}


def test_each_run_is_one_run_and_no_dashboard_lists_the_private_tags(
    start: Start, log_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("content")
    runs = set()
    for number in range(2):
        with start(params={"lr": number}) as exp:
            exp.log_metric("loss", 0.5)
            exp.log_metric("loss", 0.5, iteration=1, axis="epoch")
            exp.log_artifact(tmp_path / "file", "deep/er/file")
        runs.add(exp.run_id)

    with serve(log_dir) as server:
        scalars = wait_for(
            lambda: len(tags := server.get("plugin/scalars/tags")) == len(runs) and tags
        )
        assert set(scalars) == runs
        assert all(set(tags) == {"loss", "loss [epoch]"} for tags in scalars.values())
        assert set(server.get("runs")) == runs
        texts = server.get("plugin/text/tags")
        assert {tag.partition("/")[0] for tags in texts.values() for tag in tags} == {"tracelet"}


def test_the_default_server_hides_what_comes_before_a_step_back(
    start: Start, log_dir: Path
) -> None:
    # Declared: the file has all of it, and the server with --load_fast=false shows it.
    with start() as exp:
        for iteration in (5, 3, 5, 5, 1, 2):
            exp.log_metric("loss", 0.5, iteration=iteration)

    with serve(log_dir) as server:
        found = wait_for(lambda: server.scalars(str(exp.run_id), "loss"))
    assert [step for step, _ in found] == [1, 2]
    # What the server reads with when that is given:
    slow = EventMultiplexer().AddRunsFromDirectory(str(log_dir)).Reload()
    assert [event.step for event in slow.Tensors(exp.run_id, "loss")] == [5, 3, 5, 5, 1, 2]
