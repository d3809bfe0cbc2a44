"""A run that many processes have added to can be read by one that may open few files."""

from __future__ import annotations

from pathlib import Path

from user_scripts import run_script

from tracelet.journal.rundir import RunDir
from tracelet.records import Text


def test_more_segments_than_files_that_may_be_open(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    for number in range(100):
        writer = run_dir.writer(chain=f"c{number}")
        writer.append(Text(float(number), f"line {number}"))
        writer.close()
    run_script(
        tmp_path,
        """
        import pathlib, resource
        from tracelet.journal.rundir import RunDir

        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        reader = RunDir(pathlib.Path("run")).reader()
        texts = [record.text for record in reader.records()]
        assert texts == [f"line {number}" for number in range(100)]
        """,
    )
