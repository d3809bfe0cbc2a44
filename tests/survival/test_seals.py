"""Damage of a finished run is noticed: nothing that was cut, changed or deleted looks whole."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from user_scripts import Script, run_script
from waiting import eventually

import tracelet
from tracelet import DamageWarning
from tracelet.courier.cursor import CursorFile
from tracelet.errors import RunNotFoundError
from tracelet.journal.rundir import RunDir

POINTS = 200


def logged(**settings: object) -> RunDir:
    with tracelet.start_logging(run_id="r", params={"lr": 0.1}, **settings) as exp:  # type: ignore[arg-type]
        for iteration in range(POINTS):
            exp.log_metric("loss", iteration / 7)
        exp.log_params(long="x" * 100_000)  # its line is in a blob
        Path("model.bin").write_bytes(b"m" * 1000)
        exp.log_artifact("model.bin", "models/model.bin")
    assert exp.dir is not None
    return RunDir(exp.dir)


def segment(run_dir: RunDir) -> Path:
    (found,) = run_dir.journal.path.glob("*.jsonl")
    return found


def changed(file: Path) -> None:
    content = file.read_bytes().replace(b'"loss",0.0,', b'"loss",5.0,', 1)
    file.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda file: os.truncate(file, file.stat().st_size - 300), "was cut: it has"),
    "emptied": (lambda file: os.truncate(file, 0), "was cut: it has 0 of"),
    "changed": (changed, "was changed"),
    "grown": (
        lambda file: file.write_bytes(file.read_bytes() + file.read_bytes().splitlines(True)[-2]),
        "bytes that were added after the end",
    ),
    "deleted": (Path.unlink, "is missing, with its"),
}


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize("damage", [name for name in DAMAGES if name not in ("emptied", "deleted")])
def test_a_damaged_segment_is_in_the_report_and_warned_of(damage: str, courier: str) -> None:
    run_dir = logged(courier=courier)
    harm, says = DAMAGES[damage]
    harm(segment(run_dir))
    with pytest.warns(DamageWarning, match=says):
        run = tracelet.load_run("r")
    report = run.report
    assert says in report.damaged[0]
    assert not report.complete
    assert says in str(report)


@pytest.mark.parametrize("damage", ["emptied", "deleted"])
def test_a_run_whose_beginning_is_gone_says_what_is_missing(damage: str) -> None:
    run_dir = logged()
    harm, says = DAMAGES[damage]
    harm(segment(run_dir))
    with pytest.raises(RunNotFoundError, match=says):
        tracelet.load_run("r")


def test_a_deleted_journal_is_said_with_what_was_in_it() -> None:
    run_dir = logged()
    shutil.rmtree(run_dir.journal.path)
    with pytest.raises(RunNotFoundError, match=r"\.jsonl is missing, with its 20\d lines"):
        tracelet.load_run("r")


def test_one_of_several_segments_is_missed(tmp_path: Path) -> None:
    text = """
    import subprocess, sys, tracelet
    exp = tracelet.start_logging(run_id="r")
    if len(sys.argv) == 1:
        exp.log_metric("parent", 1)
        subprocess.run([sys.executable, __file__, "child"], check=True)
    else:
        exp.log_metric("child", 2)
    exp.stop()
    """
    run_script(tmp_path, text)
    run_dir = RunDir(tmp_path / ".tracelet/default/r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(tracelet.load_run(run_dir.path).metrics) == {"parent", "child"}
    (child,) = (file for file in run_dir.journal.path.iterdir() if b'"child"' in file.read_bytes())
    child.unlink()
    with pytest.warns(DamageWarning, match=f"{child.name} is missing, with its 1 lines"):
        run = tracelet.load_run(run_dir.path)
    assert set(run.metrics) == {"parent"}
    assert not run.report.complete


@pytest.mark.parametrize("place", ["artifact", "line"])
@pytest.mark.parametrize("damage", ["changed", "cut", "deleted"])
def test_a_damaged_blob_is_noticed(place: str, damage: str) -> None:
    run_dir = logged()
    digests = {size: digest for digest, size in run_dir.blobs.sizes().items()}
    digest = digests[1000] if place == "artifact" else digests[max(digests)]
    blob = run_dir.blobs.path(digest)
    blob.chmod(0o600)
    if damage == "deleted":
        blob.unlink()
        shutil.rmtree(run_dir.path / "artifacts")
    elif damage == "cut":
        os.truncate(blob, 900)
    else:
        blob.write_bytes(b"?" + blob.read_bytes()[1:])
    if damage != "changed":
        with pytest.warns(DamageWarning, match=digest):
            run = tracelet.load_run("r")
        assert digest in run.report.damaged[0]
    else:
        run = tracelet.load_run("r")
    if place == "line":
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            assert "long" not in run.params
        assert any("a record is left out" in str(one.message) for one in warned)
        assert any("a record is left out" in one for one in run.report.damaged)
        return
    if damage == "changed":
        with pytest.warns(DamageWarning, match=r"'models/model\.bin' is not what was logged"):
            assert run.artifacts["models/model.bin"].exists()


def test_a_changed_seal_is_noticed() -> None:
    run_dir = logged()
    file = run_dir.path / "seals.json"
    file.write_text(file.read_text().replace('"lines":2', '"lines":3', 1))
    with pytest.warns(DamageWarning, match=r"seals\.json is damaged"):
        run = tracelet.load_run("r")
    assert len(run.metrics["loss"]) == POINTS
    assert not run.report.complete


def test_a_run_without_seals_is_read_and_sealed() -> None:
    """As one of an older version."""
    run_dir = logged()
    before = (run_dir.path / "seals.json").read_bytes()
    (run_dir.path / "seals.json").unlink()
    assert tracelet.load_run("r").report.complete
    assert (run_dir.path / "seals.json").read_bytes() == before


def test_a_compressed_segment_has_its_seal_still() -> None:
    run_dir = logged()
    file = segment(run_dir)
    content = file.read_bytes()
    packed = file.with_name(f"{file.name}.gz")
    packed.write_bytes(gzip.compress(content))
    file.unlink()
    assert tracelet.load_run("r").report.complete
    packed.write_bytes(gzip.compress(content.replace(b'"loss",0.0,', b'"loss",5.0,', 1)))
    with pytest.warns(DamageWarning, match="was changed"):
        tracelet.load_run("r")


def test_what_is_added_later_is_sealed_too() -> None:
    run_dir = logged()
    run = tracelet.load_run("r")
    run.set_user_properties({"late": 1})
    del run
    with tracelet.start_logging(resume="r") as exp:
        exp.log_metric("loss", 1.0)
    assert tracelet.load_run("r").report.complete
    seals = msgspec.json.decode((run_dir.path / "seals.json").read_bytes())
    assert set(seals["segments"]) == {file.stem for file in run_dir.journal.path.glob("*.jsonl")}
    assert len(seals["segments"]) == 3


def test_a_segment_is_sealed_when_the_last_fork_that_holds_it_is_gone(tmp_path: Path) -> None:
    text = """
    import os, pathlib, time, tracelet
    exp = tracelet.start_logging(run_id="r")
    exp.log_metric("loss", 1)
    if (child := os.fork()) == 0:
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        os._exit(0)
    exp.stop()
    print(child, flush=True)
    os._exit(0)
    """
    child = int(run_script(tmp_path, text).split()[-1])
    run_dir = RunDir(tmp_path / ".tracelet/default/r")
    assert tracelet.load_run(run_dir.path).report.complete
    assert not (run_dir.path / "seals.json").exists()
    (tmp_path / "go").touch()
    eventually(lambda: not Path(f"/proc/{child}").exists())
    assert tracelet.load_run(run_dir.path).report.complete
    assert (run_dir.path / "seals.json").exists()


def test_a_killed_run_is_sealed_by_its_courier(tmp_path: Path) -> None:
    text = """
    import os, tracelet
    exp = tracelet.start_logging(run_id="r", courier="process")
    exp.log_metric("loss", 1)
    exp.flush()
    os.kill(os.getpid(), 9)
    """
    assert Script(tmp_path, text).wait() == -signal.SIGKILL
    assert eventually((tmp_path / ".tracelet/default/r/seals.json").exists)


def test_contents_that_were_removed_on_purpose_are_not_missed() -> None:
    from tracelet.core.keeping import remove_contents

    run_dir = logged()
    remove_contents(run_dir)
    run = tracelet.load_run("r")
    assert run.report.complete
    assert run.params["long"] == "x" * 100_000


def test_full_segments_are_sealed_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    writer = run_dir.writer(segment_bytes=1000)
    for iteration in range(100):
        writer.append_lines(b'["metric",1.0,"loss",0.5,%d]\n' % iteration, 1, 1.0)
    run_dir.seals.seal(ended=False)
    segments = {file.stem for file in run_dir.journal.path.glob("*.jsonl")}
    sealed = msgspec.json.decode((run_dir.path / "seals.json").read_bytes())["segments"]
    assert len(sealed) == len(segments) - 1 > 1
    run_dir.seals.seal(ended=True)
    assert (
        len(msgspec.json.decode((run_dir.path / "seals.json").read_bytes())["segments"])
        == len(segments) - 1
    ), "it is still being written"
    writer.close()
    run_dir.seals.seal(ended=True)
    assert run_dir.seals.damage(contents=True) == []
    sealed = msgspec.json.decode((run_dir.path / "seals.json").read_bytes())["segments"]
    assert set(sealed) == segments


# ------------------------------------------------------------------------------------ the cursors


def test_a_cursor_that_was_changed_is_not_believed() -> None:
    run_dir = logged()
    file = CursorFile(run_dir.cursors, "local")
    cursor = file.file.read_bytes()
    file.file.path.write_bytes(cursor.replace(b'"delivered":20', b'"delivered":90', 1))
    assert file.is_damaged
    assert file.load().link is not None
    report = tracelet.load_run("r").report
    assert report["local"].delivered == POINTS + 3
    assert not file.is_damaged
    assert (run_dir.path / "metrics.jsonl").read_bytes().count(b"\n") == POINTS


def test_a_cursor_beyond_the_end_is_said_and_what_is_new_is_delivered() -> None:
    """The journal of a run that goes on is cut, as a disk may do it when the machine goes down."""
    exp = tracelet.start_logging(run_id="r")
    for iteration in range(POINTS):
        exp.log_metric("loss", iteration)
    assert exp.flush(60)
    assert exp.dir is not None
    run_dir = RunDir(exp.dir)
    file = segment(run_dir)
    os.truncate(file, file.stat().st_size // 2)
    for iteration in range(50):
        exp.log_metric("new", iteration)
    report = exp.stop()
    lines = (run_dir.path / "metrics.jsonl").read_bytes().splitlines()
    # The first new line may be the rest of the line that was cut.
    assert len([line for line in lines if b'"new"' in line]) in (49, 50)
    assert len([line for line in lines if b'"loss"' in line]) == POINTS, "nothing twice"
    assert "was cut" in report.damaged[0]


def test_what_was_delivered_before_a_dead_run_was_cut_is_not_delivered_again() -> None:
    run_dir = logged()
    (run_dir.path / "seals.json").unlink()
    file = segment(run_dir)
    lines = file.read_bytes().splitlines(True)
    file.write_bytes(b"".join([*lines[:100], lines[-1]]))
    with tracelet.start_logging(resume="r") as exp:
        exp.log_metric("new", 1)
    lines = (run_dir.path / "metrics.jsonl").read_bytes().splitlines()
    assert len([line for line in lines if b'"loss"' in line]) == POINTS
    assert len([line for line in lines if b'"new"' in line]) == 1
    assert exp.report is not None
    assert "was cut" in exp.report.damaged[0]


def test_a_cursor_that_stays_beyond_the_end_is_in_the_report() -> None:
    run_dir = logged()
    (run_dir.path / "seals.json").unlink()
    file = segment(run_dir)
    lines = file.read_bytes().splitlines(True)
    file.write_bytes(b"".join([lines[0], lines[-1]]))
    with pytest.warns(DamageWarning, match="was cut: local has had more of it"):
        assert not tracelet.load_run("r").report.complete


@pytest.mark.parametrize("position", ["[-1,0]", "[0,-1]", "[0,9999999999999999]", "[1e300,0]"])
def test_no_number_in_a_cursor_makes_a_reader_hang(position: str) -> None:
    run_dir = logged()
    file = CursorFile(run_dir.cursors, "local").file.path
    text = file.read_bytes()
    cursor = msgspec.json.decode(text)
    cursor.pop("check")  # as an older version would have written it
    cursor["position"] = {name: msgspec.Raw(position.encode()) for name in cursor["position"]}
    file.write_bytes(msgspec.json.encode(cursor))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        run = tracelet.load_run("r")
        assert len(run.metrics["loss"]) == POINTS
        report = run.report
    assert report["local"].delivered == POINTS + 3
    assert position != "[0,9999999999999999]" or report.damaged
