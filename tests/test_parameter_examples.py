"""Parameters, configuration objects and properties, as a script sets them and another reads them.

The first scripts are the examples of another library's manual under our names; the last one makes
every call there is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from user_scripts import run_script

import tracelet
from tracelet.backends.base import Property

EXAMPLES = """
import tracelet


class person:
    def __init__(self, name, age):
        self.name = name
        self.age = age


me = person('Erik', 5)

task = tracelet.start_logging(project='examples', exp_name='argparser')

task.connect(me)


task = tracelet.start_logging(project='examples', exp_name='dictionary logging')

params_dictionary = {'epochs': 3, 'lr': 0.4}

task.connect(params_dictionary)

task.set_user_properties({"name": "backbone",
                          "description": "network type",
                          "value": "great"})

model_config_dict = {
    'value': 13.37,
    'dict': {'sub_value': 'string', 'sub_integer': 11},
    'list_of_ints': [1, 2, 3, 4],
}
model_config_dict = task.connect_configuration(name='dictionary', configuration=model_config_dict)

config_file_yaml = task.connect_configuration(
    name="yaml file", configuration='path/to/configuration/file.yaml', )
assert model_config_dict['value'] == 13.37
assert config_file_yaml == 'path/to/configuration/file.yaml'


task = tracelet.start_logging(project='examples', exp_name='parameters')

# override parameters with provided dictionary
task.set_parameters({'Args/epochs':7, 'lr': 0.5})

print(task.get_parameters())

# setting a single parameter
task.set_parameter(name='decay',value=0.001)
"""

LATER = """
import tracelet

task = tracelet.load_run(project='examples', exp_name='parameters')

# add parameters
task.set_parameters_as_dict({'my_args/lr':0.3, 'epochs':10})

task = tracelet.load_run(project='examples', exp_name='parameters')

# will print a flattened dictionary of the 'section/parameter': 'value' pairs
print(task.get_parameters())
"""


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No automatic capture: these are about what a script says itself."""
    monkeypatch.setenv("TRACELET_CAPTURE", "false")


@pytest.mark.usefixtures("quiet")
def test_the_examples_of_a_manual(tmp_path: Path) -> None:
    file = tmp_path / "path/to/configuration/file.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"lr: 1e-3\r\n")
    output = run_script(tmp_path, EXAMPLES)
    assert "{'Args/epochs': 7, 'General/lr': 0.5}" in output

    def load(name: str) -> tracelet.Run:
        return tracelet.load_run(project="examples", exp_name=name)

    assert load("argparser").params == {"name": "Erik", "age": 5}
    run = load("dictionary logging")
    assert run.params == {"epochs": 3, "lr": 0.4}
    assert run.properties == {"backbone": Property("great", "network type")}
    assert run.configurations["dictionary"] == {
        "value": 13.37,
        "dict": {"sub_value": "string", "sub_integer": 11},
        "list_of_ints": [1, 2, 3, 4],
    }
    assert run.configurations["yaml file"].read_bytes() == b"lr: 1e-3\r\n"
    assert (run.dir / "configs/yaml file.yaml").read_bytes() == b"lr: 1e-3\r\n"
    assert load("parameters").params == {"Args/epochs": 7, "lr": 0.5, "decay": 0.001}

    expected = {
        "Args/epochs": 7,
        "General/lr": 0.5,
        "General/decay": 0.001,
        "my_args/lr": 0.3,
        "General/epochs": 10,
    }
    assert run_script(tmp_path, LATER, name="later.py").splitlines()[-1] == str(expected)
    assert load("parameters").get_parameters() == expected
    assert load("parameters").report.complete


STORED = """{
  "learning_rate": 0.001,
  "batch_size": 32,
  "optimizer": "adam",
  "model.architecture": "resnet50",
  "model.pretrained": true,
  "model.num_classes": 1000
}
"""


