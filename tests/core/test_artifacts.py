"""What can be an artifact, and what is refused at once: nothing that would wait for a writer."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from user_scripts import run_script

import tracelet
from tracelet.errors import (
    ArtifactNotFoundError,
    InvalidValueError,
    UnsafePathError,
    ValueTypeError,
)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    exp = tracelet.start_logging()
    with pytest.raises(InvalidValueError, match="neither a file nor a directory"):
        exp.log_artifact(tmp_path / "pipe")
    with pytest.raises(InvalidValueError, match="neither a file nor a directory"):
        exp.log_artifact("/dev/zero")
    assert exp.stop()["local"].accepted == 0


def test_a_pipe_in_a_directory_is_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "file").write_text("content")
    with tracelet.start_logging() as exp, pytest.warns(tracelet.TraceletWarning, match="pipe"):
        exp.log_artifact(folder)
    assert list(tracelet.load_run(exp.dir).artifacts) == ["folder/file"]


def test_a_link_to_nothing_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    with tracelet.start_logging() as exp, pytest.raises(ArtifactNotFoundError):
        exp.log_artifact(tmp_path / "link")


def test_a_name_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, place in enumerate((tmp_path, folder)):
        Path(os.fsdecode(os.fsencode(place) + b"/\xff.txt")).write_text(str(number))
    with tracelet.start_logging() as exp:
        exp.log_artifact(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt"))
        exp.log_artifact(folder)
    artifacts = tracelet.load_run(exp.dir).artifacts
    assert {path: file.read_text() for path, file in artifacts.items()} == {
        "\\udcff.txt": "0",
        "folder/\\udcff.txt": "1",
    }
    assert exp.report is not None
    assert exp.report.complete


def test_the_directory_of_the_run_can_be_an_artifact_of_it() -> None:
    with tracelet.start_logging() as exp:
        exp.log_metric("loss", 0.5, 0)
        exp.log_artifact(exp.dir, "itself")
    artifacts = tracelet.load_run(exp.dir).artifacts
    assert "itself/run.json" in artifacts
    assert exp.report is not None
    assert exp.report.complete


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "file").write_text("content")
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "twice").symlink_to(elsewhere)
    (folder / "once").symlink_to(elsewhere / "deep")
    (folder / "inner" / "circle").symlink_to(folder)
    (elsewhere / "deep" / "back").symlink_to("..")
    with tracelet.start_logging() as exp, pytest.warns(tracelet.TraceletWarning) as warned:
        exp.log_artifact(folder)
    artifacts = tracelet.load_run(exp.dir).artifacts
    assert {path: file.read_text() for path, file in artifacts.items()} == {
        "folder/once/file": "content",
        "folder/twice/deep/file": "content",
    }
    (warning,) = [str(one.message) for one in warned]
    for circle in ("inner/circle", "once/back/deep", "twice/deep/back"):
        assert f"folder/{circle}'" in warning


def test_a_destination_that_ends_with_a_slash_is_a_folder(tmp_path: Path) -> None:
    for name in ("first.bin", "second.bin"):
        (tmp_path / name).write_bytes(name.encode())
    with tracelet.start_logging(dir="runs") as exp:
        for name in ("first.bin", "second.bin"):
            exp.log_artifact(tmp_path / name, "models/")
        exp.log_artifact(tmp_path / "first.bin", "./")
        with pytest.raises(UnsafePathError):
            exp.log_artifact(tmp_path / "first.bin", "/")
    assert exp.dir is not None
    found = tracelet.load_run(exp.dir).artifacts
    assert {place: file.read_bytes() for place, file in found.items()} == {
        "models/first.bin": b"first.bin",
        "models/second.bin": b"second.bin",
        "first.bin": b"first.bin",
    }


@pytest.mark.parametrize("resumed", [False, True])
def test_a_file_and_a_folder_of_one_name_are_refused_at_the_call(
    tmp_path: Path, *, resumed: bool
) -> None:
    (tmp_path / "file").write_text("content")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_text("content")
    exp = tracelet.start_logging(run_id="r")
    exp.log_artifact("file", "q")
    exp.log_artifact(folder, "a/b")
    if resumed:
        exp.stop()
        exp = tracelet.start_logging(resume="r")
    for source, destination in {
        "file": "q/r",
        folder: "q",
        "./file": "a/b",
        ".//file": "a",
    }.items():
        with pytest.raises(InvalidValueError, match=repr(destination)):
            exp.log_artifact(source, destination)
    exp.log_artifact("file", "q")
    exp.log_artifact("file", "a/b/y")
    report = exp.stop()
    assert report.complete
    assert sorted(tracelet.load_run(exp.dir).artifacts) == ["a/b/x", "a/b/y", "q"]


def test_a_rank_that_writes_nothing_refuses_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    (tmp_path / "file").write_text("content")
    with tracelet.start_logging() as exp:
        exp.log_artifact("file", "q")
        with pytest.raises(InvalidValueError, match="'q/r'"):
            exp.log_artifact("file", "q/r")


@pytest.mark.parametrize("name", ["x" * 246, "x" * 255, "é" * 127, "/".join(["d" * 255] * 11)])
def test_a_destination_as_long_as_file_systems_allow_is_delivered(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("content")
    with tracelet.start_logging() as exp:
        exp.log_artifact("file", name)
    assert exp.report is not None
    assert exp.report.complete
    assert exp.dir is not None
    assert (exp.dir / "artifacts" / name).read_text() == "content"
    assert [file.name for file in (exp.dir / "artifacts").rglob(".*")] == [], "nothing is left"


@pytest.mark.parametrize(
    "name", ["x" * 256, "é" * 128, "a/" + "x" * 256, "/".join(["d" * 255] * 12)]
)
@pytest.mark.parametrize("of", ["a file", "a folder"])
def test_a_destination_that_is_longer_is_refused_at_the_call(
    tmp_path: Path, name: str, of: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("content")
    exp = tracelet.start_logging()
    with pytest.raises(InvalidValueError, match=r"too long: .* bytes"):
        exp.log_artifact("folder" if of == "a folder" else "folder/file", name)
    assert exp.stop()["local"].accepted == 0
    assert exp.dir is not None
    assert not (exp.dir / "blobs").exists()


class BrokenPath:
    def __fspath__(self) -> str:
        raise RuntimeError("no path today")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"file": "x" * 300}, ArtifactNotFoundError, "no file or directory 'xxx"),
        ({"file": "nul\0", "destination": "x"}, ArtifactNotFoundError, "no file or directory 'nul"),
        ({"file": BrokenPath()}, ValueTypeError, "BrokenPath object.*no path today"),
        ({"destination": BrokenPath()}, ValueTypeError, "BrokenPath object.*no path today"),
        ({"copy": "no"}, ValueTypeError, "copy is True or False, not 'no'"),
        ({"copy": BrokenPath()}, ValueTypeError, "copy is True or False.*BrokenPath object"),
    ],
)
def test_what_nothing_can_be_called_is_refused_by_name(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    exp = tracelet.start_logging()
    with pytest.raises(error, match=message):
        exp.log_artifact(**{"file": __file__, **given})
    assert exp.stop()["local"].accepted == 0


def test_an_artifact_is_found_again_when_somebody_has_removed_its_blob(tmp_path: Path) -> None:
    with tracelet.start_logging() as exp:
        for name in ("kept", "changed", "deleted"):
            (tmp_path / "file").write_text(name)
            exp.log_artifact("file", f"models/{name}.txt")
    assert exp.dir is not None
    shutil.rmtree(exp.dir / "blobs")
    placed = exp.dir / "artifacts/models"
    (placed / "changed.txt").unlink()
    (placed / "changed.txt").write_text("something else")
    (placed / "deleted.txt").unlink()
    with pytest.warns(tracelet.DamageWarning, match="is missing, with its"):
        artifacts = tracelet.load_run(exp.dir).artifacts
    assert artifacts["models/kept.txt"] == placed / "kept.txt"
    assert not artifacts["models/changed.txt"].exists(), "not what was logged under this name"
    assert not artifacts["models/deleted.txt"].exists()


def test_what_is_kept_of_runs_is_left_out_of_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("code")
    Path("src").mkdir()
    Path("src", "model.py").write_text("code")
    tracelet.start_logging(dir="src/elsewhere").stop()
    for _ in range(3):
        exp = tracelet.start_logging(dir="results", journal_dir="journals")
        with pytest.warns(tracelet.TraceletWarning, match="runs are kept there") as warned:
            exp.log_artifact(".", "code")
        exp.stop()
        assert {*tracelet.load_run(exp.dir).artifacts} == {"code/train.py", "code/src/model.py"}
        (warning,) = [str(one.message) for one in warned]
        assert "'results', 'journals'" in warning or "'journals', 'results'" in warning
        assert "src/elsewhere/default/" in warning


def test_a_directory_of_another_program_that_looks_like_a_store_is_kept(tmp_path: Path) -> None:
    for place in ("wandb/module.py", "mlruns/notes.txt", "journal/x.jsonl"):
        (tmp_path / "code" / place).parent.mkdir(parents=True)
        (tmp_path / "code" / place).write_text("content")
    with tracelet.start_logging() as exp:
        exp.log_artifact(tmp_path / "code")
    assert {*tracelet.load_run(exp.dir).artifacts} == {
        "code/wandb/module.py",
        "code/mlruns/notes.txt",
        "code/journal/x.jsonl",
    }


def test_an_address_is_noted_and_not_opened() -> None:
    with tracelet.start_logging() as exp:
        exp.log_artifact("s3://bucket/data/train.csv?versionId=3", size=10**12, digest="etag-1")
        exp.log_artifact("https://me:hunter2@host/model.bin", "models/best.bin")
        exp.log_artifact("gs://bucket/dir/", "data/")
    found = tracelet.load_run(exp.dir).artifacts
    assert {place: json.loads(file.read_text()) for place, file in found.items()} == {
        "train.csv.ref.json": {
            "uri": "s3://bucket/data/train.csv?versionId=3",
            "size": 10**12,
            "digest": "etag-1",
        },
        "models/best.bin.ref.json": {
            "uri": "https://me:[redacted]@host/model.bin",
            "size": None,
            "digest": None,
        },
        "data/dir.ref.json": {"uri": "gs://bucket/dir/", "size": None, "digest": None},
    }
    assert exp.report is not None
    assert exp.report.complete


def test_a_reference_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with tracelet.start_logging() as exp:
        for refused in (
            lambda: exp.log_artifact("s3://bucket"),
            lambda: exp.log_artifact("s3://bucket/x", "../x"),
            lambda: exp.log_artifact("s3://bucket/x", size=-1),
            lambda: exp.log_artifact("s3://bucket/x", digest=b"abc"),  # type: ignore[arg-type]
            lambda: exp.log_artifact(tmp_path / "file", size=3),
        ):
            with pytest.raises((InvalidValueError, UnsafePathError, ValueTypeError)):
                refused()
    assert not tracelet.load_run(exp.dir).artifacts


def test_links_that_lead_to_each_other_are_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "file").write_text("content")
    with tracelet.start_logging() as exp:
        with pytest.warns(tracelet.TraceletWarning, match="'.*folder/a', '.*folder/b'"):
            exp.log_artifact(folder)
        with pytest.raises(ArtifactNotFoundError):
            exp.log_artifact(folder / "a")
    assert list(tracelet.load_run(exp.dir).artifacts) == ["folder/file"]


def test_a_file_with_holes_takes_no_more_space_when_it_is_stored(tmp_path: Path) -> None:
    size = 256 * 1024 * 1024
    with (tmp_path / "sparse").open("wb") as file:
        for place in (size // 3, size // 2):
            file.seek(place)
            file.write(b"data")
        file.truncate(size)
    with tracelet.start_logging() as exp:
        exp.log_artifact(tmp_path / "sparse")
    stored = tracelet.load_run(exp.dir).artifacts["sparse"]
    status = stored.stat()
    assert status.st_size == size
    assert status.st_blocks * 512 < 1024 * 1024
    with stored.open("rb") as content:
        for place in (size // 3, size // 2):
            content.seek(place)
            assert content.read(5) == b"data\0"


def test_a_name_of_any_letters_is_kept_under_a_locale_that_has_only_ascii(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/é").write_text("accent")
    script = """
    import sys, tracelet
    assert sys.getfilesystemencoding() == "ascii"
    with tracelet.start_logging(run_id="r", courier=sys.argv[1]) as exp:
        exp.log_artifact("folder")
        exp.log_artifact("folder", "\\xfc")
        exp.log_params({"\\xe9": "\\xfc"})
    for path, file in tracelet.load_run("r").artifacts.items():
        assert file.read_text() == "accent", ascii(path)
    """
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for courier in ("thread", "process"):
        run_script(tmp_path, script, courier, environment=ascii_only)
        run = tracelet.load_run(tmp_path / ".tracelet/default/r")
        assert run.report["local"].rejected == 0
        assert {path: file.read_text() for path, file in run.artifacts.items()} == {
            "folder/\\udcc3\\udca9": "accent",
            "ü/\\udcc3\\udca9": "accent",
        }
        assert run.params == {"é": "ü"}
        shutil.rmtree(run.dir)
