"""What is rare in a run: lines of a size that no call writes, links, pipes, several names."""

from __future__ import annotations

import gzip
import logging
import os
from pathlib import Path

import pytest

import tracelet
from tracelet.errors import UnsafePathError
from tracelet.inner_path import InnerPath
from tracelet.journal import membership, ownership, process, segments
from tracelet.journal.process import ancestors, is_alive, this_process
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import SegmentFile, is_held


def test_a_line_that_is_too_long_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "LONGEST_LINE", 64)
    (tmp_path / "h-1-0.jsonl").write_bytes(b"first\n" + b"x" * 1000 + b"\nlast\n")
    with gzip.open(tmp_path / "h-1-1.jsonl.gz", "wb") as packed:
        packed.write(b"x" * 1000 + b"\nlast\n")
    for name, start in ("h-1-0", 6), ("h-1-1", 0):
        file = SegmentFile(tmp_path, name)
        passed = file.lines(start, 16)
        assert (passed.data, passed.end, passed.too_long) == (b"", start + 1001, True)
        assert file.lines(passed.end, 16).data == b"last\n"
        file.close()
    (tmp_path / "h-1-2.jsonl").write_bytes(b"x" * 1000)
    file = SegmentFile(tmp_path, "h-1-2")
    growing = file.lines(0, 16)
    file.close()
    assert (growing.data, growing.end, growing.torn) == (b"", 0, True)


def test_a_segment_that_is_a_link_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"line\n")
    (tmp_path / "h-1-0.jsonl").symlink_to("elsewhere")
    file = SegmentFile(tmp_path, "h-1-0")
    assert file.read(0, 10) == b""
    assert file.is_damaged
    assert "a link, which is not followed" in caplog.text
    assert is_held(InnerPath(tmp_path, "h-1-0.jsonl"))


def test_a_path_inside_a_directory_leads_to_regular_files_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "outside").write_bytes(b"outside")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "up").symlink_to(tmp_path)
    for inner in (
        InnerPath(tmp_path, "pipe"),
        InnerPath(folder, "link"),
        InnerPath(folder, "up/outside"),
    ):
        with pytest.raises(OSError, match=r"link|regular|directory"):
            inner.reading()
        with pytest.raises(OSError, match=r"link|regular"):
            inner.checked_path()
    with pytest.raises(OSError, match="regular"):
        InnerPath(folder, "other").link_to(InnerPath(folder, "link"))
    for name in ("/x", "a/../b", "..", "", "a\0b"):
        with pytest.raises(UnsafePathError):
            _ = InnerPath(folder) / name
    one = InnerPath(folder, "a/b")
    assert one == InnerPath(folder) / "a/b"
    assert len({one, InnerPath(folder, "a/b")}) == 1
    assert repr(one) == f"InnerPath({str(folder)!r}, 'a/b')"
    assert [file.name for file in InnerPath(folder).files()] == []
    assert [*InnerPath(folder, "none").files()] == []


def test_a_file_of_several_names_is_copied_before_it_is_cut_or_written(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"content")
    folder = tmp_path / "folder"
    folder.mkdir()
    os.link(tmp_path / "outside", folder / "inside")
    inside = InnerPath(folder, "inside")
    inside.truncate(3)
    with inside.appending() as file:
        file.write(b"!")
    assert inside.read_bytes() == b"con!"
    assert (tmp_path / "outside").read_bytes() == b"content"

    def fail() -> None:
        with inside.replacing() as file:
            file.write(b"half")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    assert inside.read_bytes() == b"con!"
    assert [path.name for path in folder.iterdir()] == ["inside"]


def test_a_key_without_a_home_is_that_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("TRACELET_INTERNAL_KEY", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert ownership.state_directory() is None
    mine = InnerPath(tmp_path)
    assert not ownership.is_own(mine)
    ownership.claim(mine)
    assert ownership.is_own(mine)
    assert os.environ.pop("TRACELET_INTERNAL_KEY")
    assert not ownership.is_own(mine)


def test_it_is_said_whose_directory_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "copied, moved or downloaded" in ownership.owner_of(tmp_path)
    assert ownership.owner_of(tmp_path / "none") == "of somebody else"
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert ownership.owner_of(tmp_path).startswith("of the user ")


def test_processes_are_told_apart_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_boot", lambda: None)
    assert ancestors()[0]["pid"] == os.getppid()
    mine = {**this_process(), "token": str(process._token(os.getpid()))}
    assert is_alive(mine) is True  # type: ignore[arg-type]
    assert is_alive({**mine, "token": "another"}) is False  # type: ignore[arg-type]


def test_a_membership_that_cannot_be_read_goes_on(tmp_path: Path) -> None:
    none = membership.Membership(InnerPath(tmp_path, "membership"))
    assert (none.goes_on(), none.status()) == (True, "running")
    none.close()
    file = InnerPath(tmp_path, "there")
    membership.begin(file)
    joined = membership.Membership(file)
    assert joined.goes_on()
    membership.end(file, "failed")
    assert (joined.goes_on(), joined.status()) == (False, "failed")
    joined.close()


def test_damaged_seals_stay_and_many_damaged_blobs_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with tracelet.start_logging() as exp:
        for number in range(25):
            (tmp_path / "file").write_text(f"content {number}")
            exp.log_artifact(tmp_path / "file", f"files/{number}")
    run_dir = RunDir(exp.dir)
    for digest in run_dir.blobs.sizes():
        run_dir.blobs.file(digest).unlink()
    found = run_dir.seals.damage(contents=False)
    assert len(found) == 21
    assert found[-1] == "5 more blobs are damaged"
    seals = exp.dir / "seals.json"
    content = seals.read_bytes().replace(b'"lines":', b'"lines": ', 1)
    seals.write_bytes(content)
    run_dir.seals.seal(ended=True)
    run_dir.seals.forget_blobs(set())
    assert run_dir.seals.are_complete()
    assert seals.read_bytes() == content
    assert "cannot be sealed" in caplog.text
