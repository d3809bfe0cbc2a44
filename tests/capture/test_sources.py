"""Which sources a run has, what they can report, and that a source that fails harms nobody."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from user_scripts import run_script

import tracelet
from tracelet.backends import registry as backends
from tracelet.capture import registry
from tracelet.capture.base import CaptureSource, Recorder
from tracelet.hookspecs import hookimpl

PARSE = """
import argparse, click, os, tracelet
parser = argparse.ArgumentParser()
for name in ("lr", "epochs", "password", "name"):
    parser.add_argument("--" + name, default=name)
parser.parse_args()
@click.command()
@click.option("--n", default=2)
def main(n): pass
main([], standalone_mode=False)
ALL = {"Args/lr": "lr", "Args/epochs": "epochs", "Args/password": "[redacted]", "Args/name": "name"}
CLICK = {"Args/n": 2}
def captured(_variables={}, **settings):
    os.environ.update(_variables)
    with tracelet.start_logging(**settings) as exp:
        found = exp.params.flat()
    for name in _variables: del os.environ[name]
    return found
def only(*names): return {f"Args/{name}": ALL[f"Args/{name}"] for name in names}
"""


def test_sources_are_chosen_by_name_setting_and_variable(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        PARSE
        + """
assert captured() == {**ALL, **CLICK}
assert captured(capture=["argparse"]) == ALL
assert captured(capture=["click"]) == captured(capture=["typer"]) == CLICK
assert captured(capture=["click", "argparse", "click"]) == {**ALL, **CLICK}
assert captured(capture=False) == captured(capture=[]) == {}
assert captured({"TRACELET_CAPTURE": "click"}) == CLICK
assert captured({"TRACELET_CAPTURE": "0"}) == {}
assert captured({"TRACELET_CAPTURE": "click"}, capture=True) == {**ALL, **CLICK}
""",
    )


def test_single_arguments_are_chosen_by_name_and_glob(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        PARSE
        + """
def with_arguments(chosen): return captured(capture=["argparse"], capture_arguments=chosen)
assert with_arguments({"password": False, "*": True}) == only("lr", "epochs", "name")
assert with_arguments({"password": False}) == only("lr", "epochs", "name")
assert with_arguments({"lr": True, "*": False}) == only("lr")
assert with_arguments({"lr": True}) == only("lr")
assert with_arguments({"*": False, "l*": True}) == only("lr")
assert with_arguments({"n*": False, "name": True, "e*": True}) == ALL
assert with_arguments({"Args/password": False}) == only("lr", "epochs", "name")
assert with_arguments({"Args/l*": True}) == only("lr")
assert with_arguments({"TF_DEFINE/lr": False, "Args/n*": False, "Args/name": True}) == ALL
assert with_arguments(True) == with_arguments({}) == ALL
assert with_arguments(False) == with_arguments({"*": False}) == {}
variables = {"TRACELET_CAPTURE_ARGUMENTS": "password=false,*=true", "TRACELET_CAPTURE": "argparse"}
assert captured(variables) == only("lr", "epochs", "name")
""",
    )


def test_a_name_like_that_of_an_argument_and_of_none_is_one_warning(tmp_path: Path) -> None:
    said = run_script(
        tmp_path,
        PARSE
        + """
def with_arguments(**chosen): return captured(capture=["argparse"], capture_arguments=chosen)

import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    with_arguments(Password=False, pasword=False, **{"args/lr": False, "LR*": False})
    assert [str(one.message) for one in seen] == [
        "capture_arguments: 'Password' is no argument; did you mean 'password'?; "
        "'pasword' is no argument; did you mean 'password'?; "
        "'args/lr' is no argument; did you mean 'Args/lr'?; "
        "'LR*' is no argument; did you mean 'lr'?"
    ]
    with_arguments(password=False, other=False, **{"Args/*": True, "*": True, "TF_DEFINE/x": True})
    assert len(seen) == 1
