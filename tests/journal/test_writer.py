"""The writer: one write a record, in order, whole, and what cannot be written is counted."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from user_scripts import run_script

from tracelet.journal.blobs import BlobStore
from tracelet.journal.reader import JournalReader
from tracelet.journal.segments import chains, segment_names
from tracelet.journal.writer import INLINE_BYTES, JournalWriter
from tracelet.records import AnyRecord, Metric, Metrics, Params, Text, encode


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    directory = tmp_path / "journal"
    directory.mkdir()
    return directory


@pytest.fixture
def new_writer(journal: Path, tmp_path: Path) -> Iterator[Callable[..., JournalWriter]]:
    writers: list[JournalWriter] = []

    def make(**options: int) -> JournalWriter:
        writers.append(JournalWriter(journal, BlobStore(tmp_path / "blobs"), **options))
        return writers[-1]

    yield make
    for writer in writers:
        writer.close()


def records(journal: Path, *, skipped: int = 0) -> list[AnyRecord]:
    reader = JournalReader(journal, BlobStore(journal.parent / "blobs"))
    found = list(reader.records())
    assert reader.skipped == skipped
    reader.close()
    return found


def point(iteration: int, name: str = "loss", time: float = 1.0) -> Metric:
    return Metric(time, name, 0.5, iteration)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file may become larger than ``size`` bytes; Python ignores the signal for that."""
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.ERROR]


