"""A bug in an adapter is not the fault of a record: nothing is rejected, all of it comes later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from user_scripts import Script

import tracelet

POINTS = 300
ADAPTER = """
from pathlib import Path
from tracelet import Backend, Capabilities, RunLink

class Adapter(Backend):
    name = "adapter"
    capabilities = Capabilities.everything(batch_limit=50)

    def __init__(self, store=""):
        super().__init__()
        self.store = Path(store)

    def note(self, what):
        with (self.store / what).open("a") as file:
            file.write("x\\n")

    def open(self, run):
        return RunLink(run.run_id)

    def log_params(self, params):
        self.note("params")

    def log_metrics(self, batch):
        self.note("calls")
        {fault}
        with (self.store / "points").open("a") as file:
            file.writelines(f"{{point.iteration}}\\n" for point in batch)

    def log_artifact(self, artifact):
        self.note("artifacts")

    def close(self, status):
        self.note(f"closed-{{status}}")
"""
TRAINING = f"""
import sys, tracelet
options = dict(adapter=dict(store=sys.argv[2]))
config = dict(backends=options, courier=sys.argv[1], capture=False, system_metrics=False)
with tracelet.start_logging(run_id="r", backend="adapter:Adapter", config=config) as exp:
    exp.log_params(lr=0.1)
    for iteration in range({POINTS}):
        exp.log_metric("loss", 0.5, iteration)
"""
BUGS = {
    "AttributeError": "self.points.append(batch)",
    "NameError": "points.append(batch)",
    "ImportError": "from os import pathlib_of_tomorrow",
    "a call with too many arguments": "self.note('calls', 2)",
    "the same TypeError for each record": "'points: ' + len(batch)",
    "the same KeyError for each record": "{}['points']",
}


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def tracelet_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tracelet", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("courier", ["process", "thread"])
@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_an_adapter_rejects_nothing_and_all_comes_when_it_is_mended(
    tmp_path: Path, bug: str, courier: str
) -> None:
    adapter = tmp_path / "adapter.py"
    adapter.write_text(ADAPTER.format(fault=BUGS[bug]))
    script = Script(tmp_path, TRAINING, courier, tmp_path)
    script.succeed()
    assert "broken: " in script.output
    assert "then: tracelet sync" in script.output
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    one = run.report["adapter"]
    # What was taken in the same batch as the first refused record is sent again.
    assert (one.accepted, one.rejected) == (POINTS + 1, 0)
    assert one.pending in (POINTS, POINTS + 1)
    assert one.health == "broken"
    assert not (run.dir / "rejected").exists()
    assert len(lines(tmp_path / "calls")) < 40

    again = tracelet_command(tmp_path, "sync", "r")
    assert again.returncode == 1, "it is broken still"
    adapter.write_text(ADAPTER.format(fault="pass"))
    mended = tracelet_command(tmp_path, "sync", "r")
    assert mended.returncode == 0, mended.stderr
    one = tracelet.load_run(run.dir).report["adapter"]
    assert (one.delivered, one.rejected, one.pending) == (POINTS + 1, 0, 0)
    assert (one.health, one.closed) == ("ok", "finished")
    assert [int(line) for line in lines(tmp_path / "points")] == list(range(POINTS))


def test_a_tracker_that_refuses_every_record_is_asked_about_once_for_each(tmp_path: Path) -> None:
    fault = "raise ValueError(f'no such metric: {batch[0].iteration}')"
    (tmp_path / "adapter.py").write_text(ADAPTER.format(fault=fault))
    Script(tmp_path, TRAINING, "thread", tmp_path).succeed()
    one = tracelet.load_run(tmp_path / ".tracelet/default/r").report["adapter"]
    assert (one.delivered, one.rejected, one.pending) == (1, POINTS, 0)
    assert one.health == "degraded"
    assert len(lines(tmp_path / "calls")) < 1.2 * POINTS
    refused = lines(tmp_path / ".tracelet/default/r/rejected/adapter.jsonl")
    assert len(refused) == POINTS
    assert "no such metric: 299" in refused[-1]
