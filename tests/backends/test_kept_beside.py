"""What a tracker cannot hold as given is kept by its backend, exactly, in files of the core."""

from __future__ import annotations

from pathlib import Path

from tracelet.backends.base import Property
from tracelet.backends.memory import MemoryBackend
from tracelet.records import MetricPoint


def test_what_is_adjusted_is_counted_and_kept_exactly(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.scratch = tmp_path / "scratch"
    backend.adjusted_point(MetricPoint("loss", float("nan"), 3, "iteration", 1.0), "no NaN")
    backend.adjusted_param("lr", [0.1], "no lists")
    backend.adjusted_tag("team", "x" * 9, "too long")
    backend.adjusted_property("note", Property("text", "a note", "str"), "no types")
    assert backend.adjustments == 4
    kept = (tmp_path / "scratch/tracelet/adjusted.jsonl").read_text().splitlines()
    assert ["no NaN" in kept[0], '"lr"' in kept[1], '"team"' in kept[2], '"note"' in kept[3]] == [
        True
    ] * 4
    backend.keep_params({"lr": 0.1, "layers": [1, 2]})
    backend.keep_params({"lr": 0.2}, removed=["layers"])
    assert (tmp_path / "scratch/parameters.json").read_text() == '{\n  "lr": 0.2\n}\n'