@pytest.mark.usefixtures("quiet")
def test_the_file_of_the_parameters_is_for_people(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import tracelet
        with tracelet.start_logging("demo", "test", dir="data", run_id="demo") as exp:
            exp.params.set(learning_rate=0.001, batch_size=32, optimizer="adam")
            exp.log_params(model={
                "architecture": "resnet50", "pretrained": True, "num_classes": 1000
            })
        """,
    )
    assert (tmp_path / "data/test/demo/parameters.json").read_text() == STORED


EVERY_CALL = """
import warnings
import tracelet

with tracelet.start_logging(run_id="r", tags={"team": "ml"}) as exp:
    # the view
    given = {"model": {"depth": 18, "layers": [1]}, 0: "zero", None: "nothing", 1.5: "x"}
    assert exp.params.set(given, self=1, given=2) is exp.params is exp.parameters()
    given["model"]["layers"].append(2)
    assert exp.params["model.depth"] == 18
    assert exp.params.get("model.width", 64) == 64
    assert "self" in exp.params and "model" not in exp.params
    assert len(exp.params) == len(list(exp.params)) == 7
    assert exp.params.flat()["model.layers"] == [1]
    assert exp.params.nested() == {
        "self": 1, "given": 2, "model": {"depth": 18, "layers": [1]},
        "0": "zero", "None": "nothing", "1.5": "x",
    }
    exp.log_params(self=3)
    values = [value for value, time in exp.params.history("self")]
    times = [time for value, time in exp.params.history("self")]
    assert values == [1, 3] and times == sorted(times) and times[0] > 1e9
    exp.log_params({"model": {"depth": 34}}, section="Big")
    try:
        exp.log_params({"fine": 1, "": 2})
    except ValueError as error:
        assert isinstance(error, tracelet.TraceletError)
    assert "fine" not in exp.params
    exp.params.set(shape="resnet")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exp.params.set(shape={"name": "resnet"})
        exp.params.set(shape="vit")
    assert [one.category for one in caught] == [tracelet.TraceletWarning] * 2
    assert {one.filename for one in caught} == {__file__}
    assert exp.params["shape"] == "vit" and "shape.name" not in exp.params

    # user properties, in every form
    exp.set_user_properties(a=1)
    exp.set_user_properties(b={"value": 2.5, "description": "two and a half", "type": "float"})
    exp.set_user_properties({"name": "c", "value": True}, {"name": "d", "value": None})
    exp.set_user_properties({"e": [1, "x"], "f": {"value": "text", "description": "words"}})
    exp.set_user_properties([{"name": "g", "value": 7, "description": "seven"}], a=2)

    # sections
    exp.set_parameters({"Args/epochs": 7, "lr": 0.5})
    exp.set_parameter("decay", 0.001)
    exp.set_parameters_as_dict({"my_args/lr": 0.3, "opt": {"m": 0.9}})

    class Base:
        lr, hidden = 0.1, 1

    class Trainer(Base):
        lr = 0.2

        def fit(self): ...

    trainer, config = Trainer(), {"x": 1}
    assert exp.connect(Trainer, name="Class") is Trainer
    assert exp.connect(trainer, name="Instance") is trainer
    assert exp.connect(config) is config
    trainer.hidden = 2
    assert exp.flush()
    assert exp.params["Instance/hidden"] == 2
    config["x"] = 2
"""


@pytest.mark.usefixtures("quiet")
def test_every_call_means_what_the_pages_say(tmp_path: Path) -> None:
    run_script(tmp_path, EVERY_CALL)
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    expected: dict[str, Any] = {
        "Args/epochs": 7,
        "lr": 0.5,
        "decay": 0.001,
        "my_args/lr": 0.3,
        "opt/m": 0.9,
        "Class/lr": 0.2,
        "Class/hidden": 1,
        "Instance/lr": 0.2,
        "Instance/hidden": 2,
        "x": 2,
    }
    assert run.params == json.loads((run.dir / "parameters.json").read_bytes()) == expected
    assert run.get_parameters_as_dict() == {
        "Args": {"epochs": 7},
        "General": {"lr": 0.5, "decay": 0.001, "x": 2},
        "my_args": {"lr": 0.3},
        "opt": {"m": 0.9},
        "Class": {"lr": 0.2, "hidden": 1},
        "Instance": {"lr": 0.2, "hidden": 2},
    }
    assert [change.value for change in run.params.history("shape")] == ["resnet", "vit"]
    assert [change.value for change in run.params.history("Big/model.depth")] == [34]
    assert run.properties == {
        "a": Property(2),
        "b": Property(2.5, "two and a half", "float"),
        "c": Property(True),
        "d": Property(None),
        "e": Property([1, "x"]),
        "f": Property("text", "words"),
        "g": Property(7, "seven"),
    }
    stored = json.loads((run.dir / "properties.json").read_bytes())
    assert stored["b"] == {"value": 2.5, "description": "two and a half", "type": "float"}
    assert run.tags == {"team": "ml"}
    assert run.report.complete
