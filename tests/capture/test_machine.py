"""What a run runs on, among its facts."""

from __future__ import annotations

import getpass
import os
import platform
from pathlib import Path

import msgspec
import pytest

import tracelet
from tracelet.capture import machine

DRIVER = """
Model: \t\t NVIDIA A100-SXM4-80GB
IRQ:   \t\t 31
GPU UUID: \t GPU-5a3b0f4e
Bus Location: \t 0000:{bus}:00.0
"""


def test_the_machine_and_who_uses_it_are_in_run_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bus in ("07", "0f"):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        (tmp_path / "gpus" / bus / "information").write_text(DRIVER.format(bus=bus))
    (tmp_path / "gpus" / "of another make").mkdir()
    monkeypatch.setattr(machine, "GPUS", tmp_path / "gpus")
    with tracelet.start_logging(dir=tmp_path / "runs", capture=["machine"]) as exp:
        pass
    assert exp.dir is not None
    shown = msgspec.json.decode((exp.dir / "run.json").read_bytes())
    facts = shown["facts"]
    assert facts["gpus"] == ["NVIDIA A100-SXM4-80GB"] * 2
    assert facts["cpus"] == os.cpu_count()
    assert facts["memory_mb"] > 100
    assert facts["user"] == getpass.getuser()
    assert facts["system"].startswith(platform.system())
    assert (facts["pid"], facts["python"]) == (os.getpid(), platform.python_version())
    assert shown["started"] < shown["ended"]


def test_without_a_gpu_no_gpu_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "GPUS", tmp_path / "none")
    assert "gpus" not in machine.machine()


def test_who_has_no_name_has_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is run with a user of its own."""

    def unknown() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", unknown)
    with tracelet.start_logging(dir=tmp_path / "runs") as exp:
        pass
    assert exp.dir is not None
    assert tracelet.load_run(exp.dir).facts["user"] == str(os.getuid())
