"""What is connected is logged, comes back as it was given, and is read again later."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import types
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import omegaconf
import pydantic
import pytest
from user_scripts import Script
from waiting import eventually

import tracelet
from tracelet.errors import (
    InvalidValueError,
    KeyCollisionError,
    NotRunningError,
    TraceletWarning,
    ValueTypeError,
)
from tracelet.records import Params
from tracelet.wire import REDACTED


@pytest.fixture
def exp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("sys.argv", ["train.py"])  # what pytest was given can be a secret
    with tracelet.start_logging("run", dir=tmp_path / "runs", capture=False) as exp:
        yield exp


def stored(exp: Any) -> dict[str, Any]:
    """The parameters that the journal has."""
    return tracelet.load_run(exp.dir).params.flat()


def changes(exp: Any) -> list[dict[str, Any]]:
    """What each record of parameters in the journal has set."""
    found = tracelet.load_run(exp.dir)._records
    return [record.values for record in found if isinstance(record, Params)]


@dataclasses.dataclass
class Data:
    lr: float = 0.1
    layers: list[int] = dataclasses.field(default_factory=lambda: [1])


@dataclasses.dataclass(slots=True)
class Slotted:
    lr: float = 0.1
    layers: list[int] = dataclasses.field(default_factory=lambda: [1])


@attrs.define
class Attrs:
    lr: float = 0.1
    layers: list[int] = attrs.field(factory=lambda: [1])


class Model(pydantic.BaseModel):
    lr: float = 0.1
    layers: list[int] = [1]


class Base:
    lr = 0.5
    layers = (1,)

    def method(self) -> None: ...


class Child(Base):
    lr = 0.1

    def __init__(self) -> None:
        self.layers = [1]
        self._private = 3


OBJECTS: dict[str, Callable[[], Any]] = {
    "mapping": lambda: {"lr": 0.1, "layers": [1]},
    "argparse": lambda: argparse.Namespace(lr=0.1, layers=[1]),
    "namespace": lambda: types.SimpleNamespace(lr=0.1, layers=[1]),
    "dataclass": Data,
    "slotted dataclass": Slotted,
    "attrs": Attrs,
    "pydantic": Model,
    "omegaconf": lambda: omegaconf.OmegaConf.create({"lr": 0.1, "layers": [1]}),
    "structured omegaconf": lambda: omegaconf.OmegaConf.structured(Data),
    "instance": Child,
    "class": lambda: type("Config", (Base,), {"lr": 0.1, "layers": [1]}),
}


def put(target: Any, name: str, value: Any) -> None:
    if isinstance(target, dict):
        target[name] = value
    else:
        setattr(target, name, value)


@pytest.mark.parametrize("kind", OBJECTS)
def test_every_kind_of_object_is_logged_given_back_and_read_again(exp: Any, kind: str) -> None:
    given = OBJECTS[kind]()
    assert exp.connect(given) is given
    assert exp.params == stored(exp) == {"lr": 0.1, "layers": [1]}

    put(given, "lr", 0.2)
    layers = given["layers"] if isinstance(given, dict) else given.layers
    layers.append(2)
    assert exp.params["lr"] == 0.1
    assert exp.flush()
    assert exp.params == stored(exp) == {"lr": 0.2, "layers": [1, 2]}

    put(given, "lr", 0.3)
    exp.stop()
    assert stored(exp) == {"lr": 0.3, "layers": [1, 2]}
    assert changes(exp) == [
        {"lr": 0.1, "layers": [1]},
        {"lr": 0.2, "layers": [1, 2]},
        {"lr": 0.3},
    ]


def test_a_name_is_the_section(exp: Any) -> None:
    given = {"lr": 0.1, "model": {"depth": 18}}
    assert exp.connect(given, name="Trainer") is given
    exp.connect(given, "Other")
    exp.connect({"x": 1}, name="General")
    given["lr"] = 0.2
    exp.flush()
    assert exp.params == {
        "Trainer/lr": 0.2,
        "Trainer/model.depth": 18,
        "Other/lr": 0.2,
        "Other/model.depth": 18,
        "x": 1,
    }


def test_only_what_changed_in_the_object_is_logged_again(exp: Any) -> None:
    given = exp.connect({"lr": 0.1, "decay": 1, "seed": 3})
    exp.log_params(lr=0.5)
    exp.set_parameters({"only": 1})
    given["decay"] = 2
    exp.flush()
    assert exp.params == {"only": 1, "decay": 2}
    given["lr"] = 0.1
    exp.flush()
    assert exp.params == {"only": 1, "decay": 2}, "the object has the value it had before"


def test_what_the_object_has_no_more_stays(exp: Any) -> None:
    given = exp.connect({"lr": 0.1, "model": {"name": "resnet", "depth": 18}})
    model = given["model"]
    del given["lr"]
    assert model.pop("name") == "resnet"
    exp.flush()
    del model["depth"]
    exp.flush()
    given["new"] = {}
    exp.stop()
    assert stored(exp) == {
        "lr": 0.1,
        "model.name": "resnet",
        "model.depth": 18,
        "new": {},
    }


def test_a_value_that_became_a_branch_is_one_with_a_warning(exp: Any) -> None:
    given = exp.connect({"model": "resnet"})
    given["model"] = {"name": "resnet", "depth": 18}
    with pytest.warns(TraceletWarning, match="'model'"):
        exp.flush()
    given["model"] = "vit"
    with pytest.warns(TraceletWarning, match=r"'model\.name', 'model\.depth'"):
        exp.stop()
    assert stored(exp) == {"model": "vit"}


def test_secrets_of_objects_are_hidden_and_counted_once(exp: Any) -> None:
    given = exp.connect({"password": "hunter2", "lr": 1})
    exp.flush()
    given["lr"] = 2
    exp.flush()
    given["password"] = "hunter3"
    assert exp.stop().redacted == 2
    assert stored(exp) == {"password": REDACTED, "lr": 2}
    assert changes(exp) == [{"password": REDACTED, "lr": 1}, {"lr": 2}]


def test_an_object_nobody_else_holds_is_kept_until_the_end_of_the_run(exp: Any) -> None:
    def configure() -> weakref.ref[Data]:
        given = exp.connect(Data())
        given.lr = 0.7
        return weakref.ref(given)

    given = configure()
    gc.collect()
    exp.stop()
    assert stored(exp)["lr"] == 0.7
    gc.collect()
    assert given() is None


class Moody:
    """Cannot be read while it is in a mood."""

    def __init__(self) -> None:
        self.mood: Exception | None = None
        self.reads = 0

    def keys(self) -> list[str]:
        self.reads += 1
        if self.mood is not None:
            raise self.mood
        return ["reads"]

    def __getitem__(self, key: str) -> int:
        return self.reads


def test_an_object_that_cannot_be_read_again_is_one_warning(exp: Any) -> None:
    given, other = exp.connect(Moody()), exp.connect({"lr": 0.1})
    given.mood = RuntimeError("not now")
    other["lr"] = 0.2

    def end() -> Any:
        assert exp.flush() is True
        assert exp.flush() is True
        other["lr"] = 0.3
        return exp.stop()

    with pytest.warns(TraceletWarning) as caught:
        report = end()
    assert [(str(one.message), one.filename) for one in caught] == [
        ("a connected Moody cannot be read again in full: RuntimeError: not now", __file__)
    ]
    assert report.complete
    assert stored(exp) == {"reads": 1, "lr": 0.3}


def test_an_object_that_can_be_read_later_is_logged_then(exp: Any) -> None:
    given = exp.connect(Moody())
    given.mood = KeyError("not now")
    with pytest.warns(TraceletWarning, match="Moody"):
        exp.flush()
    given.mood = None
    exp.stop()
    assert stored(exp) == {"reads": 3}


def test_where_warnings_are_errors_the_run_ends_before_one_is_raised(exp: Any) -> None:
    given = exp.connect(Moody())
    given.mood = RuntimeError("not now")
    with pytest.raises(TraceletWarning, match="not now"):
        exp.stop()
    assert exp.status == "finished"
    assert tracelet.load_run(exp.dir).status == "finished"


def test_a_property_that_raises_later_is_named_and_the_others_are_read(exp: Any) -> None:
    class Schedule:
        step = 0

        @property
        def rate(self) -> float:
            return 1 / (2 - self.step)

    given = exp.connect(Schedule())
    assert exp.params == {"rate": 0.5, "step": 0}
    given.step = 1
    exp.flush()
    given.step = 2
    with pytest.warns(TraceletWarning, match=r"Schedule .*rate \(ZeroDivisionError"):
        exp.stop()
    assert stored(exp) == {"rate": 1.0, "step": 2}


def test_a_change_that_the_policy_forbids_is_a_warning_at_the_end(tmp_path: Path) -> None:
    exp = tracelet.start_logging("run", on_param_conflict="error", capture=False)
    given = exp.connect({"lr": 0.1})
    given["lr"] = 0.2
    with pytest.warns(TraceletWarning, match="on_param_conflict='error'"):
        exp.stop()
    assert stored(exp) == {"lr": 0.1}


def test_the_first_value_stays_where_the_policy_is_to_keep_it() -> None:
    with tracelet.start_logging("run", on_param_conflict="keep", capture=False) as exp:
        given = exp.connect({"lr": 0.1})
        given.update(lr=0.2, new=1)
    assert stored(exp) == {"lr": 0.1, "new": 1}


@pytest.mark.parametrize(
    ("given", "name", "error"),
    [
        (3, "General", ValueTypeError),
        (None, "General", ValueTypeError),
        ("config.yaml", "General", ValueTypeError),
        ([1, 2], "General", ValueTypeError),
        ({"a": 1}, "", InvalidValueError),
        ({"a": 1}, 3, ValueTypeError),
        ({"": 1}, "General", InvalidValueError),
        ({1: "a", "1": "b"}, "General", KeyCollisionError),
    ],
)
def test_what_cannot_be_connected_is_refused_and_not_held(
    exp: Any, given: Any, name: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        exp.connect(given, name=name)
    assert exp.flush()
    assert exp.params == {}


def test_nothing_can_be_connected_after_the_end(exp: Any) -> None:
    exp.stop()
    with pytest.raises(NotRunningError):
        exp.connect({"a": 1})


def test_a_job_that_must_not_stop_gets_back_what_it_gave() -> None:
    with tracelet.start_logging("run", on_error="warn", capture=False) as exp:
        with pytest.warns(TraceletWarning, match="parameters need names"):
            assert exp.connect([1]) == [1]
        assert exp.connect(obj=[1], name="x") == [1]


def test_a_rank_that_writes_nothing_connects_all_the_same(monkeypatch: Any) -> None:
    monkeypatch.setenv("RANK", "1")
    with tracelet.start_logging("run") as exp:
        given = {"lr": 0.1}
        assert exp.connect(given) is given
        given["lr"] = 0.2
        assert exp.flush()
        assert exp.params == {"lr": 0.2}


def test_a_run_that_goes_on_reads_only_what_was_connected_since(exp: Any) -> None:
    given = exp.connect({"lr": 0.1})
    exp.stop()
    given["lr"] = 0.2
    with exp.start():
        assert exp.flush()
    assert stored(exp) == {"lr": 0.1}


# ------------------------------------------------------------------- the ends of real processes

ENDS = {
    "block": """
        with tracelet.start_logging("run", run_id="r") as exp:
            config = exp.connect(Config(), name="Trainer")
            config.lr = 0.2
    """,
    "exception": """
        exp = tracelet.start_logging("run", run_id="r")
        config = exp.connect(Config(), name="Trainer")
        config.lr = 0.2
        raise ValueError
    """,
    "exit": """
        exp = tracelet.start_logging("run", run_id="r")
        config = exp.connect(Config(), name="Trainer")
        broken = exp.connect(Broken())
        broken.__class__.keys = None
        config.lr = 0.2
    """,
    "child": """
        import subprocess, sys
        exp = tracelet.start_logging("run", run_id="r")
        subprocess.run([sys.executable, "child.py"], check=True)
    """,
    "fork": """
        import os
        exp = tracelet.start_logging("run", run_id="r")
        config = exp.connect(Config(), name="Trainer")
        if not os.fork():
            config.lr = 0.9  # of the child's copy
            exp.flush()
            os._exit(0)
        os.wait()
        config.lr = 0.2
    """,
}
CLASSES = """
import tracelet

