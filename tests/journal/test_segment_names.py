"""A segment never takes the name of one that is there, compressed or not."""

from __future__ import annotations

from pathlib import Path

from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import compact
from tracelet.records import Text


def test_a_process_that_goes_on_with_a_compressed_run_keeps_what_it_holds(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.create()
    for text in ("first", "second", "third"):
        writer = run_dir.writer()
        writer.append(Text(1.0, text))
        writer.close()
        assert compact(run_dir.journal)

    reader = run_dir.reader()
    assert [record.text for record in reader.records()] == ["first", "second", "third"]
    reader.close()
