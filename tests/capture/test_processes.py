"""Of all processes of a program, the one that begins the run captures, however it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from user_scripts import run_script

import tracelet

CHILDREN = """
import argparse, json, multiprocessing, os, subprocess, sys
import tracelet
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
def child(lr):
    parser.parse_args(["--lr", lr])
    tracelet.get_active_experiment().log_metric("child", float(lr))
    tracelet.start_logging().log_metric("joined", float(lr))
if __name__ == "__main__":
    with tracelet.start_logging(capture=["argparse"], log_environment=["HOME"]):
        parser.parse_args()
        for number, method in enumerate(("fork", "spawn")):
            process = multiprocessing.get_context(method).Process(target=child, args=(f"{number}",))
            process.start()
            process.join()
            assert process.exitcode == 0
        subprocess.run([sys.executable, "child.py", "--lr", "9"], check=True)
"""


def test_a_child_process_captures_nothing(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(
        "import argparse, tracelet\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr')\nparser.parse_args()\n"
        "exp = tracelet.start_logging()\nexp.log_metric('child', 9)\nexp.stop()\n"
    )
    run_script(tmp_path, CHILDREN, "--lr", "3", environment={"HOME": "/home"})

    (run,) = tracelet.runs()
    assert run.params.flat() == {"Args/lr": 3.0, "Environment/HOME": "/home"}
    assert len(run.params.history("Args/lr")) == len(run.params.history("Environment/HOME")) == 1
    assert sorted(point.value for point in run.metrics["child"]) == [0, 1, 9]
    assert len(run.metrics["joined"]) == 2


def test_of_a_distributed_job_the_first_process_captures(tmp_path: Path) -> None:
    script = """
import argparse, tracelet
parser = argparse.ArgumentParser()
parser.add_argument("--lr")
parser.parse_args()
with tracelet.start_logging(capture=["argparse"]) as exp: print(exp.params.flat())
"""
    said = run_script(tmp_path, script, "--lr", "1", environment={"RANK": "1"})
    assert said.splitlines()[0] == "{}"
    assert not (tmp_path / ".tracelet").exists()


def test_two_runs_at_once_both_have_the_arguments(tmp_path: Path) -> None:
    script = """
import argparse, tracelet
parser = argparse.ArgumentParser()
parser.add_argument("--lr")
runs = [tracelet.Experiment("net", capture=["argparse"]).start() for _ in range(2)]
parser.parse_args(["--lr", "1"])
runs[0].stop()
parser.parse_args(["--lr", "2"])
runs[1].log("the run goes on with these arguments")
runs[1].stop()
print([run.params.flat() for run in runs])
"""
    said = run_script(tmp_path, script)
    assert "[{'Args/lr': '1'}, {'Args/lr': '2'}]" in said.splitlines()


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "os._exit(0)"])
def test_what_a_run_has_captured_is_there_however_it_ends(end: str, tmp_path: Path) -> None:
    script = f"""
import argparse, os, tracelet
parser = argparse.ArgumentParser()
parser.add_argument("--lr")
tracelet.start_logging(capture=["argparse"])
parser.parse_args(["--lr", "1"])
try: {end or "pass"}
except SystemExit: pass
"""
    run_script(tmp_path, script)
    assert tracelet.load_run().params.flat() == {"Args/lr": "1"}
