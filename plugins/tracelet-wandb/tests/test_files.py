"""The files of a run in W&B: artifacts and facts of the training, and nothing of the SDK's own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from conftest import finished, run_below
from wandb_reader import records, runs_below

import tracelet
from tracelet.core.experiment import Experiment
from tracelet_wandb.backend import WandbBackend

Start = Callable[..., Experiment]


@pytest.fixture
def start(start: Start) -> Start:
    """Start a run that a thread delivers: a process would import the SDK anew each time."""
    return partial(start, courier="thread")


def test_artifacts_are_files_of_the_run_and_one_artifact(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    exp = start()
    paths = ["models/a.pt", "odd/[x]*?.txt", "config.yaml", "media/x", "artifacts/config.yaml"]
    for path in [*paths, "models/a.pt"]:
        (tmp_path / "content").write_text(f"{path} {len(list(tmp_path.glob('*')))}")
        exp.log_artifact(tmp_path / "content", path)
    finished(exp)
    run = run_below(folder)
    assert run.artifacts == 1
    assert set(run.contents()) == set(paths)
    assert (run.file.parent / "files/models/a.pt").read_bytes() == run.contents()["models/a.pt"]
    assert run.manifest["config.yaml"][0] == run.file.parent / "files/artifacts/config.yaml"
    copies = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not [path for path in copies if b"models/a.pt" in path.read_bytes()]


def test_an_artifact_and_a_configuration_object_can_have_one_name(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.json").write_text("mine")
    exp = start()
    exp.log_artifact(tmp_path / "net.json", "configs/net.json")
    exp.connect_configuration({"depth": 18}, name="net")
    exp.log_artifact(tmp_path / "net.json", "tags.json")  # W&B has a place for tags
    assert exp.stop()["wandb"].adjusted == 1
    contents = run_below(folder).contents()
    assert contents["artifacts/configs/net.json"] == contents["tags.json"] == b"mine"
    assert json.loads(contents["configs/net.json"]) == {"depth": 18}


def test_the_later_content_of_a_destination_wins(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    exp = start()
    for content in ("first", "second"):
        (tmp_path / "file").write_text(content)
        exp.log_artifact(tmp_path / "file", "out.txt")
    finished(exp)
    assert run_below(folder).contents() == {"out.txt": b"second"}


def test_the_sdk_adds_nothing_of_the_process_that_delivers(start: Start, folder: Path) -> None:
    exp = start(courier="process")
    exp.log_metric("loss", 1.0, 0)
    finished(exp)
    run = run_below(folder)
    kinds = {record.WhichOneof("record_type") for record in records(run.file)}
    assert kinds <= {
        "header", "run", "telemetry", "metric", "config", "history", "summary", "files", "exit"
    }  # fmt: skip
    files = {path.name for path in (run.file.parent / "files").rglob("*") if path.is_file()}
    assert files == {"wandb-metadata.json"}
    metadata = json.loads((run.file.parent / "files/wandb-metadata.json").read_text())
    assert metadata["program"] == sys.argv[0]
    assert metadata["pid"] == os.getpid()
    assert "courier" not in json.dumps(metadata)
    assert run.run.host == metadata["host"]
    assert not run.run.git.commit


def test_program_git_and_process_are_those_of_the_training(tmp_path: Path, folder: Path) -> None:
    git = {"commit": "c0ffee", "remote": "https://host/repo", "branch": "main"}
    facts = {"argv": ["train.py", "--lr", "1"], "pid": 4711, "host": "node-7", "git": git}
    run = tracelet.RunInfo(
        run_id="r", name="r", project="p", dir=str(tmp_path), started=1.7e9, facts=facts
    )
    backend = WandbBackend(mode="offline", dir=folder)
    backend.open(run)
    assert backend.native.settings.program == "train.py"
    assert backend.native.settings.x_stats_pid == 4711
    backend.close("finished")
    read = run_below(folder)
    assert (read.run.git.commit, read.run.git.remote_url) == ("c0ffee", "https://host/repo")
    assert read.run.host == "node-7"
    shown = json.loads((read.file.parent / "files/wandb-metadata.json").read_text())
    assert (shown["program"], shown["args"], shown["pid"]) == ("train.py", ["--lr", "1"], 4711)
    assert shown["git"] == {"commit": "c0ffee", "remote": "https://host/repo"}


def test_a_run_is_in_its_own_directory_unless_told(start: Start, tmp_path: Path) -> None:
    exp = start(options={"dir": None})
    finished(exp)
    (run,) = runs_below(tmp_path)
    assert exp.dir in run.file.parents
    assert run.file.parents[1].name == "wandb"
    assert not list((tmp_path / "home").glob("wandb*"))


def test_disabled_writes_nothing_anywhere(
    start: Start, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    exp = start(courier="process", options={"mode": "disabled"}, params={"lr": 1})
    exp.log_metric("loss", 1.0, 0)
    (tmp_path / "file").write_text("x")
    exp.log_artifact(tmp_path / "file", "x")
    finished(exp)
    found = [path for path in [*folder.rglob("*"), *temporary.rglob("*")] if path.is_file()]
    assert not found


def test_other_runs_in_the_folder_are_left_alone(start: Start, folder: Path) -> None:
    finished(start(run_id="same", project="one", params={"of": "one"}))
    finished(start(run_id="same", project="two", params={"of": "two"}))
    foreign = folder / "wandb/offline-run-20200101_000000-same/run-same.wandb"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"of somebody else")
    finished(start(run_id="same", project="two", resume="same", params={"of": "again"}))
    assert foreign.read_bytes() == b"of somebody else"
    foreign.unlink()
    found = {run.own["project"]: run.params() for run in runs_below(folder)}
    assert found == {"one": {"of": "one"}, "two": {"of": "again"}}
    assert len(runs_below(folder)) == 2