class Config:
    def __init__(self):
        self.lr = 0.1

class Broken:
    def keys(self):
        return []
    def __getitem__(self, key):
        return 1
"""


def test_what_changed_is_logged_however_the_process_ends(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(
        f"{CLASSES}\n"
        "config = tracelet.start_logging('run').connect(Config(), name='Trainer')\n"
        "config.lr = 0.2\n"
    )
    scripts = {}
    for name, text in ENDS.items():
        directory = tmp_path / name
        directory.mkdir()
        (directory / "child.py").write_text((tmp_path / "child.py").read_text())
        lines = "\n".join(line.removeprefix("        ") for line in text.splitlines())
        scripts[name] = Script(directory, CLASSES + lines)
    for name, script in scripts.items():
        assert script.wait() == (1 if name == "exception" else 0), script.output
        run_dir = tmp_path / name / ".tracelet/default/r"
        run = eventually(lambda run_dir=run_dir: ended(run_dir))
        assert run.params["Trainer/lr"] == 0.2, name
        history = [change.value for change in run.params.history("Trainer/lr")]
        assert history == [0.1, 0.2], name
    assert scripts["exit"].output.count("a connected Broken cannot be read again") == 1


def ended(run_dir: Path) -> tracelet.Run | None:
    run = tracelet.load_run(run_dir)
    return run if run.status != "running" and run.report.complete else None
