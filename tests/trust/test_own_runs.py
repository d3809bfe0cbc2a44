"""Which runs are one's own, and what that means for reading and delivering them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends_for_tests import Light, stored, target
from test_hostile_runs import snapshot
from user_scripts import TESTS

import tracelet
from tracelet.inner_path import InnerPath
from tracelet.journal.rundir import RunDir


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    (tmp_path / "model.txt").write_text("weights")
    exp = tracelet.start_logging(run_id="r", params={"lr": 0.1})
    exp.log_metric("loss", 0.5)
    exp.log_artifact("model.txt")
    exp.stop()
    assert exp.dir is not None
    return exp.dir


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def sync(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tracelet", "sync", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
    )


def read_all(run: tracelet.Run) -> None:
    assert run.params["lr"] == 0.1
    assert run.metrics["loss"]
    assert run.artifacts["model.txt"].read_text() == "weights"
    assert run.report is not None


def test_reading_a_finished_run_changes_nothing(finished: Path) -> None:
    before = snapshot(finished)
    read_all(tracelet.load_run(finished))
    assert [run.dir for run in tracelet.runs()] == [finished]
    assert snapshot(finished) == before
    (finished / "courier.lock").unlink()
    before = snapshot(finished)
    read_all(tracelet.load_run(finished))
    assert snapshot(finished) == before


def test_a_run_that_is_renamed_stays_ones_own_and_a_copy_is_not(
    finished: Path, tmp_path: Path
) -> None:
    moved = finished.rename(tmp_path / "moved")
    assert RunDir(moved).is_own
    copy = shutil.copytree(moved, tmp_path / "copy")
    assert not RunDir(copy).is_own
    with pytest.raises(tracelet.errors.ForeignRunError, match="sync --trust"):
        tracelet.load_run(copy).params.set(lr=1)


def test_the_key_is_readable_for_the_user_alone(finished: Path) -> None:
    key = Path(os.environ["XDG_STATE_HOME"], "tracelet/key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert RunDir(finished).is_own
    key.chmod(0o644)
    assert not RunDir(finished).is_own, "others may have read it"
    key.chmod(0o600)


def test_without_a_place_for_a_key_a_run_is_delivered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    options = {"light": {"store": str(tmp_path)}}
    exp = tracelet.start_logging(
        run_id="r", backend=target(Light), courier="process", backends=options
    )
    exp.log_metric("loss", 0.5)
    assert exp.stop(timeout=60)["light"].delivered == 1
    monkeypatch.delenv("TRACELET_INTERNAL_KEY")
    assert not RunDir(exp.dir).is_own  # type: ignore[arg-type]


def test_a_run_of_ones_own_from_elsewhere_is_delivered_where_it_says_once_it_is_trusted(
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    options = {"light": {"store": str(store)}}
    exp = tracelet.start_logging(
        run_id="r", backend=["local", target(Light)], courier="process", backends=options
    )
    exp.log_metric("loss", 0.5)
    exp.stop(timeout=60)
    assert exp.dir is not None
    copy = shutil.copytree(exp.dir, tmp_path / "elsewhere/default/r")
    (copy / "cursors/light.json").unlink()
    (store / "light.jsonl").unlink()

    refused = sync(copy)
    assert refused.returncode == 2
    assert "--backend" in refused.stderr, "the settings name no tracker"
    assert not (store / "light.jsonl").exists()

    done = sync("--trust", copy)
    assert done.returncode == 0, done.stderr
    assert f"goes to {target(Light)} (store={store})" in done.stderr.replace("\n", "")
    assert stored(store, Light.name, "metrics")
    assert sync(copy).returncode == 0, "from then on it is one's own"
    assert RunDir(copy).is_own


def test_a_run_with_a_link_in_it_is_not_trusted(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    (copy / "wandb").symlink_to(tmp_path)
    done = sync("--trust", copy)
    assert done.returncode == 2
    assert "wandb is a link" in done.stderr.replace("\n", "")


def test_a_run_of_others_goes_to_the_readers_backend_alone(finished: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    copy = shutil.copytree(finished, tmp_path / "download/default/r")
    before = snapshot(copy)
    environment = {"TRACELET_BACKENDS__LIGHT__STORE": str(store)}
    done = sync(copy, TRACELET_BACKEND=target(Light), **environment)
    assert done.returncode == 0, done.stderr
    assert "a run that was not made here" in done.stderr.replace("\n", " ")
    assert stored(store, Light.name, "metrics")
    assert stored(store, Light.name, "close") == ["finished"]
    assert snapshot(copy) == before
    again = sync(copy, TRACELET_BACKEND=target(Light), **environment)
    assert again.returncode == 0
    assert len(stored(store, Light.name, "metrics")) == 1, "nothing comes twice"


def test_files_follow_the_umask(tmp_path: Path, usual_umask: None) -> None:
    exp = tracelet.start_logging(run_id="r")
    exp.log_metric("loss", 0.5)
    (tmp_path / "a").write_text("a")
    exp.log_artifact("a")
    exp.stop()
    assert exp.dir is not None
    for file in exp.dir.rglob("*"):
        mode = stat.S_IMODE(file.stat().st_mode)
        assert not mode & 0o027, (file, oct(mode))
        if file.suffix == ".lock":
            assert mode == 0o640


def test_a_run_that_cannot_be_read_stops_nobody_and_is_named(
    finished: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(finished, finished.with_name("broken"))
    shutil.rmtree(copy / "journal")
    (copy / "run.json").write_text("{")
    command = [sys.executable, "-m", "tracelet", "runs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert " finished " in done.stdout
    assert sync().returncode == 1


def test_a_directory_that_is_none_is_an_error_to_read(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "runs")
    with pytest.raises(OSError, match="symbolic links"):
        tracelet.runs(dir=tmp_path / "runs")


def test_a_path_inside_a_directory_never_leaves_it(tmp_path: Path) -> None:
    for name in ("../x", "/x", "a/../../x", "", ".", "a\0"):
        with pytest.raises(tracelet.errors.UnsafePathError):
            _ = InnerPath(tmp_path) / name
    (tmp_path / "real").mkdir()
    root = tmp_path / "root"
    root.symlink_to(tmp_path / "real")
    (InnerPath(root) / "a/b").parent.mkdir()
    (InnerPath(root) / "a/b").replace(b"1")
    assert (tmp_path / "real/a/b").read_bytes() == b"1", "the directory itself may be a link"


def test_writing_to_one_of_several_names_leaves_the_other(tmp_path: Path) -> None:
    (tmp_path / "bashrc").write_text("alias")
    (tmp_path / "log").hardlink_to(tmp_path / "bashrc")
    with InnerPath(tmp_path, "log").appending() as file:
        file.write(b" more")
    assert (tmp_path / "bashrc").read_text() == "alias"
    assert (tmp_path / "log").read_text() == "alias more"
