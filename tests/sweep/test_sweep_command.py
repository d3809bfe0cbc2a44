"""``tracelet sweep``: a script is run with every configuration of a file, and gone on with."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest
import trainings
from test_compare import command
from typer.testing import CliRunner
from user_scripts import Script
from waiting import eventually

import tracelet
from tracelet import Sweep
from tracelet.cli.app import app
from tracelet.sweep.script import Script as Training

SCRIPT = """
import argparse, sys, time
from pathlib import Path
import tracelet
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch_size", type=int)
parser.add_argument("--amp", action=argparse.BooleanOptionalAction)
parser.add_argument("--bad", type=float)
args = parser.parse_args()
Path(f"begun-{args.lr}").touch()
while args.lr == 3 and not Path("open").exists():
    time.sleep(0.01)
with tracelet.start_logging("inner") as exp:
    exp.log_metric("loss", args.lr)
    exp.set_tag("amp", str(args.amp))
if args.lr == args.bad:
    sys.exit("a bad rate")
"""


def run_in_a_process(tmp_path: Path, *arguments: str) -> Script:
    words = ", ".join(map(repr, ["tracelet", *arguments]))
    text = f"import sys; sys.argv = [{words}]; from tracelet.__main__ import main; main()"
    if Path("command.py").exists():
        Path("command.py").unlink()
    guarded = f"if __name__ == '__main__':\n    {text}\n"
    return Script(tmp_path, guarded, name="command.py")


def test_a_script_is_run_shown_killed_and_gone_on_with(tmp_path: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    Path("sweep.yaml").write_text(
        "- {lr: 1, batch_size: 8, amp: false}\n- {lr: 2.0, amp: true}\n- {lr: 3}\n"
    )
    arguments = ["sweep", "run", "sweep.yaml", "train.py", "--workers", "1", "--", "--bad", "2"]
    script = run_in_a_process(tmp_path, *arguments)
    eventually(lambda: Path("begun-3.0").exists())
    assert not json.loads(command("sweep", "show", "train", "--json"))["is_interrupted"]
    assert "time left" in command("sweep", "show", "train")
    below = psutil.Process(script.pid).children(recursive=True)
    script.signal(signal.SIGKILL)
    script.wait()
    assert not psutil.wait_procs(below, timeout=60)[1]  # nothing trains for nobody

    shown = json.loads(command("sweep", "show", "train", "--json"))
    assert [one["state"] for one in shown["configurations"]] == ["done", "failed", "running"]
    assert [one["config"] for one in shown["configurations"]][1] == {"lr": 2.0, "amp": True}
    assert "a bad rate" in shown["configurations"][1]["error"]
    assert shown["seconds_left"] is not None
    assert shown["is_interrupted"]
    page = command("sweep", "show", "train", columns=80)
    assert "what ran it is gone" in page
    assert "time left" not in page

    Path("open").touch()
    resumed = CliRunner().invoke(app, ["sweep", "resume", "train"])
    assert resumed.exit_code == 1
    assert "3 configurations, 2 done, 1 failed" in resumed.stdout
    page = command("sweep", "show", "--metric", "loss", columns=100).splitlines()
    assert page[0].split() == ["train", "of", "default"]
    assert [line.split()[:2] for line in page if line.split()[:1] in (["0"], ["1"], ["2"])] == [
        *(["0", "done"], ["1", "failed"], ["2", "done"])
    ]
    assert any(line.split()[:1] == ["best"] and "lr=1" in line for line in page)
    runs = {run.params["lr"]: run for run in tracelet.runs() if run.status != "killed"}
    assert {lr: run.status for lr, run in runs.items()} == {
        1: "finished",
        2.0: "failed",
        3: "finished",
    }
    assert {lr: run.tags["amp"] for lr, run in runs.items()} == {1: "False", 2: "True", 3: "None"}
    assert {run.metrics["loss"][0].value for run in runs.values()} == {1, 2, 3}


def test_a_sweep_over_a_function_that_can_be_imported_is_resumed() -> None:
    Sweep().product(lr=[1, 2]).set(at=2).run(trainings.fail_at, max_workers=1, project="demo")

    done = CliRunner().invoke(app, ["sweep", "resume", "fail_at", "--retry-failed"])

    assert done.exit_code == 1
    assert "2 configurations, 1 done, 1 failed" in done.stdout
    assert "no 2" in done.stdout
    assert len(tracelet.runs("demo")) == 3


def test_a_sweep_that_only_its_script_can_resume_says_which(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        Sweep().product(lr=[1]).run(lambda lr: lr, name="local", executor=executor)

    with pytest.raises(ValueError, match="'local' can be resumed only by its own script: python "):
        command("sweep", "resume", "local")


def test_options_are_spelled_as_the_script_spells_them(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import click\n"
        "@click.command()\n"
        "@click.option('--batch-size', type=int)\n"
        "@click.option('--amp/--no-amp')\n"
        "@click.option('--fast', is_flag=True)\n"
        "@click.option('--deep', type=bool)\n"
        "def train(**_): ...\n"
        "train()\n"
    )
    training = Training.of(Path("train.py"), ("x",), tmp_path)

    config = {"batch_size": 8, "amp": False, "fast": True, "deep": False, "layers": [1, 2]}
    config |= {"a.b": "c d", "none": None}

    assert training.command(config)[1:] == [
        *(str(tmp_path / "train.py"), "x", "--batch-size", "8", "--no-amp", "--fast"),
        *("--deep", "False", "--layers", "1", "2", "--a.b", "c d"),
    ]
    assert "--fast" not in training.command({"fast": False})


def test_a_value_that_begins_with_a_dash_is_no_option(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--offset', type=float)\n"
        "parser.add_argument('--note')\n"
        "args = parser.parse_args()\n"
        "assert (args.offset, args.note) == (-1e-5, '-x'), args\n"
    )

    Training.of(Path("train.py"), (), tmp_path)({"offset": -1e-5, "note": "-x"})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["show", "nothing"], LookupError, "no sweep 'nothing'.*there are: none"),
        (["resume"], LookupError, "no sweep"),
        (["run", "gone.yaml", "train.py"], FileNotFoundError, r"gone\.yaml"),
        (["run", "sweep.json", "gone.py"], FileNotFoundError, r"gone\.py"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], error: type, message: str) -> None:
    Path("sweep.json").write_text("[{}]")

    with pytest.raises(error, match=message):
        command("sweep", *arguments)
