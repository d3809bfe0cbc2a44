"""The configuration that hydra composes is captured, and so are its overrides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from user_scripts import Script, run_script

import tracelet

CONFIG = {
    "conf/config.yaml": """
defaults: [{db: sqlite}, _self_]
lr: 0.1
twice: ${double:${lr}}
output: ${hydra:runtime.output_dir}
password: hunter2
model: {depth: 3, lr: "${lr}", layers: [1, 2], nothing: null}
""",
    "conf/db/sqlite.yaml": "name: sqlite\n",
    "conf/db/mysql.yaml": "{name: mysql, port: 1}\n",
}
SCRIPT = """
{begin}
import hydra
from omegaconf import OmegaConf
OmegaConf.register_new_resolver("double", lambda value: 2 * value)
{start}
@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    assert type(cfg).__name__ == "DictConfig" and "hydra" not in cfg
    {within}
main()
{end}
"""
NAMES = ["hydra", "argparse"]
RUN = f"exp = tracelet.start_logging(dir={{root!r}}, capture={NAMES}); exp.stop()"
WHERE = {
    "the run begins before": {
        "begin": "import tracelet",
        "start": f"exp = tracelet.start_logging(dir={{root!r}}, capture={NAMES})",
        "end": "exp.stop()",
    },
    "the run begins in the job": {"begin": "import tracelet", "within": RUN},
    "tracelet is imported in the job": {"within": f"import tracelet; {RUN}"},
    "the run begins after the job": {"begin": "import tracelet", "end": RUN},
}
OVERRIDES = ("lr=0.5", "db=mysql", "+new.x=[1,2]", "~model.layers", "+db.password=hunter2")


def script(directory: Path, where: dict[str, str]) -> str:
    for name, content in CONFIG.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    parts = {"begin": "", "start": "", "within": "pass", "end": "", **where}
    root = str(directory / ".tracelet")
    return SCRIPT.format(**{name: part.format(root=root) for name, part in parts.items()})


@pytest.mark.parametrize("where", WHERE)
def test_configuration_and_overrides_are_captured_when(where: str, tmp_path: Path) -> None:
    run_script(tmp_path, script(tmp_path, WHERE[where]), *OVERRIDES)

    run = tracelet.load_run()
    found = run.configurations["OmegaConf"]
    output = found["resolved"].pop("output")
    assert Path(output).parent.parent == tmp_path / "outputs"
    assert found["unresolved"].pop("output") == "${hydra:runtime.output_dir}"
    db = {"name": "mysql", "port": 1, "password": "[redacted]"}
    model = {"depth": 3, "lr": 0.5, "nothing": None}
    same = {"db": db, "lr": 0.5, "password": "[redacted]", "new": {"x": [1, 2]}}
    assert found["resolved"] == {**same, "twice": 1.0, "model": model}
    assert found["unresolved"] == {
        **same,
        "twice": "${double:${lr}}",
        "model": {**model, "lr": "${lr}"},
    }
    assert run.params.flat() == {
        "Hydra/overrides": [*OVERRIDES[:4], "+db.password=[redacted]"],
        "Hydra/lr": 0.5,
        "Hydra/db": "mysql",
        "Hydra/new.x": [1, 2],
        "Hydra/db.password": "[redacted]",
    }


def test_each_job_of_a_sweep_has_its_own(tmp_path: Path) -> None:
    text = script(tmp_path, WHERE["the run begins in the job"])
    run_script(tmp_path, text, "-m", "lr=0.5,0.25", "db=mysql")

    runs = sorted(tracelet.runs(), key=lambda run: run.started)
    assert [run.params["Hydra/lr"] for run in runs] == [0.5, 0.25]
    assert [run.configurations["OmegaConf"]["resolved"]["twice"] for run in runs] == [1.0, 0.5]


def test_no_secret_of_an_override_is_anywhere(tmp_path: Path) -> None:
    given = ["+db.passwords=[hunter2,hunter3]", "++db.token='hunter4, hunter5'", "+n.a=[1,b]"]
    run_script(
        tmp_path, script(tmp_path, WHERE["the run begins in the job"]), "-cn", "config", *given
    )

    run = tracelet.load_run()
    hidden = ["+db.passwords=[redacted]", "++db.token=[redacted]", "+n.a=[1,b]"]
    assert run.facts["argv"][1:] == ["-cn", "config", *hidden]
    assert run.params["Hydra/overrides"] == hidden
    assert run.params["Hydra/n.a"] == [1, "b"]
    for file in run.dir.rglob("*"):
        assert not file.is_file() or b"hunter" not in file.read_bytes(), file


def test_no_secret_of_a_variable_is_anywhere(tmp_path: Path) -> None:
    given = ["+hub=${oc.env:HF_TOKEN}", "+a.b=['${hub}',2]", "+own=${oc.env:CITY}", "++lr=1"]
    given += ["+here=${oc.env:PWD}/data", "+off=${oc.env:USE_AUTH}"]
    variables = {"HF_TOKEN": "hunter2", "CITY": "Ulm", "PWD": "/home/me", "USE_AUTH": "false"}
    text = script(tmp_path, WHERE["the run begins in the job"])
    run_script(tmp_path, text, *given, environment=variables)

    run = tracelet.load_run()
    assert run.configurations["OmegaConf"]["resolved"]["hub"] == "[redacted]"
    assert run.configurations["OmegaConf"]["resolved"]["a"] == {"b": ["[redacted]", 2]}
    assert run.configurations["OmegaConf"]["unresolved"]["hub"] == "${oc.env:HF_TOKEN}"
    assert run.params["Hydra/own"] == "Ulm"
    assert run.params["Hydra/here"] == "/home/me/data"
    assert run.params["Hydra/off"] == "false"
    for file in run.dir.rglob("*"):
        # The configuration of these tests has a password of the same value, hidden by its name.
        assert not file.is_file() or b"hunter" not in file.read_bytes(), file


def test_no_secret_of_a_multirun_is_in_the_command_line(tmp_path: Path) -> None:
    text = script(tmp_path, WHERE["the run begins in the job"])
    run_script(tmp_path, text, "-m", "+db.token=hunter2,hunter3", "lr=1,2")

    for run in tracelet.runs():
        assert run.facts["argv"][1:] == ["-m", "+db.token=[redacted]", "lr=1,2"]


def test_single_overrides_can_be_left_out(tmp_path: Path) -> None:
    text = script(tmp_path, WHERE["the run begins in the job"])
    run_script(tmp_path, text, *OVERRIDES[:2], environment={"TRACELET_CAPTURE_ARGUMENTS": "db=no"})

    assert tracelet.load_run().params.flat() == {"Hydra/overrides": ["lr=0.5"], "Hydra/lr": 0.5}


COMPOSE = """
import tracelet
from hydra import compose, initialize
with initialize(version_base="1.3", config_path="conf"):
    cfg = compose("config", overrides=["db=mysql", "output=here", "twice=1"])
