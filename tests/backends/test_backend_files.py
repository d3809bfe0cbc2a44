"""Files that backends write: what grows is as long as what counts, what is replaced is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracelet.backends.files import GrowingFile, place_file
from tracelet.errors import CheckpointLostError


def test_what_is_appended_is_behind_what_counts(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "log")
    assert [file.append(b"one\n"), file.append(b"two\n"), file.size] == [0, 4, 8]
    assert file.path.read_bytes() == b"one\ntwo\n"


def test_what_stands_behind_what_counts_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo, which was never counted\n")
    file = GrowingFile(tmp_path / "log", 4)
    assert file.append(b"2\n") == 4
    assert file.path.read_bytes() == b"one\n2\n"


def test_what_stands_behind_what_counts_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo")
    GrowingFile(tmp_path / "log", 4).cut()
    assert (tmp_path / "log").read_bytes() == b"one\n"


def test_nothing_is_made_before_there_is_something_to_write(tmp_path: Path) -> None:
    GrowingFile(tmp_path / "log").cut()
    assert not (tmp_path / "log").exists()


def test_a_file_that_is_not_what_it_was_is_lost(tmp_path: Path) -> None:
    with pytest.raises(CheckpointLostError, match="shorter"):
        GrowingFile(tmp_path / "log", 4)
    file = GrowingFile(tmp_path / "log")
    file.append(b"one\n")
    file.path.write_bytes(b"o")
    with pytest.raises(CheckpointLostError, match="changed by somebody else"):
        file.append(b"two\n")
    file.path.unlink()
    with pytest.raises(CheckpointLostError, match="deleted"):
        file.append(b"two\n")


def test_what_a_failed_write_has_left_is_cut_off(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "log")
    file.append(b"one\n")
    file.path.write_bytes(b"one\nhalf of")
    file.append(b"two\n")
    assert file.path.read_bytes() == b"one\ntwo\n"


def test_what_somebody_else_appends_meanwhile_is_not_cut_off(tmp_path: Path) -> None:
    ours, theirs = (GrowingFile(tmp_path / "log", alone=True) for _ in range(2))
    ours.append(b"one\n")
    ours.path.write_bytes(b"one\nfrom another process\n")
    with pytest.raises(CheckpointLostError, match="changed by somebody else"):
        ours.append(b"two\n")
    assert theirs.path.read_bytes() == b"one\nfrom another process\n"


@pytest.mark.parametrize("link", [True, False])
def test_a_file_is_put_in_the_place_of_another(tmp_path: Path, link: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "below" / "target"
    for content in ("first", "second"):
        source.unlink(missing_ok=True)
        source.write_text(content)
        place_file(source, target, link=link)
    assert target.read_text() == "second"
    assert target.samefile(source) is link
    assert [path.name for path in target.parent.iterdir()] == ["target"]