""",
    )
    assert "Traceback" not in said


def test_a_source_that_there_is_not_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(
        tracelet.TraceletError, match=r"'argprase'.*argument.*did you mean 'argparse'"
    ):
        tracelet.start_logging(capture=["argprase"])
    assert tracelet.get_active_experiment() is None
    assert not list(tmp_path.iterdir())


def test_the_table_of_sources_says_what_their_modules_say() -> None:
    for name, known in registry.CORE.items():
        cls = registry.load(name)
        assert (cls.name, cls.__module__) == (name, known.module)


# ------------------------------------------------------------------------- a source of a plugin


class Everything(CaptureSource):
    """Reports one of everything."""

    name = "everything"

    def start(self, recorder: Recorder) -> None:
        self.recorder = recorder
        assert not (recorder.dir / "run.json").exists()
        recorder.facts({"rack": {"row": 7, "api_key": "hunter2"}})
        recorder.params(
            "Rack",
            {"row": 7, "unseen": "hunter2", "deep": {"er": [1, None]}},
            descriptions={"row": "where it stands"},
            hidden={"unseen"},
        )
        recorder.config("rack", {"height": 42, "password": "hunter2"})
        recorder.file("rack/plan.txt", b"password=hunter2\n")
        recorder.file("rack/latin.txt", b"caf\xe9\npassword=hunter2\n")
        recorder.file("rack/photo.bin", b"\xff\xfe\x00")
        recorder.text("the rack is cold", "warning")

    def stop(self) -> None:
        self.recorder.metric("rack/doors", 2, 5, axis="epoch", time=12.5)
        self.recorder.text("the rack is closed")


class NotByItself(Everything):
    name = "on-request"
    default = False


def plugin(cls: type[CaptureSource]) -> type:
    class Plugin:
        @hookimpl
        def tracelet_capture(self) -> type[CaptureSource]:
            return cls

    return Plugin


@pytest.fixture
def install() -> Iterator[Callable[[type[CaptureSource]], None]]:
    """Register plugins for one test, as their entry points would be."""
    manager, names = backends.plugins(), []

    def register(cls: type[CaptureSource]) -> None:
        names.append(manager.register(plugin(cls)(), name=f"test-{cls.__name__}"))

    yield register
    for name in names:
        manager.unregister(name=name)


def test_whatever_a_source_reports_is_recorded(install: Callable[..., None]) -> None:
    install(Everything)
    with tracelet.start_logging(capture=["everything"]) as exp:
        pass

    run = tracelet.load_run(exp.dir)
    assert run.facts["rack"] == {"row": 7, "api_key": "[redacted]"}
    assert run.params.flat() == {
        "Rack/row": 7,
        "Rack/unseen": "[redacted]",
        "Rack/deep.er": [1, None],
    }
    assert run.params.description("Rack/row") == "where it stands"
    assert run.configurations["rack"] == {"height": 42, "password": "[redacted]"}
    assert run.artifacts["rack/plan.txt"].read_text() == "password=[redacted]\n"
    assert run.artifacts["rack/latin.txt"].read_bytes() == b"caf\xe9\npassword=[redacted]\n"
    assert run.artifacts["rack/photo.bin"].read_bytes() == b"\xff\xfe\x00"
    (point,) = run.metrics["rack/doors"]
    assert (point.value, point.iteration, point.axis, point.time) == (2, 5, "epoch", 12.5)
    log = (run.dir / "log.txt").read_text()
    assert "WARNING the rack is cold" in log
    assert "the rack is closed" in log
    assert not any(b"hunter2" in file.read_bytes() for file in run.dir.rglob("*") if file.is_file())


def test_a_source_that_is_off_by_default_has_to_be_named(install: Callable[..., None]) -> None:
    install(NotByItself)
    for capture, there in ((True, False), (["on-request"], True)):
        with tracelet.start_logging(capture=capture) as exp:
            assert ("Rack/row" in exp.params) == there


def test_a_plugin_that_has_no_source_is_left_out(
    install: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong:
        """It has no name."""

    install(Wrong)
    install(Everything)
    with tracelet.start_logging(capture=["everything"]) as exp:
        assert exp.params["Rack/row"] == 7
    assert [record.message for record in caplog.records if "Wrong" in record.message] == [
        "test-Wrong has no source: it is left out"
    ]


def test_a_package_can_bring_a_source(tmp_path: Path) -> None:
    info = tmp_path / "tracelet_rack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tracelet-rack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tracelet]\nrack = tracelet_rack\n")
    (tmp_path / "tracelet_rack.py").write_text(
        """
import sys
from tracelet.capture.base import CaptureSource
from tracelet.hookspecs import hookimpl

class Rack(CaptureSource):
    name = "rack"
    def start(self, recorder): recorder.params("Rack", {"row": 7})
    def stop(self): pass

@hookimpl
def tracelet_capture():
    return Rack
"""
    )
    script = """
import tracelet
for capture in (["rack"], ["argparse"]):
    with tracelet.start_logging(capture=capture) as exp: print(exp.params.flat())
"""
    said = run_script(tmp_path, script).splitlines()
    assert "{'Rack/row': 7}" in said
    assert "{}" in said


class Failing(CaptureSource):
    name = "failing"
    where: str

    def __init__(self) -> None:
        self._fail("made")

    def start(self, recorder: Recorder) -> None:
        recorder.params("Rack", {"row": 7})
        if self.where == "report":
            for number in range(3):
                recorder.params("Rack", {"": number})
                recorder.config("", {})
        self._fail("start")

    def stop(self) -> None:
        self._fail("stop")

    def _fail(self, where: str) -> None:
        if where == self.where:
            raise RuntimeError("the rack has burned down")


@pytest.mark.parametrize("where", ["made", "start", "report", "stop"])
def test_a_source_that_fails_is_one_warning(
    where: str, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Failing, "where", where, raising=False)
    install(Failing)
    for _ in range(2):  # each run has its warning
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with tracelet.start_logging(capture=["failing"]) as exp:
                exp.log_metric("loss", 1.0)
        assert [str(one.message).partition(",")[0] for one in caught] == [
            "capture of failing has failed"
        ]
        run = tracelet.load_run(exp.dir)
        assert run.status == "finished"
        assert len(run.metrics["loss"]) == 1
        assert ("Rack/row" in run.params) == (where != "made")


def test_a_captured_module_that_cannot_be_observed_can_be_used(tmp_path: Path) -> None:
    """As when a library has become another than the one that is known."""
    script = """
import tracelet
import sys, types
sys.modules["absl"] = types.ModuleType("absl")
sys.modules["absl"].__path__ = ["here"]
import absl.flags
assert absl.flags.mine == 1
with tracelet.start_logging(capture=["absl"]) as exp: exp.log_metric("loss", 1)
"""
    (tmp_path / "here").mkdir()
    (tmp_path / "here/flags.py").write_text("mine = 1\n")
    said = run_script(tmp_path, script)
    assert said.count("TraceletWarning: capture of absl has failed, the run goes on") == 1, said


def test_a_source_that_fails_at_the_end_keeps_no_run_from_ending(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Failing, "where", "stop", raising=False)
    install(Failing)
    exp = tracelet.start_logging(capture=["failing"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(tracelet.TraceletWarning, match="failing"):
            exp.stop()
    assert not exp.is_running
    assert tracelet.load_run(exp.dir).status == "finished"