def test_a_record_is_one_write_and_there_is_no_buffer(
    journal: Path, new_writer: Callable[..., JournalWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: (written.append(data), write(fd, data))[1])
    writer = new_writer()
    writer.append(point(0))
    assert records(journal) == [point(0)], "it is on the disk when the call has returned"
    writer.append(Text(2.0, "two\nlines"))
    writer.append(Params(3.0, {"lr": 0.1}))
    assert written == [encode(record) + b"\n" for record in records(journal)]


def test_a_long_record_is_one_short_line_and_a_blob(
    journal: Path, tmp_path: Path, new_writer: Callable[..., JournalWriter]
) -> None:
    writer = new_writer()
    long = Text(1.0, "x" * INLINE_BYTES)
    writer.append(long)
    writer.append(point(1))
    (segment,) = journal.iterdir()
    assert segment.stat().st_size < 1000
    assert records(journal) == [long, point(1)]
    (blob,) = (file for file in (tmp_path / "blobs").rglob("*") if file.is_file())
    blob.chmod(0o600)
    blob.unlink()
    records(journal, skipped=1)


@pytest.mark.parametrize("size", [INLINE_BYTES - 200, INLINE_BYTES, INLINE_BYTES + 200, 5_000_000])
def test_records_of_any_length(
    journal: Path, new_writer: Callable[..., JournalWriter], size: int
) -> None:
    writer = new_writer()
    expected = [point(0), Text(2.0, "x" * size), point(1)]
    for record in expected:
        writer.append(record)
    assert records(journal) == expected


def test_segments_rotate_and_no_thread_loses_its_order(
    journal: Path, new_writer: Callable[..., JournalWriter]
) -> None:
    writer = new_writer(segment_bytes=2000)
    start = threading.Barrier(8)

    def log(name: str) -> None:
        start.wait()
        for iteration in range(500):
            writer.append(point(iteration, name))

    threads = [threading.Thread(target=log, args=(f"thread{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(journal.iterdir())) > 1
    found: dict[str, list[int]] = {}
    for record in records(journal):
        assert isinstance(record, Metric)
        found.setdefault(record.name, []).append(record.iteration)
    assert found == {f"thread{n}": list(range(500)) for n in range(8)}


def test_a_forked_child_rotates_for_itself(
    journal: Path, new_writer: Callable[..., JournalWriter]
) -> None:
    # Segments of two processes are merged by time, so every record has the time of its call.
    writer = new_writer(segment_bytes=2000)
    writer.append(point(0, time=time.time()))
    child = os.fork()
    if child == 0:
        try:
            for iteration in range(500):
                writer.append(point(iteration, "child", time.time()))
        finally:
            os._exit(0)
    for iteration in range(1, 500):
        writer.append(point(iteration, time=time.time()))
    assert os.waitpid(child, 0)[1] == 0
    found: dict[str, list[int]] = {}
    for record in records(journal):
        assert isinstance(record, Metric)
        found.setdefault(record.name, []).append(record.iteration)
    assert found == {"loss": list(range(500)), "child": list(range(500))}
    assert len(chains(journal)) == 2


def test_a_process_does_not_write_to_the_segment_of_an_earlier_one(
    journal: Path, new_writer: Callable[..., JournalWriter]
) -> None:
    for number in range(3):
        new_writer().append(point(number))
    assert len(segment_names(journal)) == 3
    assert records(journal) == [point(0), point(1), point(2)]


LINE = len(encode(point(0)) + b"\n")


@pytest.mark.parametrize("cut", range(LINE + 1))
def test_a_line_that_was_cut_off_anywhere_spoils_no_other_and_the_count_is_exact(
    journal: Path, new_writer: Callable[..., JournalWriter], cut: int
) -> None:
    writer = new_writer()
    writer.append(point(0))
    with file_size_limit(LINE + cut):
        writer.append(point(1))
        writer.append(point(2))
    writer.append(point(3))
    writer.append(point(4))
    whole = [1] if cut >= LINE - 1 else []
    found = records(journal, skipped=0 if cut == 0 or whole else 1)
    assert [record.iteration for record in found] == [0, *whole, 3, 4]
    assert writer.lost == 2 - len(whole)


THREE = encode(Metrics(1.0, {"loss": 0.5, "accuracy": 0.25, "f1": "NaN"}, 7)) + b"\n"


@pytest.mark.parametrize("cut", range(0, 3 * LINE + 1, 7))
def test_of_several_lines_in_one_write_those_that_are_whole_are_kept(
    journal: Path, new_writer: Callable[..., JournalWriter], cut: int
) -> None:
    writer = new_writer()
    writer.append(point(0))
    lines = b"".join(encode(point(number)) + b"\n" for number in (1, 2, 3))
    with file_size_limit(LINE + cut):
        writer.append_lines(lines, 3, 1.0)
    writer.append(point(4))
    whole = [number for number in (1, 2, 3) if cut >= number * LINE - 1]
    found = records(journal, skipped=0 if cut % LINE in (0, LINE - 1) else 1)
    assert [record.iteration for record in found] == [0, *whole, 4]
    assert writer.lost == 3 - len(whole)


@pytest.mark.parametrize("cut", range(0, 2 * len(THREE) + 1, 7))
def test_of_points_in_one_line_all_are_kept_or_none(
    journal: Path, new_writer: Callable[..., JournalWriter], cut: int
) -> None:
    writer = new_writer()
    with file_size_limit(len(THREE) + cut):
        writer.append_lines(THREE, 3, 1.0)
        writer.append_lines(THREE, 3, 1.0)
        writer.append_lines(THREE, 3, 1.0)
    writer.append_lines(THREE, 3, 1.0)
    whole = 2 + sum(cut >= number * len(THREE) - 1 for number in (1, 2))
    assert (
        len(records(journal, skipped=0 if cut % len(THREE) in (0, len(THREE) - 1) else 1))
        == 3 * whole
    )
    assert writer.lost == 3 * (4 - whole)


def test_a_full_disk_is_named_once_and_everything_lost_is_counted(
    journal: Path,
    new_writer: Callable[..., JournalWriter],
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = new_writer()
    with file_size_limit(5 * LINE):
        for iteration in range(10):
            writer.append(point(iteration))
        assert writer.lost == 5
        writer.append_lines(encode(point(10)) + b"\n" + encode(point(11)) + b"\n", 2, 1.0)
        writer.append(Text(1.0, "x" * INLINE_BYTES))  # whose blob does not fit
        assert writer.lost == 8
    assert [record.iteration for record in records(journal)] == [0, 1, 2, 3, 4]
    (message,) = complaints(caplog)
    assert "File too large" in message
    assert str(journal) in message


def test_a_deleted_directory_is_named_once_and_everything_lost_is_counted(
    journal: Path,
    new_writer: Callable[..., JournalWriter],
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = new_writer(segment_bytes=10 * LINE)
    for iteration in range(5):
        writer.append(point(iteration))
    shutil.rmtree(journal)
    for iteration in range(50):
        writer.append(point(iteration))
    writer.sync()
    assert writer.lost == 55
    assert writer.gone
    (message,) = complaints(caplog)
    assert "deleted" in message
    assert not journal.exists(), "it is not made again, without what was in it"


def test_closing_twice_is_harmless(new_writer: Callable[..., JournalWriter]) -> None:
    writer = new_writer()
    writer.append(point(0))
    writer.close()
    writer.close()
    assert writer.lost == 0


def test_the_position_is_behind_the_last_whole_line(
    new_writer: Callable[..., JournalWriter],
) -> None:
    writer = new_writer()
    writer.append(point(0))
    ((name, size),) = writer.position().items()
    assert size == LINE
    with file_size_limit(LINE + 10):
        writer.append(point(1))
        assert writer.position() == {name: LINE}


def test_a_signal_handler_can_log_while_the_writer_looks_after_its_segment(
    journal: Path, new_writer: Callable[..., JournalWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = new_writer(segment_bytes=100)
    synced = os.fsync

    def interrupted(fd: int) -> None:
        monkeypatch.setattr(os, "fsync", synced)
        writer.append(point(1))  # as a handler of SIGTERM does, in the same thread
        writer.sync()
        synced(fd)

    monkeypatch.setattr(os, "fsync", interrupted)
    writer.append(Text(1.0, "x" * 100))
    writer.append(point(2))
    assert [type(record) for record in records(journal)] == [Text, Metric, Metric]
    assert len(segment_names(journal)) == 2


def test_a_descriptor_that_somebody_closed_is_named_once_and_counted(
    journal: Path, new_writer: Callable[..., JournalWriter], caplog: pytest.LogCaptureFixture
) -> None:
    writer = new_writer()
    # Runs of other tests may have their segments open, too.
    (segment,) = (
        link
        for link in Path("/proc/self/fd").iterdir()
        if _is_segment(link) and link.readlink().parent == journal
    )
    os.close(int(segment.name))
    writer.append(point(0))
    writer.sync()
    assert writer.position() == {}
    writer.close()
    assert writer.lost == 1
    assert len(caplog.records) == 1
    assert "Bad file descriptor" in caplog.text


def test_a_write_that_is_under_way_at_the_end_goes_to_no_other_file(
    new_writer: Callable[..., JournalWriter], tmp_path: Path
) -> None:
    writer = new_writer()
    opened: list[int] = []

    def late(fd: int, lines: bytes) -> int:
        """Write, as a thread does that had to wait, while another one ended the run."""
        writer.close()
        while not opened or opened[-1] < fd:  # the lowest number that is free comes first
            opened.append(os.open(tmp_path / str(len(opened)), os.O_WRONLY | os.O_CREAT))
        return os.write(fd, lines)

    writer._write = late
    writer.append(point(0))
    assert [os.fstat(fd).st_size for fd in opened] == [0] * len(opened)
    assert writer.lost == 1
    for fd in opened:
        os.close(fd)


def test_closed_writers_keep_few_descriptors(new_writer: Callable[..., JournalWriter]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(30):
        new_writer().close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 8


def _is_segment(link: Path) -> bool:
    return link.exists() and link.readlink().suffix == ".jsonl"


def test_a_segment_never_takes_the_place_of_a_standard_stream(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import os, tracelet
        for stream in (0, 1, 2):
            os.close(stream)
        exp = tracelet.start_logging(run_id="r", courier="process")
        for stream in (0, 1, 2):
            try:
                os.write(stream, b"what C prints")
            except OSError:
                pass
        exp.log_metric("loss", 0.5, 0)
        os._exit(0 if exp.stop().skipped == 0 else 1)
        """,
    )
