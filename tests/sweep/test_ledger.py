"""What became of a configuration is what the ledger's lines say, in whatever order they came."""

from __future__ import annotations

import itertools
import os
import socket
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.sweep.ledger import Entry, SweepDir

LINES = st.tuples(
    st.sampled_from(["pending", "running", "done", "failed"]), st.integers(1, 3), st.floats(0, 9)
)


def entry(state: str, attempt: int, time: float = 0.0) -> Entry:
    return Entry("a-0", state, attempt, time)  # type: ignore[arg-type]


def written(directory: Path, *files: list[Entry]) -> SweepDir:
    """A ledger that several processes have written."""
    sweep_dir = SweepDir(directory)
    sweep_dir.create()
    for number, entries in enumerate(files):
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in entries)
        (sweep_dir.ledger / f"host-{number}.jsonl").path.write_bytes(lines)
    return sweep_dir


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ([("pending", 1), ("running", 1), ("done", 1)], "done"),
        ([("pending", 1), ("running", 1), ("failed", 1)], "failed"),
        ([("pending", 1), ("running", 1)], "running"),
        ([("failed", 1), ("pending", 2)], "pending"),
        ([("failed", 1), ("running", 2)], "running"),
        ([("failed", 1), ("done", 2)], "done"),
        ([("running", 1), ("pending", 2), ("done", 1)], "done"),  # of a worker that was left behind
        ([("done", 1), ("failed", 2)], "done"),
    ],
)
def test_done_is_done_and_else_the_latest_attempt_counts(
    lines: list[tuple[str, int]], state: str, tmp_path: Path
) -> None:
    for number, order in enumerate(itertools.permutations(lines)):
        entries = [[entry(*line, time=-place)] for place, line in enumerate(order)]
        assert written(tmp_path / str(number), *entries).entries()["a-0"].state == state


@settings(max_examples=40, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_neither_clocks_nor_the_order_of_files_matter(lines: list, random) -> None:  # type: ignore[no-untyped-def, type-arg]
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        before = written(Path(first), [entry(*line) for line in lines]).entries()["a-0"]
        random.shuffle(lines)
        half = len(lines) // 2
        files = (
            [entry(state, attempt) for state, attempt, _ in part]
            for part in (lines[:half], lines[half:])
        )
        after = written(Path(second), *files).entries()["a-0"]

    assert (after.state, after.attempt) == (before.state, before.attempt)


def test_a_line_that_was_being_written_is_left_out(tmp_path: Path) -> None:
    sweep_dir = written(tmp_path, [entry("running", 1)])
    file = next(sweep_dir.ledger.path.iterdir())
    file.write_bytes(file.read_bytes() + msgspec.json.encode(entry("done", 1))[:-9])

    assert sweep_dir.entries()["a-0"].state == "running"

    file.rename(file.with_name(f"{socket.gethostname()}-{os.getpid()}.jsonl"))
    sweep_dir.append([entry("failed", 1)])  # by a process that has its number
    assert len(sweep_dir.ledger.names()) == 1
    assert sweep_dir.entries()["a-0"].state == "failed"


def test_the_configuration_is_kept_from_the_line_that_has_it(tmp_path: Path) -> None:
    first = msgspec.structs.replace(entry("pending", 1), config={"lr": 1})
    sweep_dir = written(tmp_path, [first])
    sweep_dir.append([entry("done", 1)])

    assert sweep_dir.entries()["a-0"].config == {"lr": 1}
    assert len(sweep_dir.ledger.names()) == 2
