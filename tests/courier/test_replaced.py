"""The content of an artifact that a later one has replaced is removed, and only that."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from user_scripts import run_script

import tracelet
from tracelet.backends.base import ArtifactFile
from tracelet.backends.memory import MemoryBackend
from tracelet.journal.rundir import RunDir


def stored(directory: Path) -> set[str]:
    """Return the digests of the contents that a run has."""
    return set(RunDir(directory).blobs.sizes())


def digest(text: str) -> str:
    """Return the digest of a content."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("courier", ["thread", "process"])
def test_only_the_last_content_of_each_name_stays(tmp_path: Path, courier: str) -> None:
    file = tmp_path / "last.pt"
    with tracelet.start_logging(courier=courier) as exp:
        for epoch in range(5):
            file.write_text(f"epoch {epoch}")
            exp.log_artifact(file)
            if epoch in (1, 3):
                exp.log_artifact(file, "best.pt")
            if epoch == 0:
                exp.connect_configuration(file, "first")
    run = tracelet.load_run(exp.dir)
    assert run.report.complete
    assert run.artifacts["last.pt"].read_text() == "epoch 4"
    assert run.artifacts["best.pt"].read_text() == "epoch 3"
    assert run.configurations["first"].read_text() == "epoch 0"
    assert stored(exp.dir) == {digest(f"epoch {epoch}") for epoch in (0, 3, 4)}


def test_nothing_is_removed_while_a_backend_lacks_a_record(tmp_path: Path) -> None:
    class Down(MemoryBackend):
        name = "down"

        def log_artifact(self, artifact: ArtifactFile) -> None:
            raise tracelet.errors.TransientError("down")

    file = tmp_path / "last.pt"
    exp = tracelet.start_logging(backend=["local", Down])
    for epoch in range(3):
        file.write_text(f"epoch {epoch}")
        exp.log_artifact(file)
    exp.stop(timeout=0.5)
    assert stored(exp.dir) >= {digest(f"epoch {epoch}") for epoch in range(3)}


def test_a_run_without_replaced_contents_is_replayed_whole(tmp_path: Path) -> None:
    script = """
    import pathlib, tracelet
    exp = tracelet.start_logging(run_id="r")
    for epoch in range(3):
        pathlib.Path("last.pt").write_text(f"epoch {epoch}")
        exp.log_artifact("last.pt")
        exp.log_metric("loss", epoch)
    assert exp.stop().complete
    """
    run_script(tmp_path, script)
    directory = tmp_path / ".tracelet/default/r"
    assert stored(directory) == {digest("epoch 2")}
    added = """
    import pathlib
    from tracelet import Backend, RunLink
    class Files(Backend):
        def open(self, run):
            return RunLink("r")
        def log_params(self, params): ...
        def log_metrics(self, batch): ...
        def close(self, status): ...
        def log_artifact(self, artifact):
            with pathlib.Path("seen.txt").open("a") as seen:
                seen.write(f"{artifact.path} {artifact.source.read_text()}\\n")
    """
    (tmp_path / "files.py").write_text("\n".join(line[4:] for line in added.split("\n")))
    run_script(
        tmp_path,
        """
        import sys
        from tracelet.cli.app import run
        sys.argv = ["tracelet", "replay", "r", "--backend", "files:Files"]
        sys.exit(run())
        """,
    )
    assert "last.pt epoch 2\n" in (tmp_path / "seen.txt").read_text()
    assert (tmp_path / "seen.txt").read_text().count("last.pt ") == 1
    report = tracelet.load_run(directory).report["files"]
    assert (report.rejected, report.pending) == (0, 0)


def test_a_resumed_run_can_log_a_removed_content_again(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    for epochs in ((0, 1), (0,)):
        with tracelet.start_logging(run_id="r", resume=True) as exp:
            for epoch in epochs:
                file.write_text(f"epoch {epoch}")
                exp.log_artifact(file)
    run = tracelet.load_run(exp.dir)
    assert run.report.complete
    assert run.artifacts["last.pt"].read_text() == "epoch 0"
