"""The hook for objects of a foreign type, of a plugin as it is installed."""

from __future__ import annotations

from pathlib import Path

from user_scripts import run_script

PLUGIN = """
from tracelet.hookspecs import hookimpl

@hookimpl
def tracelet_as_params(value):
    kind = type(value).__name__
    if kind == "Recipe":
        return {"flour": value.grams, "steps": {"knead": True}}
    if kind == "Raises":
        raise LookupError("no such recipe")
    if kind == "Wrong":
        return 3
"""


def install(directory: Path, name: str, text: str) -> None:
    """Put a plugin where the script of this directory finds it, with its metadata."""
    (directory / f"{name}.py").write_text(text)
    info = directory / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tracelet]\n{name} = {name}\n")


def test_a_plugin_says_what_the_parameters_of_its_objects_are(tmp_path: Path) -> None:
    install(tmp_path, "kitchen", PLUGIN)
    install(tmp_path, "other", PLUGIN.replace("value.grams", "-1").replace("Recipe", "Menu"))
    run_script(
        tmp_path,
        """
        import argparse, warnings
        import pytest, tracelet

        class Recipe:
            def __init__(self):
                self.grams = 500
                self.cook = "ada"

        class Raises(Recipe): ...
        class Wrong(Recipe): ...

        with tracelet.start_logging(run_id="r") as exp:
            exp.log_params(Recipe(), section="set")
            exp.set_parameters_as_dict({"inside": {"deep": Recipe()}})
            recipe = exp.connect(Recipe(), name="connected")
            recipe.grams = 600
            exp.connect_configuration(Recipe(), name="whole")
            # What a plugin gets wrong is a warning, and the object is what it is without it.
            with pytest.warns(tracelet.TraceletWarning, match="Raises.*no such recipe"):
                exp.log_params(Raises(), section="raises")
            with pytest.warns(tracelet.TraceletWarning, match="Wrong a mapping.*gave a int"):
                exp.log_params(Wrong(), section="wrong")
            exp.set_user_properties(note="done")

        run = tracelet.load_run("r")
        dough = {"flour": 500, "steps": {"knead": True}}
        plain = {"grams": 500, "cook": "ada"}
        assert {k: v for k, v in run.get_parameters_as_dict().items() if k != "Args"} == {
            "set": dough,
            "inside": {"deep": dough},
            "connected": {**dough, "flour": 600},
            "raises": plain,
            "wrong": plain,
        }, run.params.nested()
        assert run.configurations == {"whole": dough}
        run.log_params(Recipe(), section="later")
        assert run.get_parameters_as_dict()["later"] == dough
        """,
    )
