"""What is set on a loaded run is journaled at once, and delivered to its backends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import backends_for_tests as bad
import pytest
from backends_for_tests import stored, target
from user_scripts import Script, courier_processes, journaled, run_script, view
from waiting import eventually

import tracelet
from tracelet.backends.base import Property
from tracelet.errors import (
    InvalidValueError,
    JournalError,
    ParameterConflictError,
    TraceletWarning,
    ValueTypeError,
)
from tracelet.records import Params, Properties
from tracelet.wire import REDACTED


def finished(*, params: Any = None, **settings: Any) -> Path:
    """The directory of a run that has ended."""
    with tracelet.start_logging("net", run_id="r", capture=False, params=params, **settings) as exp:
        exp.log_metric("loss", 0.5, 0)
    assert exp.dir is not None
    return exp.dir


def shown(run_dir: Path, name: str) -> dict[str, Any]:
    """A file of the local backend."""
    content: dict[str, Any] = json.loads((run_dir / name).read_bytes())
    return content


# ---------------------------------------------------------------------------- a run that has ended


@pytest.mark.parametrize("courier", ["thread", "process"])
def test_a_finished_run_takes_parameters_and_properties(courier: str) -> None:
    run_dir = finished(params={"lr": 0.1, "model": {"depth": 18}}, courier=courier)

    run = tracelet.load_run("r")
    assert run.params.set(lr=0.2) is run.params is run.parameters()
    run.log_params({"a": 1}, section="Args")
    run.log_param("b", [1, None])
    run.set_parameter("Args/epochs", 7)
    run.set_parameters_as_dict({"opt": {"momentum": 0.9}})
    run.set_user_properties(score=3, best=True)
    assert run.flush()

    expected = {
        "lr": 0.2,
        "model.depth": 18,
        "Args/a": 1,
        "b": [1, None],
        "Args/epochs": 7,
        "opt/momentum": 0.9,
    }
    again = tracelet.load_run(run_dir)
    assert run.params == again.params == shown(run_dir, "parameters.json") == expected
    assert run.properties == again.properties == {"score": Property(3), "best": Property(True)}
    assert shown(run_dir, "properties.json")["best"] == {
        "value": True, "description": None, "type": None
    }  # fmt: skip
    assert run.get_parameters() == again.get_parameters()
    assert run.get_parameters_as_dict()["opt"] == {"momentum": 0.9}
    assert [change.value for change in again.params.history("lr")] == [0.1, 0.2]
    assert (again.status, view(run_dir)["status"]) == ("finished", "finished")
    assert again.report.complete
    assert run.report["local"].accepted == 2 + 6
    assert view(run_dir)["report"]["backends"]["local"]["delivered"] == 8


def test_all_parameters_of_a_finished_run_can_be_replaced(tmp_path: Path) -> None:
    run_dir = finished(params={"lr": 0.1, "model": {"depth": 18}})
    run = tracelet.load_run(run_dir)
    run.set_user_properties(score=1)
    run.set_parameters({"Args/epochs": 7, "lr": 0.5})
    run.set_parameters({"lr": 0.5, "x": {}})
    again = tracelet.load_run(run_dir)
    assert again.params == shown(run_dir, "parameters.json") == {"lr": 0.5, "x": {}}
    assert again.params.history("model.depth")[0].value == 18
    assert again.properties == {"score": Property(1)}


def test_a_later_addition_wins_over_an_earlier_one_and_knows_it() -> None:
    run_dir = finished(params={"lr": 0.1})
    one, other = tracelet.load_run(run_dir), tracelet.load_run(run_dir)
    assert other.params["lr"] == 0.1
    one.params.set(lr=0.2)
    other.params.set(lr=0.1)
    one.params.set(lr=0.2).set(lr=0.2)
    final = tracelet.load_run(run_dir)
    assert [change.value for change in final.params.history("lr")] == [0.1, 0.2, 0.1, 0.2]
    assert one.params.history("lr") == final.params.history("lr")


def test_what_is_read_once_is_not_read_twice() -> None:
    run_dir = finished(params={"lr": 0.1})
    run = tracelet.load_run(run_dir)
    run.set_user_properties(a=1)
    assert len(run.metrics["loss"]) == 1
    run.params.set(lr=0.2)
    run.set_user_properties(b=2)
    run.params.set(lr=0.3)
    assert [change.value for change in run.params.history("lr")] == [0.1, 0.2, 0.3]
    assert run.properties == {"a": Property(1), "b": Property(2)}
    assert len(run.to_dataframe()) == 1
    kinds = [type(record) for record in journaled(run_dir)]
    assert (kinds.count(Params), kinds.count(Properties)) == (3, 2)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda run: run.log_params([1]), ValueTypeError),
        (lambda run: run.params.set({"": 1}), InvalidValueError),
        (lambda run: run.set_parameters({"a.b": 1, "a": {"b": 2}}), InvalidValueError),
        (lambda run: run.set_parameters_as_dict({"a": {"b": 1}, "a/b": 2}), InvalidValueError),
        (lambda run: run.set_user_properties("x"), ValueTypeError),
        (lambda run: run.set_user_properties({"a": {"description": "x"}}), InvalidValueError),
    ],
)
def test_a_mistake_leaves_the_run_as_it_was(call: Any, error: type[Exception]) -> None:
    run_dir = finished(params={"lr": 0.1})
    before = sorted(path.name for path in (run_dir / "journal").iterdir())
    with pytest.raises(error):
        call(tracelet.load_run(run_dir))
    assert sorted(path.name for path in (run_dir / "journal").iterdir()) == before


def test_secrets_are_hidden_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train.py"])  # what pytest was given can be a secret
    run_dir = finished()
    run = tracelet.load_run(run_dir)
    run.params.set({"db": {"password": "hunter2"}})
    run.set_user_properties(api_key="hunter2", place={"value": 1, "description": "a://b:hunter2@c"})
    assert run.flush()
    assert run.params == {"db.password": REDACTED}
    assert run.properties["api_key"].value == REDACTED
    files = [path for path in run_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]
    assert tracelet.load_run(run_dir).report.redacted == view(run_dir)["report"]["redacted"] == 3


def test_settings_hold_for_what_is_set_later(tmp_path: Path) -> None:
    run_dir = finished(params={"lr": 0.1})
    (tmp_path / "tracelet.toml").write_text('on_param_conflict = "error"\nredact = ["customer"]\n')
    run = tracelet.load_run(run_dir)
    with pytest.raises(ParameterConflictError):
        run.params.set(lr=0.2)
    run.params.set(customer="ada")
    assert run.params == {"lr": 0.1, "customer": REDACTED}


def test_a_property_that_is_foreign_and_a_shape_that_changes() -> None:
    run_dir = finished(params={"model": "resnet"})
    run = tracelet.load_run(run_dir)
    with pytest.warns(TraceletWarning, match="'model'") as caught:
        run.params.set(model={"name": "vit"})
    assert caught[0].filename == __file__
    run.set_user_properties(where=Path("x"))
    again = tracelet.load_run(run_dir)
    assert again.params.nested() == {"model": {"name": "vit"}}
    assert again.properties == {"where": Property("x")}


def test_a_directory_that_takes_no_file_is_an_error_at_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = finished(params={"lr": 0.1})
    run = tracelet.load_run(run_dir)
    journal = run_dir / "journal"
    moved = journal.rename(run_dir / "elsewhere")
    with pytest.raises(JournalError, match="nothing can be added"):
        run.set_user_properties(a=1)
    moved.rename(journal)
    run.set_user_properties(a=2)
    assert run.properties == {"a": Property(2)}


# --------------------------------------------------------------------------- its other backends


def test_every_backend_of_the_run_gets_what_is_set(tmp_path: Path) -> None:
    names = [target(bad.Recorder), target(bad.Light), target(bad.Replayed)]
    options = {name: {"store": str(tmp_path)} for name in ("recorder", "light", "replayed")}
    run_dir = finished(params={"lr": 0.1}, backend=["local", *names], backends=options)
    run = tracelet.load_run(run_dir)
    run.params.set(lr=0.2)
    run.set_user_properties({"name": "score", "value": 3, "description": "of 5"})
    assert run.flush()
    assert run.report.complete
    for name in ("recorder", "light", "replayed"):
        assert stored(tmp_path, name, "params")[-2:] == [{"lr": 0.1}, {"lr": 0.2}], name
        assert stored(tmp_path, name, "properties") == [
            {"score": {"value": 3, "description": "of 5", "type": None}}
        ]
        eventually(lambda name=name: stored(tmp_path, name, "close")[-1:] == ["finished"])
    assert stored(tmp_path, "recorder", "metrics") == [[["loss", 0.5, 0]]], "once"
    assert stored(tmp_path, "recorder", "open") == [False, True]
    eventually(lambda: not courier_processes(run_dir))
    assert tracelet.load_run(run_dir).status == "finished"


def test_a_process_that_sets_something_and_ends_has_not_to_wait(tmp_path: Path) -> None:
    run_dir = finished(
        backend=["local", target(bad.Recorder)], backends={"recorder": {"store": str(tmp_path)}}
    )
    run_script(
        tmp_path,
        """
        import tracelet
        run = tracelet.load_run("r")
        for number in range(3):
            run.params.set(number=number)
            run.set_user_properties(number=number)
        """,
        name="later.py",
    )
    eventually(lambda: stored(tmp_path, "recorder", "properties")[-1:] == [
        {"number": {"value": 2, "description": None, "type": None}}
    ])  # fmt: skip
    eventually(lambda: view(run_dir)["report"]["backends"]["recorder"]["pending"] == 0)
    assert stored(tmp_path, "recorder", "params") == [{"number": number} for number in range(3)]
    assert tracelet.load_run(run_dir).report.complete


def test_what_is_set_while_a_courier_delivers_is_left_to_it(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = Script(
        tmp_path,
        f"""
        import tracelet
        exp = tracelet.start_logging(
            run_id="r", backend=["local", "{target(bad.Held)}", "{target(bad.Recorder)}"],
            backends={{"held": {{"store": ".", "gate": "gate"}}, "recorder": {{"store": "."}}}},
        )
        exp.log_metric("loss", 0.5, 0)
        exp.stop(wait=False)
        """,
    )
    script.succeed()
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: stored(tmp_path, "recorder", "close") == ["finished"])
    (courier,) = courier_processes(run_dir)
    run_script(
        tmp_path,
        """
        import os, tracelet
        run = tracelet.load_run("r")
        run.params.set(lr=0.2)
        run.set_user_properties(score=1)
        assert not run.flush(timeout=0)
        assert {name for name, one in run.report.items() if one.pending} >= {"held", "recorder"}
        os._exit(0)  # so that nobody but the courier is left to deliver it
        """,
        name="later.py",
    )
    assert courier_processes(run_dir) == [courier], "no other was started"
    gate.touch()
    run = eventually(lambda: delivered(run_dir))
    for name in ("held", "recorder"):
        assert stored(tmp_path, name, "params")[-1] == {"lr": 0.2}
        assert len(stored(tmp_path, name, "properties")) == 1
    assert shown(run_dir, "parameters.json") == run.params
    eventually(lambda: not courier_processes(run_dir))


def test_whoever_adds_in_the_last_moment_of_every_delivery_is_not_forgotten(tmp_path: Path) -> None:
    run_dir = finished(
        backend=target(bad.AddsAtItsClose),
        backends={"addsatitsclose": {"store": str(tmp_path), "times": 4}},
    )
    added = [{"number": number} for number in range(1, 5)]
    eventually(lambda: stored(tmp_path, "addsatitsclose", "params") == added)
    eventually(lambda: not courier_processes(run_dir))
    assert tracelet.load_run(run_dir).report.complete


def delivered(run_dir: Path) -> tracelet.Run | None:
    """The run, once every backend has all of it."""
    run = tracelet.load_run(run_dir)
    return run if run.report.complete else None


def test_a_backend_that_lived_in_the_process_of_the_training_is_not_waited_for() -> None:
    run_dir = finished(backend=["local", "memory"])
    run = tracelet.load_run(run_dir)
    run.set_user_properties(score=1)
    assert run.flush()
    assert (run.report["local"].pending, run.report["memory"].pending) == (0, 1)


def test_a_backend_that_is_down_gets_it_later(tmp_path: Path, quick_retries: None) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    run_dir = finished(
        backend=target(bad.Picky), backends={"picky": {"store": str(tmp_path), "gate": str(gate)}}
    )
    gate.unlink()
    run = tracelet.load_run(run_dir)
    run.params.set(lr=0.2)
    eventually(lambda: bad.count(tmp_path, "picky", "refused"))
    assert not run.flush(timeout=0)
    assert run.report["picky"].pending == 1
    gate.touch()
    assert run.flush()
    assert stored(tmp_path, "picky", "params") == [{"lr": 0.2}]


# ------------------------------------------------------------------------------ a run that lives


@pytest.mark.parametrize("courier", ["thread", "process"])
def test_a_running_run_takes_them_too_and_is_not_disturbed(tmp_path: Path, courier: str) -> None:
    script = Script(
        tmp_path,
        f"""
        import pathlib, time, tracelet
        exp = tracelet.start_logging(
            run_id="r", params={{"lr": 0.1}}, courier="{courier}",
            backend=["local", "{target(bad.Recorder)}"], backends={{"recorder": {{"store": "."}}}},
        )
        number = 0
        while not pathlib.Path("stop").exists():
            exp.log_metric("loss", 0.5)
            number += 1
            time.sleep(0.001)
        assert exp.stop().complete
        pathlib.Path("points").write_text(str(number))
        """,
    )
    run_dir = tmp_path / ".tracelet/default/r"
    eventually(lambda: stored(tmp_path, "recorder", "metrics"))
    before = courier_processes(run_dir)
    run = tracelet.load_run(run_dir)
    assert run.status == "running"
    run.params.set(lr=0.2, extra=1)
    run.set_user_properties(score=3)
    assert run.flush()
    assert courier_processes(run_dir) == before
    assert stored(tmp_path, "recorder", "params")[-1] == {"lr": 0.2, "extra": 1}
    assert shown(run_dir, "properties.json")["score"]["value"] == 3
    (tmp_path / "stop").touch()
    script.succeed()
    final = tracelet.load_run(run_dir)
    assert final.status == "finished"
    assert final.params == {"lr": 0.2, "extra": 1}
    assert len(final.metrics["loss"]) == int((tmp_path / "points").read_text())
    assert stored(tmp_path, "recorder", "open") == [False]


def test_a_running_run_that_has_lost_its_courier_is_left_to_its_process(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        f"""
        import pathlib, time, tracelet
        exp = tracelet.start_logging(
            run_id="r", backend="{target(bad.Recorder)}", backends={{"recorder": {{"store": "."}}}}
        )
        exp.log_metric("loss", 0.5, 0)
        assert exp.flush(60)
        pathlib.Path("ready").touch()
        while not pathlib.Path("stop").exists():
            time.sleep(0.01)
        assert exp.stop().complete
        """,
    )
    run_dir = tmp_path / ".tracelet/default/r"
    eventually((tmp_path / "ready").exists)
    for courier in courier_processes(run_dir):
        courier.kill()
    eventually(lambda: not courier_processes(run_dir))
    run = tracelet.load_run(run_dir)
    run.set_user_properties(score=3)
    assert not run.flush(timeout=0)
    assert not courier_processes(run_dir)
    (tmp_path / "stop").touch()
    script.succeed()
    assert len(stored(tmp_path, "recorder", "properties")) == 1
    assert run.flush()


def test_the_experiment_of_the_same_process_knows_what_was_set_on_its_run() -> None:
    with tracelet.start_logging("net", params={"lr": 0.1}, capture=False) as exp:
        tracelet.load_run(exp.dir).params.set(lr=0.2, new=1)
        assert exp.params == {"lr": 0.2, "new": 1}
        exp.log_params(lr=0.1)
    final = tracelet.load_run(exp.dir).params
    assert final == {"lr": 0.1, "new": 1}
    assert [change.value for change in final.history("lr")] == [0.1, 0.2, 0.1]


def test_a_killed_run_keeps_its_ending(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import os, tracelet
        exp = tracelet.start_logging(run_id="r", params={"lr": 0.1})
        os.kill(os.getpid(), 9)
        """,
    )
    assert script.wait() == -9
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    assert run.status == "killed"
    run.set_user_properties(verdict="out of memory")
    assert run.flush()
    again = tracelet.load_run(run.dir)
    assert (again.status, view(run.dir)["status"]) == ("killed", "killed")
    assert again.properties == {"verdict": Property("out of memory")}
    with tracelet.start_logging(resume="r") as exp:
        assert exp.params == {"lr": 0.1}


def test_a_resumed_run_has_what_was_set_between() -> None:
    run_dir = finished(params={"lr": 0.1})
    tracelet.load_run(run_dir).params.set(lr=0.2)
    with tracelet.start_logging("net", resume="r", capture=False) as exp:
        assert exp.params == {"lr": 0.2}
        exp.log_params(lr=0.3)
    assert tracelet.load_run(run_dir).params == {"lr": 0.3}
    assert shown(run_dir, "parameters.json") == {"lr": 0.3}


def test_many_processes_can_add_to_one_run(tmp_path: Path) -> None:
    run_dir = finished(backend=["local", "null"], courier="process")
    script = """
        import sys, tracelet
        run = tracelet.load_run("r")
        for number in range(10):
            run.params.set({f"{sys.argv[1]}.{number}": number})
            run.set_user_properties({f"{sys.argv[1]}-{number}": number})
        assert run.flush(120)
        """
    scripts = [Script(tmp_path, script, name, name=f"{name}.py") for name in ("a", "b", "c")]
    for one in scripts:
        one.succeed()
    run = tracelet.load_run(run_dir)
    assert len(run.params) == len(run.properties) == 30
    assert shown(run_dir, "parameters.json") == run.params
    assert run.report.complete
