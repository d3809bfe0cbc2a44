"""What a session folder holds of a run: where things are, and nothing of the delivering process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clearml_reader import Session, sessions
from conftest import Start

import tracelet
from tracelet.core.experiment import Experiment
from tracelet.errors import SettingsError
from tracelet_clearml import task
from tracelet_clearml.backend import is_offline


def ended(exp: Experiment, *status: Any) -> Session:
    report = exp.stop(*status)["clearml"]
    assert (report.pending, report.rejected) == (0, 0), report
    assert exp.dir is not None
    (found,) = sessions(exp.dir.parent.parent.parent, exp.links["clearml"].id)
    return found


def test_a_session_is_in_the_directory_of_its_run(start: Start, tmp_path: Path) -> None:
    found = ended(exp := start(courier="thread"))
    assert exp.dir is not None
    assert found.folder == exp.dir / "clearml" / exp.links["clearml"].id
    assert exp.links["clearml"].url == found.folder.as_uri()
    assert list((tmp_path / "home").rglob("*")) == []


def test_a_session_is_in_the_cache_of_the_sdk_if_that_was_set(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_CACHE_DIR", str(tmp_path / "cache"))
    found = ended(start(courier="thread"))
    assert found.folder.parent == tmp_path / "cache" / "offline"


def test_the_task_has_name_project_type_and_output(start: Start) -> None:
    options = {"offline": True, "task_type": "testing", "output_uri": "s3://bucket/folder"}
    found = ended(start("näme", options, project="a/b", courier="thread"))
    assert (found.task["name"], found.task["project_name"]) == ("näme", "a/b")
    assert found.task["type"] == "testing"
    assert found.task["output"]["destination"] == "s3://bucket/folder"


def test_a_short_name_is_lengthened_and_exact_beside(start: Start) -> None:
    found = ended(start("r", project="p", courier="thread"))
    assert (found.task["name"], found.task["project_name"]) == ("r__", "p__")
    assert (found.read_back().name, found.read_back().project) == ("r", "p")


def test_parameters_are_typed_and_in_their_sections(start: Start) -> None:
    exp = start(params={"Args/lr": 0.1, "depth": 3, "on": True, "no": None}, courier="thread")
    exp.set_parameter("Args/lr", 0.2)
    assert ended(exp).task["hyperparams"] == {
        "Args": {"lr": {"section": "Args", "name": "lr", "value": "0.2", "type": "float"}},
        "General": {
            "depth": {"section": "General", "name": "depth", "value": "3", "type": "int"},
            "on": {"section": "General", "name": "on", "value": "True", "type": "bool"},
            "no": {"section": "General", "name": "no", "value": ""},
        },
    }


def test_a_diverged_loss_is_a_mark_and_never_a_number_of_its_chart(start: Start) -> None:
    exp = start(courier="thread")
    for iteration, value in enumerate([1.0, math.nan, math.inf, -math.inf, 2.0]):
        exp.log_metric("train/loss", value, iteration)
    found = ended(exp)
    shown = [(one["metric"], one["variant"], one["iter"], one["value"]) for one in found.scalars]
    assert shown == [
        ("train", "loss", 0, 1.0),
        ("train (NaN)", "loss", 1, 1.0),
        ("train (Infinity)", "loss", 2, 1.0),
        ("train (-Infinity)", "loss", 3, 1.0),
        ("train", "loss", 4, 2.0),
    ]
    assert [line["iteration"] for line in found.read_back().adjusted] == [1, 2, 3]


def test_configuration_objects_are_texts_and_what_is_none_is_a_file(
    start: Start, tmp_path: Path
) -> None:
    exp = start(courier="thread")
    exp.connect_configuration({"nan": math.nan}, name="tracelet")
    for name, content in {"a.yaml": b"x: 1\r\n", "b.bin": b"\xff\x00"}.items():
        (tmp_path / name).write_bytes(content)
        exp.connect_configuration(tmp_path / name, name=name)
    exp.connect_configuration(["long " * 300_000], name="long")
    (tmp_path / "user").write_bytes(b"the user's")
    exp.log_artifact(tmp_path / "user", "configs/b.bin")
    found = ended(exp)
    assert found.configuration["a.yaml"]["value"] == "x: 1\r\n"
    assert found.configuration["a.yaml"]["type"] == "yaml"
    assert found.configuration["b.bin"]["type"] == "tracelet/file"
    configs = found.configs()
    assert math.isnan(configs["tracelet"]["nan"])
    assert configs["b.bin"] == b"\xff\x00"
    assert json.loads(configs["long"]) == ["long " * 300_000]
    assert found.artifacts()["artifacts/configs/b.bin"] == b"the user's"
    told = [line.get("config") or line["artifact"] for line in found.read_back().adjusted]
    assert sorted(told) == ["b.bin", "configs/b.bin", "long"]


def test_a_property_has_one_type_and_what_that_loses_is_adjusted(start: Start) -> None:
    exp = start(courier="thread")
    exp.set_user_properties({"name": "score", "value": 0.5, "type": "float"}, owner="me")
    exp.set_user_properties({"name": "size", "value": 3, "type": "megabytes"})
    found = ended(exp)
    shown = found.task["hyperparams"]["properties"]
    assert (shown["size"]["value"], shown["size"]["type"]) == ("3", "megabytes")
    assert found.properties()["score"].value == 0.5
    (line,) = found.read_back().adjusted
    assert (line["property"], line["value"], line["type"]) == ("size", 3, "megabytes")


def test_tags_are_shown_by_name_and_value_and_exact_beside(start: Start) -> None:
    exp = start(group="sweep", tags={"a:b": "c", "stage": "one"}, courier="thread")
    exp.set_tags({"stage": "two"})
    found = ended(exp)
    assert found.task["tags"] == ["group:sweep", "a:b:c", "stage:two"]
    assert found.own["tags"] == {"a:b": "c", "stage": "two"}


@pytest.mark.parametrize(
    ("status", "shown"), [("finished", "completed"), ("failed", "failed"), ("killed", "stopped")]
)
def test_the_task_says_how_the_run_ended(start: Start, status: Any, shown: str) -> None:
    exp = start(courier="thread")
    found = ended(exp, status)
    assert found.task["status"] == shown
    assert found.own["status"] == status
    assert exp.dir is not None
    at = tracelet.load_run(exp.dir).ended
    assert found.own["ended"] == at
    assert found.task["completed"] == task.stamp(at or 0.0)


def script_of(*argv: str, cwd: Path, **git: Any) -> dict[str, Any]:
    facts = {"argv": list(argv), "cwd": str(cwd), "python": "3.12.1", "git": git or None}
    run = tracelet.RunInfo(run_id="r", name="r", project="p", dir="/", started=0.0, facts=facts)
    return task.script(run)


def test_script_and_repository_are_those_of_the_training(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    git = {"commit": "c0ffee", "branch": "main", "remote": "https://host/repo"}
    shown = script_of("train.py", "--lr=1", cwd=jobs, root=str(tmp_path), **git)
    assert shown == {
        "binary": "python",
        "repository": "https://host/repo",
        "branch": "main",
        "version_num": "c0ffee",
        "entry_point": "train.py",
        "working_dir": "jobs",
        "diff": "",
        "requirements": {"pip": "# Python 3.12.1\n"},
    }


def test_a_script_is_found_from_the_working_directory(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    places = {
        tmp_path: ("jobs/train.py", "."),
        root: ("jobs/train.py", "."),
        root / "data": ("../jobs/train.py", "data"),
    }
    for cwd, (entry_point, working_dir) in places.items():
        shown = script_of(str(root / "jobs/train.py"), cwd=cwd, root=str(root), commit=None)
        assert (shown["entry_point"], shown["working_dir"]) == (entry_point, working_dir)
    shown = script_of("train.py", cwd=tmp_path)
    assert (shown["entry_point"], shown["working_dir"]) == ("train.py", str(tmp_path))


TRAINING = """
import tracelet
options = {"backends": {"clearml": {"offline": True}}, "capture": ["git", "packages"]}
tracelet.start_logging("run", "vision", "clearml", config=options).stop()
"""


def test_what_is_not_committed_and_the_packages_are_shown_with_the_script() -> None:
    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)

    git = ("git", "-c", "user.name=n", "-c", "user.email=n@host")
    Path("train.py").write_text("depth = 1\n")
    run(*git, "init", "--initial-branch=main")
    run(*git, "add", "train.py")
    run(*git, "commit", "--message=first")
    Path("train.py").write_text(f"depth = 2\n{TRAINING}")
    run(sys.executable, "train.py")
    (found,) = sessions(Path.cwd())
    script = found.task["script"]
    assert (script["entry_point"], script["working_dir"]) == ("train.py", ".")
    assert (script["branch"], len(script["version_num"])) == ("main", 40)
    assert "-depth = 1\n+depth = 2\n" in script["diff"]
    assert script["requirements"]["pip"].startswith("# Python 3.")
    assert "\nclearml==" in script["requirements"]["pip"]


def test_nothing_in_the_task_is_of_the_process_that_delivers(start: Start) -> None:
    found = ended(start())
    assert found.task["script"]["entry_point"] == task.script(
        tracelet.RunInfo(
            run_id="r", name="r", project="p", dir="/", started=0.0,
            facts={"argv": sys.argv, "cwd": str(Path.cwd())},
        )
    )["entry_point"]  # fmt: skip
    assert "courier" not in json.dumps(found.task["script"])
    assert found.own["command"][0] == sys.argv[0]


@pytest.mark.parametrize(
    ("option", "variable", "offline"),
    [
        (True, None, True), (False, "1", False), (None, None, False), (None, "1", True),
        (None, "2.20", True), (None, "false", False), ("true", None, True), ("0", "1", False),
    ],
)  # fmt: skip
def test_the_option_decides_else_the_variable_of_the_sdk(
    option: Any, variable: str | None, offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv("CLEARML_OFFLINE_MODE", variable)
    assert is_offline(option) is offline


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"offline": "perhaps"}, "true or false"),
        ({"output_uri": 3}, "is a str"),
        ({"task_type": "nap"}, "training, testing"),
        ({"tracking_uri": "x"}, "offline, output_uri, task_type"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_at_the_start(
    start: Start, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        start(options=options)
    assert not (tmp_path / "runs").exists()


def test_the_sdk_neither_hooks_into_the_process_nor_prints(tmp_path: Path) -> None:
    script = """
import signal, sys, threading, tracelet
before = (sys.excepthook, sys.exit, [signal.getsignal(number) for number in (2, 15)])
config = {"dir": sys.argv[1], "courier": "thread", "backends": {"clearml": {"offline": True}}}
exp = tracelet.start_logging("run", backend="clearml", config={**config, "capture": False})
exp.log_metric("loss", 1.0)
report = exp.stop()
assert report["clearml"].delivered == 1, report
assert before == (sys.excepthook, sys.exit, [signal.getsignal(number) for number in (2, 15)])
assert [one.name for one in threading.enumerate()] == ["MainThread"], threading.enumerate()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path / "home")},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    left = [path.name for path in (tmp_path / "home").iterdir()]
    assert [name for name in left if not name.startswith("tracelet-")] == []
