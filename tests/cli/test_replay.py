"""``tracelet replay``."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backends_for_tests import Down, Light, Recorder, stored, stored_points, target
from user_scripts import courier_processes
from waiting import eventually

import tracelet
from tracelet.courier.cursor import CursorFile

Cli = Callable[..., Any]


def log(tmp_path: Path, points: int = 10) -> tracelet.Run:
    weights = tmp_path / "weights.txt"
    weights.write_text("weights")
    with tracelet.start_logging("replayed", params={"lr": 0.1}, tags={"team": "ml"}) as exp:
        for iteration in range(points):
            exp.log_metric("loss", 0.5, iteration=iteration)
        exp.log_artifact(weights)
    assert exp.dir is not None
    return tracelet.load_run(exp.dir)


def store(name: str, directory: Path) -> dict[str, str]:
    return {f"TRACELET_BACKENDS__{name}__STORE": str(directory)}


def test_a_finished_run_is_delivered_to_another_backend(cli: Cli, tmp_path: Path) -> None:
    run = log(tmp_path)

    done = cli("replay", run.run_id, "--backend", target(Recorder), **store("RECORDER", tmp_path))

    assert done.code == 0, done.err
    assert "recorder  13 of 13 delivered" in done.out
    assert stored_points(tmp_path, "recorder") == list(range(10))
    assert stored(tmp_path, "recorder", "params") == [{"lr": 0.1}]
    assert stored(tmp_path, "recorder", "artifact") == [["weights.txt", "weights"]]
    assert stored(tmp_path, "recorder", "close") == ["finished"]


def test_the_backend_belongs_to_the_run_from_then_on(cli: Cli, tmp_path: Path) -> None:
    run = log(tmp_path)
    cli("replay", run.run_id, "--backend", target(Light), **store("LIGHT", tmp_path))

    again = tracelet.load_run(run.dir)

    assert again.backends == ["local", "light"]
    assert again.report.complete
    assert again.links["light"].id == f"light-{run.run_id}"
    assert again.status == "finished"
    assert again.ended == run.ended
    view = msgspec.json.decode((run.dir / "run.json").read_bytes())
    assert view["backends"] == ["local", "light"]
    assert view["report"]["backends"]["light"]["delivered"] == 13
    assert cli("runs", "--json").json[0]["report"]["backends"]["light"]["pending"] == 0


def test_replaying_twice_delivers_once(cli: Cli, tmp_path: Path) -> None:
    run = log(tmp_path)
    arguments = ("replay", run.dir, "--backend", target(Recorder))
    cli(*arguments, **store("RECORDER", tmp_path))

    again = cli(*arguments, **store("RECORDER", tmp_path))

    assert again.code == 0
    assert "has 'recorder' already; it gets only what is pending" in again.err
    assert stored_points(tmp_path, "recorder") == list(range(10))
    assert stored(tmp_path, "recorder", "open") == [False]


def test_what_cannot_be_delivered_now_sync_delivers_later(cli: Cli, tmp_path: Path) -> None:
    run = log(tmp_path)
    gate = tmp_path / "gate"
    environment = {
        **store("DOWN", tmp_path),
        "TRACELET_BACKENDS__DOWN__GATE": str(gate),
        "TRACELET_BACKENDS__DOWN__API_KEY": "abc123secret",
    }

    done = cli(
        "replay", run.run_id, "--backend", target(Down), "--timeout", 0.5, "--json", **environment
    )

    assert done.code == 1
    assert done.json["outcome"] == "pending"
    assert done.json["report"]["backends"]["down"]["pending"] > 0
    journal = b"".join(file.read_bytes() for file in (run.dir / "journal").glob("*.jsonl"))
    assert b"abc123secret" not in journal

    gate.touch()
    synced = cli("sync")  # with the options that the run has kept

    assert synced.code == 0, synced.err
    assert stored_points(tmp_path, "down") == list(range(10))


def test_a_resumed_run_goes_on_in_the_added_backend(cli: Cli, tmp_path: Path) -> None:
    run = log(tmp_path)
    environment = store("RECORDER", tmp_path)
    cli("replay", run.run_id, "--backend", target(Recorder), **environment)

    with tracelet.start_logging("replayed", resume=run.run_id) as exp:
        exp.log_metric("loss", 0.1, iteration=10)
    synced = cli("sync")

    assert synced.code == 0, synced.err
    assert stored_points(tmp_path, "recorder") == list(range(11))
    assert stored(tmp_path, "recorder", "close") == ["finished", "finished"]


def test_mistakes_are_one_line_and_change_nothing(cli: Cli, tmp_path: Path) -> None:
    run = log(tmp_path)
    mistakes = {
        "recorde": "unknown backend 'recorde'",
        "memory": "lives in the process of the training",
        "backends_for_tests:Nothing": "cannot be loaded",
    }

    for backend, message in mistakes.items():
        done = cli("replay", run.run_id, "--backend", backend)
        assert (done.code, done.out) == (2, "")
        assert len(done.err.splitlines()) == 1
        assert message in done.err
    (tmp_path / "mine.py").write_text(
        "from tracelet.backends.local import LocalBackend\n"
        "class Mine(LocalBackend):\n    name = 'mine'\n"
    )
    done = cli("replay", run.run_id, "--backend", "mine:Mine", **store("MINE", tmp_path))

    assert done.code == 2
    assert "backends.mine.store is not an option" in done.err
    assert tracelet.load_run(run.dir).backends == ["local"]


def test_a_running_run_is_not_replayed(cli: Cli, tmp_path: Path) -> None:
    with tracelet.start_logging("running") as exp:
        done = cli("replay", exp.run_id, "--backend", "null")

    assert done.code == 2
    assert "is running; replay it when it has ended" in done.err
    assert tracelet.load_run(exp.dir).backends == ["local"]


def test_a_run_whose_courier_lingers_is_replayed_when_that_has_ended_as_the_message_says(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUICK_RETRIES", "1")
    options = {"store": str(tmp_path), "gate": str(tmp_path / "gate")}
    exp = tracelet.start_logging("late", backend=target(Down), backends={"down": options})
    exp.log_metric("loss", 0.5, iteration=0)
    eventually(lambda: CursorFile(exp.dir / "cursors", "down").load().health == "degraded")
    exp.stop(wait=False)

    refused = cli("replay", exp.run_id, "--backend", "null")

    assert refused.code == 2
    assert "is being delivered; replay it afterwards" in refused.err
    (pid,) = re.findall(r"; kill (\d+) ends that", refused.err)
    os.kill(int(pid), signal.SIGTERM)
    eventually(lambda: not courier_processes(exp.dir))
    assert cli("replay", exp.run_id, "--backend", "null").code == 0


def test_another_backend_of_the_same_name_is_refused(cli: Cli, tmp_path: Path) -> None:
    run = log(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from backends_for_tests import Recorder\nclass Mine(Recorder):\n    name = 'local'\n"
    )

    done = cli("replay", run.run_id, "--backend", "mine:Mine")

    assert done.code == 2
    assert "has another backend called 'local'" in done.err