exp = tracelet.start_logging(capture=["hydra"])
exp.stop()
"""


STRUCTURED = """
import enum, hydra, tracelet, typing
from dataclasses import dataclass, field
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING
class Mode(enum.Enum): SLOW = 1; FAST = 2
@dataclass
class Optimizer: beta: float = 0.9
@dataclass
class Config:
    n: int = 1
    rate: float = 1
    optimizer: Optimizer = field(default_factory=Optimizer)
    mode: Mode = Mode.SLOW
    missing: int = MISSING
    path: typing.Optional[str] = None
    sizes: typing.List[int] = field(default_factory=lambda: [1])
ConfigStore.instance().store(name="config", node=Config)
@hydra.main(config_path=None, config_name="config", version_base="1.3")
def main(cfg):
    cfg.n = 7
    tracelet.start_logging(dir={!r}, capture=["hydra"]).stop()
    assert cfg.mode is Mode.FAST and cfg.n == 7
main()
"""


def test_a_structured_configuration_keeps_its_types(tmp_path: Path) -> None:
    """It is the one that was composed: what the program changes is its own."""
    text = STRUCTURED.format(str(tmp_path / ".tracelet"))
    run_script(tmp_path, text, "n=3", "optimizer.beta=1", "mode=FAST", "+sizes=[2]", "path=null")

    run = tracelet.load_run()
    assert repr(run.configurations["OmegaConf"]["resolved"]) == repr(
        {
            "n": 3,
            "rate": 1.0,
            "optimizer": {"beta": 1.0},
            "mode": 2,
            "missing": "???",
            "path": None,
            "sizes": [2],
        }
    )
    assert {key: repr(value) for key, value in run.params.items()} == {
        "Hydra/overrides": "['n=3', 'optimizer.beta=1', 'mode=FAST', '+sizes=[2]', 'path=null']",
        "Hydra/n": "3",
        "Hydra/optimizer.beta": "1.0",
        "Hydra/mode": "2",
        "Hydra/sizes": "[2]",
        "Hydra/path": "None",
    }


def test_what_hydra_compose_returns_is_captured(tmp_path: Path) -> None:
    script(tmp_path, {})
    run_script(tmp_path, COMPOSE)

    run = tracelet.load_run()
    assert run.configurations["OmegaConf"]["resolved"]["db"] == {"name": "mysql", "port": 1}
    assert run.params["Hydra/db"] == "mysql"


def test_what_cannot_be_resolved_stays_as_it_is(tmp_path: Path) -> None:
    text = script(tmp_path, WHERE["the run begins in the job"])
    missing = "${oc.env:NO_SUCH_VARIABLE}"
    run_script(tmp_path, text, f"+missing={missing}", f"+model.missing={missing}")

    found: Any = tracelet.load_run().configurations["OmegaConf"]
    model = {"depth": 3, "layers": [1, 2], "nothing": None, "missing": missing}
    assert found["unresolved"]["model"] == {**model, "lr": "${lr}"}
    assert found["resolved"]["model"] == {**model, "lr": 0.1}
    assert found["resolved"]["missing"] == missing
    assert found["resolved"]["twice"] == 0.2
    assert "hunter2" not in json.dumps(found)


JOBS = """
import hydra, sys, tracelet
@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    exp = tracelet.start_logging({arguments})
    exp.log_metric("loss", cfg.lr)
    if cfg.lr == 2:
        raise ValueError("no")
    {then}
{before}
main()
"""
MULTIRUN = ("-m", "lr=1,2,3", "hydra.sweep.dir=out")
BEGUN = {
    "the runs are not stopped": {"arguments": "dir={root!r}", "then": "pass", "before": ""},
    "nothing is captured": {
        "arguments": "dir={root!r}, capture=False",
        "then": "pass",
        "before": "",
    },
    "the last one is stopped": {
        "arguments": "dir={root!r}",
        "then": "exp.stop() if cfg.lr == 3 else None",
        "before": "",
    },
}


@pytest.mark.parametrize("begun", BEGUN)
def test_a_run_ends_with_its_job_and_with_the_outcome_of_that_when(
    begun: str, tmp_path: Path
) -> None:
    root = str(tmp_path / ".tracelet")
    parts = {name: part.format(root=root) for name, part in BEGUN[begun].items()}
    script(tmp_path, {})  # the configuration
    program = Script(tmp_path, JOBS.format(**parts), *MULTIRUN)
    assert program.wait() == 1, program.output
    runs = sorted(tracelet.runs(), key=lambda run: run.started)
    assert [run.status for run in runs] == ["finished", "failed", "finished"]
    assert [run.reason for run in runs] == [None, "ValueError: no", None]
    assert [[point.value for point in run.metrics["loss"]] for run in runs] == [[1], [2], [3]]
    if begun != "nothing is captured":
        assert [run.params["Hydra/lr"] for run in runs] == [1, 2, 3]
        found = [run.configurations["OmegaConf"]["resolved"]["lr"] for run in runs]
        assert found == [1, 2, 3]
        assert {len(run.params.history("Hydra/lr")) for run in runs} == {1}
    assert "has parsed or composed again" not in program.output


def test_a_run_that_began_before_the_jobs_goes_on_and_keeps_the_first_configuration(
    tmp_path: Path,
) -> None:
    text = script(
        tmp_path,
        {
            "begin": "import tracelet",
            "start": "exp = tracelet.start_logging(dir={root!r}, capture=['hydra'])",
            "end": "assert exp.params['Hydra/lr'] == 1, exp.params\nexp.log_metric('loss', 1.0)",
        },
    )
    said = run_script(tmp_path, text, *MULTIRUN)
    (run,) = tracelet.runs()
    assert run.status == "finished"
    assert [change.value for change in run.params.history("Hydra/lr")] == [1, 3]
    assert "these belong to it now: OmegaConf" in said


def test_a_run_that_ends_with_its_job_ends_in_a_single_run_too(tmp_path: Path) -> None:
    text = script(
        tmp_path,
        {
            "begin": "import tracelet",
            "within": "tracelet.start_logging(dir={root!r})",
            "end": "assert tracelet.get_active_experiment() is None",
        },
    )
    run_script(tmp_path, text)
    assert tracelet.load_run().status == "finished"
