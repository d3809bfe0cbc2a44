"""A mistake raises where it was made, says what was wrong, writes nothing, and the run goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from user_scripts import journaled

import tracelet
from tracelet import Backend, Experiment, TraceletError, TraceletWarning, errors
from tracelet.backends.null import NullBackend


@pytest.fixture
def exp() -> Iterator[Experiment]:
    with tracelet.start_logging(params={"lr": 0.1}) as running:
        yield running


class Opaque:
    __slots__ = ()


Call = Callable[[Experiment], Any]

MISTAKES: dict[str, tuple[Call, type[TraceletError], type[Exception], str]] = {
    "text as a value": (
        lambda exp: exp.log_metric("loss", "0.5"),
        errors.ValueTypeError,
        TypeError,
        r"'loss'.*'0\.5'",
    ),
    "None as a value": (
        lambda exp: exp.log_metric("loss", None),
        errors.ValueTypeError,
        TypeError,
        r"'loss'.*None",
    ),
    "an array as a value": (
        lambda exp: exp.log_metric("loss", np.ones(3)),
        errors.ValueTypeError,
        TypeError,
        r"'loss'.*\(3,\)",
    ),
    "a list as a value": (
        lambda exp: exp.log_metric("loss", [0.5]),
        errors.ValueTypeError,
        TypeError,
        "'loss'.*list",
    ),
    "a complex value": (
        lambda exp: exp.log_metric("loss", 1j),
        errors.ValueTypeError,
        TypeError,
        "'loss'.*complex",
    ),
    "one bad value of several": (
        lambda exp: exp.log_metrics({"good": 1, "bad": "x", "other": 2}),
        errors.ValueTypeError,
        TypeError,
        "'bad'",
    ),
    "values that are no mapping": (
        lambda exp: exp.log_metrics([("loss", 0.5)]),
        errors.ValueTypeError,
        TypeError,
        "mapping.*list",
    ),
    "a fractional iteration": (
        lambda exp: exp.log_metric("loss", 0.5, 1.5),
        errors.InvalidValueError,
        ValueError,
        r"'loss'.*1\.5",
    ),
    "a fractional iteration of several": (
        lambda exp: exp.log_metrics({"loss": 0.5}, iteration=1.5),
        errors.InvalidValueError,
        ValueError,
        r"'loss'.*1\.5",
    ),
    "a text as an iteration": (
        lambda exp: exp.log_metric("loss", 0.5, "7"),
        errors.ValueTypeError,
        TypeError,
        "iteration.*'loss'.*'7'",
    ),
    "an iteration beyond 64 bits": (
        lambda exp: exp.log_metric("loss", 0.5, 2**63),
        errors.InvalidValueError,
        ValueError,
        "'loss'.*64 bits",
    ),
    "a fraction to set as the iteration": (
        lambda exp: exp.set_iteration(1.5),
        errors.InvalidValueError,
        ValueError,
        r"^set_iteration: the iteration must be whole, not 1\.5$",
    ),
    "a fraction as the iteration of no metric": (
        lambda exp: exp.log_metrics({}, iteration=1.5),
        errors.InvalidValueError,
        ValueError,
        r"^log_metrics: the iteration must be whole, not 1\.5$",
    ),
    "a number as the axis": (
        lambda exp: exp.log_metric("loss", 0.5, axis=3),
        errors.ValueTypeError,
        TypeError,
        "^the axis of a metric must be a str, not int$",
    ),
    "a number as the name of a metric": (
        lambda exp: exp.log_metric(0.5, 1.0),
        errors.ValueTypeError,
        TypeError,
        "^a metric's name must be a str, not float$",
    ),
    "another tracker's word for the iteration": (
        lambda exp: exp.log_metric("loss", 0.5, step=3),
        errors.ValueTypeError,
        TypeError,
        r"^log_metric\(\).*'step'.*iteration=3$",
    ),
    "another tracker's word for the iteration of several": (
        lambda exp: exp.log_metrics({"loss": 0.5}, global_step=3),
        errors.ValueTypeError,
        TypeError,
        r"^log_metrics\(\).*'global_step'.*iteration=3$",
    ),
    "a keyword with a typo": (
        lambda exp: exp.log_metric("loss", 0.5, iteraton=3),
        errors.ValueTypeError,
        TypeError,
        "'iteraton'.*'iteration'",
    ),
    "tags that are a list": (
        lambda exp: exp.set_tags(["ml"]),
        errors.ValueTypeError,
        TypeError,
        "mapping.*list",
    ),
    "a flush for a text of seconds": (
        lambda exp: exp.flush("x"),
        errors.ValueTypeError,
        TypeError,
        "flush: timeout.*seconds.*'x'",
    ),
    "a flush for less than no time": (
        lambda exp: exp.flush(-1),
        errors.InvalidValueError,
        ValueError,
        "flush: timeout.*-1",
    ),
    "a stop after a text of seconds": (
        lambda exp: exp.stop(timeout="x"),
        errors.ValueTypeError,
        TypeError,
        "stop: timeout.*seconds.*'x'",
    ),
    "a stop after NaN seconds": (
        lambda exp: exp.stop(timeout=float("nan")),
        errors.InvalidValueError,
        ValueError,
        "stop: timeout.*nan",
    ),
    "a backend that the run does not have": (
        lambda exp: exp.backend("locale"),
        errors.UnknownBackendError,
        LookupError,
        "'locale'; did you mean 'local'",
    ),
    "NaN as the iteration": (
        lambda exp: exp.set_iteration(float("nan")),
        errors.InvalidValueError,
        ValueError,
        "nan",
    ),
    "an empty name": (
        lambda exp: exp.log_metric("", 0.5),
        errors.InvalidValueError,
        ValueError,
        "name.*empty",
    ),
    "a name that is no text": (
        lambda exp: exp.log_metric(3, 0.5),
        errors.ValueTypeError,
        TypeError,
        "name.*int",
    ),
    "an empty axis": (
        lambda exp: exp.log_metric("loss", 0.5, axis=""),
        errors.InvalidValueError,
        ValueError,
        "empty",
    ),
    "two axes": (
        lambda exp: exp.track("loss").append(value=0.5, epoch=1, iteration=2),
        errors.InvalidValueError,
        ValueError,
        "'loss'.*epoch, iteration",
    ),
    "a time that is none": (
        lambda exp: exp.log_metric("loss", 0.5, time="now"),
        errors.ValueTypeError,
        TypeError,
        "time.*'now'",
    ),
    "a time that is NaN": (
        lambda exp: exp.log_metric("loss", 0.5, time=float("nan")),
        errors.InvalidValueError,
        ValueError,
        "time.*nan",
    ),
    "a missing artifact": (
        lambda exp: exp.log_artifact("missing.pth"),
        errors.ArtifactNotFoundError,
        FileNotFoundError,
        "missing.pth",
    ),
    "a missing artifact that is not copied": (
        lambda exp: exp.log_artifact("missing.pth", copy=False),
        errors.ArtifactNotFoundError,
        FileNotFoundError,
        "missing.pth",
    ),
    "an artifact whose path is empty": (
        lambda exp: exp.log_artifact("", "models"),
        errors.ArtifactNotFoundError,
        FileNotFoundError,
        "directory ''",
    ),
    "a destination above the run": (
        lambda exp: exp.log_artifact(__file__, "../x"),
        errors.UnsafePathError,
        ValueError,
        r"'\.\./x'",
    ),
    "a destination that climbs in the middle": (
        lambda exp: exp.log_artifact(__file__, "a/../../x"),
        errors.UnsafePathError,
        ValueError,
        r"a/\.\./\.\./x",
    ),
    "an absolute destination": (
        lambda exp: exp.log_artifact(__file__, "/x"),
        errors.UnsafePathError,
        ValueError,
        "'/x'",
    ),
    "an empty destination": (
        lambda exp: exp.log_artifact(__file__, ""),
        errors.UnsafePathError,
        ValueError,
        "''",
    ),
    "a destination that is no path": (
        lambda exp: exp.log_artifact(__file__, 3),
        errors.ValueTypeError,
        TypeError,
        "int",
    ),
    "a file that is no path": (
        lambda exp: exp.log_artifact(b"x"),
        errors.ValueTypeError,
        TypeError,
        "bytes",
    ),
    "keys that collide": (
        lambda exp: exp.log_params({"a.b": 1, "a": {"b": 2}}),
        errors.KeyCollisionError,
        ValueError,
        "a.b",
    ),
    "keys that collide with one with a section": (
        lambda exp: exp.log_params({"a": 1}, **{"General/a": 2}),
        errors.KeyCollisionError,
        ValueError,
        "'a'",
    ),
    "an empty key": (
        lambda exp: exp.log_params({"": 1}),
        errors.InvalidValueError,
        ValueError,
        "empty",
    ),
    "parameters without fields": (
        lambda exp: exp.log_params(3),
        errors.ValueTypeError,
        TypeError,
        "not 3",
    ),
    "an unknown level": (
        lambda exp: exp.log("text", level="loud"),
        errors.InvalidValueError,
        ValueError,
        "'loud'",
    ),
    "a tag without a name": (
        lambda exp: exp.set_tags({"": "x"}),
        errors.ValueTypeError,
        TypeError,
        "tag",
    ),
    "an ending that is none": (
        lambda exp: exp.stop("crashed"),
        errors.InvalidValueError,
        ValueError,
        "'crashed'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_nothing_is_written(exp: Experiment, mistake: str) -> None:
    call, error, builtin, message = MISTAKES[mistake]
    exp.log_metric("loss", 0.5)
    before = journaled(exp.dir)
    blobs = sorted((exp.dir / "blobs").rglob("*"))
    with pytest.raises(error, match=message) as caught:
        call(exp)
    assert isinstance(caught.value, builtin)
    assert isinstance(caught.value, TraceletError)
    assert journaled(exp.dir) == before
    assert sorted((exp.dir / "blobs").rglob("*")) == blobs
    assert dict(exp.params) == {"lr": 0.1}
    assert exp.iteration is None
    # And the run goes on, with its counter where it was.
    exp.log_metric("loss", 0.25)
    assert [point.iteration for point in tracelet.load_run(exp.dir).metrics["loss"]] == [0, 1]
    assert exp.is_running


def test_a_directory_of_which_one_file_cannot_be_read_is_not_half_logged(
    exp: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")
    real = type(exp._session.blobs).put_file  # type: ignore[union-attr]

    def put_file(store: Any, file: Path) -> Any:
        if file.name == "b":
            raise PermissionError(13, "not yours", str(file))
        return real(store, file)

    monkeypatch.setattr("tracelet.journal.blobs.BlobStore.put_file", put_file)
    before = journaled(exp.dir)
    with pytest.raises(PermissionError, match="b' cannot be read: not yours") as raised:
        exp.log_artifact(folder)
    assert isinstance(raised.value, errors.ArtifactUnreadableError)
    assert journaled(exp.dir) == before


CALLS: dict[str, Call] = {
    "log_metric": lambda exp: exp.log_metric("loss", 0.5),
    "log_metric, short": lambda exp: exp.log_metric("loss", 0.5, 3),
    "log_metrics": lambda exp: exp.log_metrics({"loss": 0.5}),
    "log_params": lambda exp: exp.log_params(lr=0.2),
    "log_param": lambda exp: exp.log_param("lr", 0.2),
    "params.set": lambda exp: exp.params.set(lr=0.2),
    "log_artifact": lambda exp: exp.log_artifact(__file__),
    "log": lambda exp: exp.log("text"),
    "set_tags": lambda exp: exp.set_tags(a="b"),
    "set_iteration": lambda exp: exp.set_iteration(3),
    "track": lambda exp: exp.track("loss").append(value=0.5),
    "flush": lambda exp: exp.flush(),
    "stop": lambda exp: exp.stop(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_after_stop_is_refused(call: str) -> None:
    with tracelet.start_logging("net", params={"lr": 0.1}) as exp:
        exp.log_metric("loss", 0.5)
    before = journaled(exp.dir)
    with pytest.raises(errors.NotRunningError, match="'net' was stopped") as caught:
        CALLS[call](exp)
    assert isinstance(caught.value, RuntimeError)
    assert journaled(exp.dir) == before
    assert dict(exp.params) == {"lr": 0.1}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_before_start_is_refused(call: str, tmp_path: Path) -> None:
    with pytest.raises(errors.NotRunningError, match="'net' is not started"):
        CALLS[call](Experiment("net"))
    assert not (tmp_path / ".tracelet").exists()


def test_stopping_without_a_run() -> None:
    with pytest.raises(errors.NotRunningError, match="no run is active"):
        tracelet.stop_logging()


class Abstract(NullBackend):
    name = "abstract"
    log_artifact = Backend.log_artifact
    close = Backend.close


class Demanding(NullBackend):
    name = "demanding"

    def __init__(self, url: str) -> None:
        super().__init__()
        if url != "known":
            raise ValueError("no address")


class Unmakeable(NullBackend):
    name = "unmakeable"

    def __init__(self) -> None:
        raise RuntimeError("no licence")


class Forgetful(NullBackend):
    name = "forgetful"

    def __init__(self) -> None:
        self.mine = 1


class Nameless(NullBackend):
    name = None  # type: ignore[assignment]


class Incapable(NullBackend):
    name = "incapable"
    capabilities = None  # type: ignore[assignment]


STARTS: dict[str, tuple[dict[str, Any], type[TraceletError], type[Exception], str]] = {
    "an unknown setting": (
        {"projct": "x"},
        errors.SettingsError,
        ValueError,
        "(?s)projct.*project",
    ),
    "a setting of the wrong type": (
        {"drain_timeout": "soon"},
        errors.SettingsError,
        ValueError,
        "drain_timeout.*'soon'",
    ),
    "an unknown setting in config": (
        {"config": {"couriers": "thread"}},
        errors.SettingsError,
        ValueError,
        "couriers.*courier",
    ),
    "an unknown backend": (
        {"backend": "locl"},
        errors.UnknownBackendError,
        LookupError,
        "'locl'.*'local'",
    ),
    "a plugin that is not installed": (
        {"backend": ["local", "mlflow"]},
        errors.MissingPluginError,
        ImportError,
        "pip install tracelet-mlflow",
    ),
    "a module that is not there": (
        {"backend": "no_such_module:Backend"},
        errors.BrokenPluginError,
        ImportError,
        "no_such_module",
    ),
    "a class that is not there": (
        {"backend": "backends_for_tests:Missing"},
        errors.BrokenPluginError,
        ImportError,
        "Missing",
    ),
    "a class that is no backend": (
        {"backend": "pathlib:Path"},
        errors.ValueTypeError,
        TypeError,
        "pathlib:Path",
    ),
    "a backend that is a number": ({"backend": 3}, errors.TraceletError, Exception, "3"),
    "the same backend twice": (
        {"backend": ["local", "local"]},
        errors.SettingsError,
        ValueError,
        "different backends",
    ),
    "an option that the backend does not have": (
        {"backends": {"local": {"colour": "red"}}},
        errors.SettingsError,
        ValueError,
        "backends.local.colour",
    ),
    "a run id that is no name of a directory": (
        {"run_id": "../x"},
        errors.InvalidValueError,
        ValueError,
        r"'\.\./x'",
    ),
    "a run to resume that is not there": (
        {"resume": "missing"},
        errors.RunNotFoundError,
        LookupError,
        "'missing'",
    ),
    "parameters that collide": (
        {"params": {"a.b": 1, "a": {"b": 2}}},
        errors.KeyCollisionError,
        ValueError,
        "a.b",
    ),
    "parameters without fields": (
        {"params": 3},
        errors.ValueTypeError,
        TypeError,
        "not 3",
    ),
    "a tag without a name": ({"tags": {"": "x"}}, errors.TraceletError, Exception, "tag"),
    "tags that are a list": (
        {"tags": ["ml"]},
        errors.ValueTypeError,
        TypeError,
        r"mapping.*not list: \['ml'\]",
    ),
    "a file of settings that is not there": (
        {"config": "missing.toml"},
        errors.SettingsError,
        ValueError,
        "^config='missing.toml': .*/missing.toml cannot be read: No such file$",
    ),
    "a run to resume that is no id": ({"resume": 3}, errors.ValueTypeError, TypeError, "resume.*3"),
    "a run id that is no text": ({"run_id": 3}, errors.ValueTypeError, TypeError, "run_id.*3"),
    "a backend class that is abstract": (
        {"backend": Abstract},
        errors.BrokenPluginError,
        ImportError,
        "'abstract'.*lacks close, log_artifact$",
    ),
    "a backend class that lacks an argument": (
        {"backend": Demanding},
        errors.SettingsError,
        ValueError,
        "'demanding'.*there are none.*'url'",
    ),
    "a backend class that is given an impossible option": (
        {"backend": Demanding, "backends": {"demanding": {"url": "unknown"}}},
        errors.SettingsError,
        ValueError,
        r"'demanding'.*\(url\): ValueError: no address",
    ),
    "a backend class of which no object can be made": (
        {"backend": Unmakeable},
        errors.BrokenPluginError,
        ImportError,
        "'unmakeable'.*RuntimeError: no licence",
    ),
    "a backend class that does not call its base": (
        {"backend": Forgetful},
        errors.BrokenPluginError,
        ImportError,
        r"'forgetful'.*super\(\)",
    ),
    "a backend class without a name": (
        {"backend": Nameless},
        errors.InvalidValueError,
        ValueError,
        "name.*None",
    ),
    "a backend class with capabilities of another kind": (
        {"backend": Incapable},
        errors.BrokenPluginError,
        ImportError,
        "capabilities.*'incapable'.*not NoneType",
    ),
}


@pytest.mark.parametrize("mistake", STARTS)
def test_a_start_that_is_a_mistake_leaves_nothing_behind(mistake: str, tmp_path: Path) -> None:
    arguments, error, builtin, message = STARTS[mistake]
    with pytest.raises(error, match=message) as caught:
        tracelet.start_logging("net", **arguments)
    assert isinstance(caught.value, builtin)
    assert isinstance(caught.value, TraceletError)
    assert tracelet.get_active_experiment() is None
    assert not (tmp_path / ".tracelet").exists()
    with tracelet.start_logging("net") as exp:
        exp.log_metric("loss", 0.5)
    assert tracelet.load_run(exp.dir).report.complete


def test_a_changed_parameter_is_an_error_if_so_wished() -> None:
    with tracelet.start_logging(params={"lr": 0.1}, on_param_conflict="error") as exp:
        exp.log_params(lr=0.1)
        before = journaled(exp.dir)
        with pytest.raises(errors.ParameterConflictError, match="'lr'"):
            exp.log_params(lr=0.2, other=1)
        assert journaled(exp.dir) == before
        assert dict(exp.params) == {"lr": 0.1}


def test_an_unknown_run_is_not_loaded() -> None:
    with pytest.raises(errors.RunNotFoundError, match="'missing'"):
        tracelet.load_run("missing")
    with pytest.raises(LookupError, match="'p'"):
        tracelet.load_run(project="p")
    with pytest.raises(TypeError, match="b'x'"):
        tracelet.load_run(b"x")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------ on_error=warn


def log_with_mistakes(exp: Any) -> None:
    for number in range(10):
        exp.log_metric("warned loss", f"text {number}")
        exp.log_metric("good", 0.5)
        exp.log_artifact("missing.pth")
        exp.log_metrics({"also good": 1, "warned bad": None})
        exp.track("warned track").append(value=0.5, epoch=1.5)
        exp.set_iteration("warned")
        exp.log_params({"a.b": 1, "a": {"b": 2}})


def test_mistakes_can_be_warnings_one_for_each_cause(tmp_path: Path) -> None:
    exp = tracelet.start_logging(on_error="warn", params={"lr": 0.1})
    with pytest.warns(TraceletWarning) as caught:
        log_with_mistakes(exp)
    shown = [str(one.message) for one in caught]
    assert len(shown) == len(set(shown)) == 6
    assert all(Path(one.filename) == Path(__file__) for one in caught)
    assert any("'warned loss'" in text for text in shown)
    run = tracelet.load_run(exp.dir)
    assert {name: len(found) for name, found in run.metrics.items()} == {"good": 10}
    assert exp.stop().complete
    with pytest.warns(TraceletWarning, match="was stopped"):
        exp.log_metric("after the end", 0.5)


def test_with_warnings_an_unknown_backend_is_left_out(tmp_path: Path) -> None:
    with pytest.warns(TraceletWarning, match="left out.*'no-such-tracker'"):
        exp = tracelet.start_logging(backend=["local", "no-such-tracker"], on_error="warn")
    exp.log_metric("loss", 0.5)
    assert list(exp.stop()) == ["local"]


def test_without_mistakes_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tracelet.start_logging(on_error="warn", params={"lr": 0.1}) as exp:
            exp.log_metric("loss", 0.5)
            exp.log_params(lr=0.2)
