"""A full disk and a directory that vanishes: said once, counted, and training goes on."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from user_scripts import (
    Script,
    courier_processes,
    journaled,
    journaled_points,
    local_points,
    view,
)
from waiting import eventually

import tracelet
from tracelet.courier.cursor import CursorFile
from tracelet.courier.exit_status import write_missing_ending
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import segment_names
from tracelet.records import Finished


class SmallDisk:
    """A file system of 1 MiB; where none can be mounted, a limit for the size of files."""

    def __init__(self, path: Path, *, real: bool) -> None:
        self.path = path
        self.path.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
        self._is_real = real and subprocess.run(mount, check=False).returncode == 0
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._ballast = path / "ballast"
        self.complaint = "No space left on device"
        if not self._is_real:
            self.complaint = "File too large"
            self._limit(1 << 20)

    def fill(self, largest: int) -> None:
        """Leave no space at all; the other way, no space for files that are ``largest`` bytes."""
        if not self._is_real:
            self._limit(largest)
            return
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"." * 4096):
                pass

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Let a file elsewhere be as large as it likes."""
        self.free()
        yield
        if not self._is_real:
            self._limit(1 << 20)

    def close(self) -> None:
        self.free()
        if self._is_real:
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def _limit(self, size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._limits[1]))


@pytest.fixture(params=["tmpfs", "limit"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "small", real=request.param == "tmpfs")
    yield disk
    disk.close()


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [entry.getMessage() for entry in caplog.records]
    return [message for message in messages if "the journal in" in message]


def test_a_full_disk_is_said_once_and_counted_and_training_goes_on(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    exp = tracelet.start_logging(run_id="r", journal_dir=small_disk.path)
    for iteration in range(50_000):  # about 4 MiB
        exp.log_metric("loss", 0.5, iteration)
    assert len(complaints(caplog)) == 1
    assert small_disk.complaint in complaints(caplog)[0]
    report = exp.stop()
    points = journaled_points(exp.dir, damaged=1)  # cut off, unless it was at the end of a line
    assert 5_000 < len(points) < 50_000
    assert points == list(range(len(points)))
    assert report.lost == 50_000 - len(points) + 1, "the ending could not be written either"
    assert not report.complete
    small_disk.free()
    tracelet.load_run(exp.dir)
    assert local_points(exp.dir) == points


def test_what_fits_again_is_written_again(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    exp = tracelet.start_logging(run_id="r", journal_dir=small_disk.path)
    exp.log_metric("loss", 0.5, 0)
    small_disk.fill(8192)
    lost = 0
    while not complaints(caplog):
        exp.log_metric("lost", 0.5, lost)
        lost += 1
    small_disk.free()
    exp.log_metric("loss", 0.5, 1)
    exp.log_metric("loss", 0.5, 2)
    report = exp.stop()
    assert local_points(exp.dir) == [0, 1, 2]
    assert report.lost <= 1, "none, if all but the newline of the last one could be written"
    assert report["local"].delivered == 3 + lost - report.lost
    assert tracelet.load_run(exp.dir).status == "finished"


def test_local_files_on_a_full_disk_wait_and_have_everything_once(
    small_disk: SmallDisk, tmp_path: Path, quick_retries: None
) -> None:
    """The journal is elsewhere: only the backend is in trouble, and that is what it is made for."""
    exp = tracelet.start_logging(run_id="r", dir=small_disk.path, journal_dir=tmp_path / "journals")
    for iteration in range(100):
        exp.log_metric("loss", 0.5, iteration)
    assert exp.flush(60)
    small_disk.fill(400_000)
    for iteration in range(100, 5000):  # 450 KB here, and 300 KB there
        exp.log_metric("loss", 0.5, iteration)
    exp.flush(0)
    # It tries, and fails in the middle of a line as a full disk has it.
    eventually(lambda: small_disk.complaint in str(last_error(exp)))
    small_disk.free()
    report = exp.stop()
    assert report.lost == 0
    assert report["local"].delivered == 5000
    assert local_points(exp.dir) == list(range(5000))


def test_a_run_ends_on_a_full_disk_and_is_whole_when_there_is_space(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    # Its run.json is larger than the page that the file of its exit code leaves free.
    exp = tracelet.start_logging("n" * 5000, run_id="r", dir=small_disk.path)
    exp.log_metric("loss", 0.5, 0)
    assert exp.flush(60)
    small_disk.fill(10)
    report = exp.stop(timeout=0)
    assert any(f"{exp.dir} are not up to date" in entry.getMessage() for entry in caplog.records)
    assert report["local"].delivered == 1
    small_disk.free()
    assert tracelet.load_run(exp.dir).report["local"].delivered == 1
    assert local_points(exp.dir) == [0]


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_the_ending_of_a_run_and_what_it_lost_outlive_a_full_disk(
    small_disk: SmallDisk, courier: str
) -> None:
    exp = tracelet.start_logging(run_id="r", dir=small_disk.path, courier=courier)
    path = exp.dir
    assert path is not None
    exp.log_metric("loss", 0.5, 0)
    assert exp.flush(60)
    small_disk.fill(4000)
    for iteration in range(1, 1001):
        exp.log_metric("loss", 0.5, iteration)
    report = exp.stop("failed", timeout=0)
    assert report.lost > 900
    seen = tracelet.load_run(path)
    assert (seen.status, seen.report.lost) == ("failed", report.lost)
    small_disk.free()
    # A courier tries again in its own time.
    eventually(lambda: tracelet.load_run(path).report["local"].pending == 0)
    (ending,) = eventually(lambda: endings(path))
    assert (ending.status, ending.lost) == ("failed", report.lost)
    again = tracelet.load_run(path)
    assert (again.status, again.report.lost) == ("failed", report.lost)


def endings(path: Path) -> list[Finished]:
    return [one for one in journaled(path, damaged=1) if isinstance(one, Finished)]


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize(("code", "status"), [(3, "failed"), (0, "finished")])
def test_an_exit_code_on_a_full_disk_is_the_ending(
    tmp_path: Path, courier: str, code: int, status: str
) -> None:
    script = Script(
        tmp_path,
        """
        import resource, sys, tracelet
        exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
        exp.log_metric("loss", 0.5, 0)
        exp.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        for iteration in range(1, 1001):
            exp.log_metric("loss", 0.5, iteration)
        sys.exit(int(sys.argv[2]))
        """,
        courier,
        code,
    )
    assert script.wait() == code, script.output
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    assert run.status == status
    assert run.report.lost == 1002 - run.report["local"].accepted, "the ending is one of them"


def test_a_long_reason_that_a_full_disk_cannot_take_is_left_out(small_disk: SmallDisk) -> None:
    exp = tracelet.start_logging(run_id="r", dir=small_disk.path, config={"drain_timeout": 0})
    small_disk.fill(4000)
    for iteration in range(1000):
        exp.log_metric("loss", 0.5, iteration)
    with pytest.raises(ValueError, match="xxx"), exp:
        raise ValueError("x" * 2000)
    assert exp.dir is not None
    assert tracelet.load_run(exp.dir).status == "failed"


def test_an_ending_that_cannot_be_written_leaves_nothing_and_is_written_later(
    tmp_path: Path,
) -> None:
    code = Script(
        tmp_path,
        """
        import os, tracelet
        exp = tracelet.start_logging(run_id="r")
        os.kill(os.getpid(), 9)
        """,
    ).wait()
    assert code == -9
    run_dir = RunDir(tmp_path / ".tracelet/default/r")
    state = RunState(run_dir).update()
    before = segment_names(run_dir.journal)
    disk = SmallDisk(tmp_path / "small", real=False)
    disk.fill(0)
    try:
        assert [write_missing_ending(run_dir, state) for _ in range(3)] == ["running"] * 3
    finally:
        disk.close()
    assert segment_names(run_dir.journal) == before
    assert write_missing_ending(run_dir, state) == "killed"


def test_a_courier_outlives_a_view_that_it_cannot_write(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r", courier="process") as exp:
        assert exp.dir is not None
        assert exp.flush(60)
        couriers = courier_processes(exp.dir)
        written = exp.dir / "run.json"
        eventually(lambda: view(written.parent)["links"])  # till then it may be written at any time
        written.unlink()
        (written / "in the way").mkdir(parents=True)
        for number in range(2):  # the second comes a look at the tags later
            exp.set_tags(number=number)
            eventually(lambda number=number: delivered_records(exp) == number + 1)
        assert courier_processes(exp.dir) == couriers
        shutil.rmtree(written)
        eventually(lambda: written.exists() and view(written.parent)["tags"] == {"number": "1"})


def delivered_records(exp: tracelet.Experiment) -> int:
    assert exp.dir is not None
    return CursorFile(exp.dir / "cursors", "local").load().delivered


def last_error(exp: tracelet.Experiment) -> str | None:
    """The last error of the local backend; its cursor is on the full disk, too."""
    session = exp._session
    assert session is not None
    delivery = session._delivery._courier._threads["local"]._delivery  # type: ignore[union-attr]
    return delivery.cursor.last_error


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_a_run_directory_that_vanishes(tmp_path: Path, courier: str) -> None:
    script = Script(
        tmp_path,
        """
        import logging, shutil, sys, time, tracelet
        logging.basicConfig(format="%(message)s")
        exp = tracelet.start_logging(run_id="r", courier=sys.argv[1])
        for iteration in range(1000):
            exp.log_metric("loss", 0.5, iteration)
        while exp.dir.exists():  # the courier may be writing a file into it just now
            shutil.rmtree(exp.dir, ignore_errors=True)
        for iteration in range(1000):
            exp.log_metric("loss", 0.5, iteration)
        exp.log_params(lr=0.1)
        exp.log("text")
        report = exp.stop(timeout=1)
        print("lost", report.lost, report.complete)
        """,
        courier,
    )
    output = script.succeed()
    # All that was there, all that followed, the start and the end of the run: none is left.
    assert "lost 2004 False" in output
    assert output.count("the run's directory was deleted") == 1


def test_the_courier_of_a_vanished_directory_leaves(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r", courier="process") as exp:
        assert exp.dir is not None
        assert exp.flush(60)
        children = psutil.Process().children()
        (courier,) = [one for one in children if str(exp.dir) in one.cmdline()]
        while exp.dir.exists():
            shutil.rmtree(exp.dir, ignore_errors=True)
        eventually(lambda: courier.status() == psutil.STATUS_ZOMBIE)


def test_a_vanished_directory_does_not_keep_the_next_run_from_starting(tmp_path: Path) -> None:
    exp = tracelet.start_logging(run_id="r")
    exp.log_metric("loss", 0.5, 0)
    assert exp.flush(60)
    shutil.rmtree(exp.dir)
    exp.log_metric("loss", 0.5, 1)
    with tracelet.start_logging(run_id="next") as following:
        following.log_metric("loss", 0.5, 0)
    assert local_points(following.dir) == [0]
    assert [run.run_id for run in tracelet.runs()] == ["next"]


def test_a_run_is_refused_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(OSError, match="file"):
        tracelet.start_logging(dir=tmp_path / "file")
    assert tracelet.get_active_experiment() is None


def test_a_copy_of_a_run_is_read_where_it_is(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r", params={"lr": 0.1}) as exp:
        exp.log_metric("loss", 0.5, 0)
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(exp.dir, copy)
    shutil.rmtree(exp.dir)
    run = tracelet.load_run(copy)
    assert (run.status, run.params["lr"], len(run.metrics["loss"])) == ("finished", 0.1, 1)


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Let nobody write in a directory; for root, whom no permission stops, by a mount."""
    if os.geteuid() == 0:
        subprocess.run(["mount", "--bind", directory, directory], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True)
        yield
        subprocess.run(["umount", "--lazy", directory], check=True)
        return
    folders = [directory, *(path for path in directory.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield
    for folder in folders:
        folder.chmod(0o755)


def test_a_run_that_cannot_be_written_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(
        tmp_path,
        """
        import os, tracelet
        exp = tracelet.start_logging(run_id="r")
        exp.log_metric("loss", 0.5, 0)
        os.kill(os.getpid(), 9)
        """,
    )
    script.wait()
    run_dir = tmp_path / ".tracelet/default/r"
    with read_only(run_dir), caplog.at_level(logging.CRITICAL):
        run = tracelet.load_run(run_dir)
        assert [point.iteration for point in run.metrics["loss"]] == [0]
    assert tracelet.load_run(run_dir).status == "killed"
    assert view(run_dir)["status"] == "killed"
    assert journaled(run_dir)


def test_files_that_a_full_disk_cannot_take_are_counted(
    small_disk: SmallDisk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    big = tmp_path / "big.bin"
    with small_disk.lifted(), big.open("wb") as file:
        file.write(b"x" * (4 << 20))
    exp = tracelet.start_logging(
        run_id="r", dir=small_disk.path, journal_dir=tmp_path / "journals", courier="thread"
    )
    exp.log_artifact(big, "big.bin")
    exp.connect_configuration({"text": "x" * (4 << 20)})
    exp.log_metric("loss", 0.5, 0)
    report = exp.stop()
    assert len(complaints(caplog)) == 1
    assert report.lost == 2
    assert report["local"].delivered == 1
    assert not list(tracelet.load_run(exp.dir).artifacts)
    assert not [name for name in (exp.dir / "blobs").iterdir() if name.is_file()]


def test_a_file_that_cannot_be_read_is_said_at_the_call(tmp_path: Path) -> None:
    with tracelet.start_logging(run_id="r") as exp, pytest.raises(FileNotFoundError, match="nope"):
        exp.log_artifact(tmp_path / "nope")


def test_a_flush_that_may_open_no_file_warns_and_does_not_raise() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    exp = tracelet.start_logging(run_id="r", courier="process")
    exp.log_metric("loss", 0.5, 0)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        with pytest.warns(tracelet.TraceletWarning, match="Too many open files"):
            assert not exp.flush(0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert exp.flush(60)
    assert exp.stop().complete
    assert local_points(exp.dir) == [0]
