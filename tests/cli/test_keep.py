"""``du``, ``rm`` and ``prune`` on real runs: what is shown is what is removed, and no more."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from user_scripts import Script
from waiting import eventually

import tracelet
from tracelet.journal.checked import with_check

Cli = Callable[..., Any]
CONTENT = b"w" * 300_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def log(run_id: str, status: Any = "finished", **settings: Any) -> Path:
    exp = tracelet.start_logging("net", run_id=run_id, **settings)
    exp.log_metric("loss", 0.5)
    exp.log_params(long="x" * 100_000)  # its line is kept in a blob
    Path("weights.bin").write_bytes(CONTENT)
    exp.log_artifact("weights.bin", "models/weights.bin")
    exp.stop(status)
    assert exp.dir is not None
    return exp.dir


def change_view(run_dir: Path, old: str, new: str) -> None:
    """Write another ``run.json``, as tracelet itself would have written it."""
    file = run_dir / "run.json"
    text, _, _ = file.read_text().replace(old, new).rpartition(',\n  "check"')
    file.write_bytes(with_check(f"{text}\n}}".encode()))


def test_du_counts_each_content_once(cli: Cli) -> None:
    log("small")
    big = log("big")
    Path("other.bin").write_bytes(CONTENT + b"x")
    with tracelet.start_logging(resume="big") as exp:
        exp.log_artifact("weights.bin", "models/again.bin")  # the same content
        exp.log_artifact("other.bin")

    first, second = cli("du", "--json").json
    assert (first["dir"], second["dir"]) == (str(big), str(big.with_name("small")))
    assert 600_000 < first["contents"] < 750_000
    assert 300_000 < second["contents"] < 450_000
    on_disk = {(one.stat().st_ino): one.lstat().st_size for one in big.rglob("*") if one.is_file()}
    assert first["total"] == sum(on_disk.values())
    shown = cli("du")
    assert "big" in shown.out
    assert shown.fits()


def test_rm_shows_and_with_yes_removes(cli: Cli) -> None:
    kept, removed = log("kept"), log("removed")

    shown = cli("rm", "removed")
    assert "would be removed, --yes does it" in shown.err
    assert removed.is_dir()
    done = cli("rm", "removed", "--yes")
    assert done.code == 0
    assert "1 run" in done.err
    assert not removed.exists()
    assert [run.run_id for run in tracelet.runs()] == ["kept"]
    assert kept.is_dir()


def test_a_run_that_goes_on_is_refused_and_the_others_are_removed(cli: Cli, tmp_path: Path) -> None:
    log("ended")
    script = Script(
        tmp_path,
        """
        import time, tracelet
        tracelet.start_logging(run_id="living", dir=".tracelet").log_metric("loss", 1)
        print("ready", flush=True)
        time.sleep(120)
        """,
    )
    eventually(lambda: "ready" in script.output)
    done = cli("rm", "ended", "living", "--yes")
    assert done.code == 1
    assert "the run living is still running" in done.err
    assert [run.run_id for run in tracelet.runs()] == ["living"]
    script.signal(signal.SIGKILL)
    script.wait()


def test_the_segments_of_a_journal_elsewhere_go_too_and_nothing_beside_them(
    cli: Cli, tmp_path: Path
) -> None:
    run_dir = log("r", journal_dir=tmp_path / "fast")
    elsewhere = tmp_path / "fast/default/r"
    (elsewhere / "notes.txt").write_text("mine")
    assert list(elsewhere.glob("*.jsonl"))
    assert cli("rm", "r", "--yes").code == 0
    assert not run_dir.exists()
    assert [one.name for one in elsewhere.iterdir()] == ["notes.txt"]


def test_links_in_a_run_are_removed_and_not_followed(cli: Cli, tmp_path: Path) -> None:
    run_dir = log("r")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("mine")
    (run_dir / "artifacts/link").symlink_to(tmp_path / "precious")
    assert cli("rm", "r", "--yes").code == 0
    assert (tmp_path / "precious/file").read_text() == "mine"


def test_without_contents_the_journal_is_whole(cli: Cli) -> None:
    run_dir = log("r")
    done = cli("rm", "r", "--keep-journal", "--yes")
    assert done.code == 0, done.err
    run = tracelet.load_run(run_dir)
    assert run.params == {"long": "x" * 100_000}
    assert [point.value for point in run.metrics["loss"]] == [0.5]
    assert not (run_dir / "artifacts/models/weights.bin").exists()
    (space,) = cli("du", "--json").json
    assert space["contents"] < 150_000  # the line of the long parameter


def test_prune_takes_what_all_conditions_hold_for(cli: Cli) -> None:
    old, failed = log("old", "failed"), log("new", "failed")
    log("good")
    for name in ("old", "good"):
        change_view(
            Path(".tracelet/default", name),
            f'"ended": {int(time.time() / 100)}',
            '"ended": 10000000',
        )
    shown = cli("prune", "--older-than", "30d", "--status", "failed", "--delivered")
    assert "old" in shown.out
    assert "new" not in shown.out
    assert "good" not in shown.out
    assert cli("prune", "--older-than", "30d", "--status", "failed", "--yes").code == 0
    assert not old.exists()
    assert failed.is_dir()
    assert {run.run_id for run in tracelet.runs()} == {"new", "good"}


def test_what_a_backend_lacks_is_not_delivered(cli: Cli) -> None:
    run_dir = log("r")
    shutil.rmtree(run_dir / "cursors")
    (run_dir / "cursors").mkdir()
    change_view(run_dir, '"pending": 0', '"pending": 1')
    assert "0 runs" in cli("prune", "--delivered").err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("prune",), "prune needs a condition"),
        (("prune", "--older-than", "soon"), "30d, not 'soon'"),
        (("prune", "--status", "dead"), "finished, failed, killed: 'dead'"),
        (("rm", "missing"), "no run 'missing'"),
    ],
)
def test_a_mistake_removes_nothing(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    run_dir = log("r")
    done = cli(*arguments, "--yes")
    assert done.code == 2
    assert says in done.err
    assert run_dir.is_dir()
