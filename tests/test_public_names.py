"""What ``import tracelet`` offers is curated, complete, and cheap until it is used."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types

import pytest

import tracelet

CORE = {"argparse", "click", "importlib.metadata", "numpy", "pandas", "psutil", "rich", "typer"}
SDKS = {"clearml", "mlflow", "tensorboard", "tensorflow", "torch", "wandb"}
HEAVY = CORE | SDKS


def test_all_is_sorted_and_without_repetition() -> None:
    assert tracelet.__all__ == sorted(set(tracelet.__all__))


@pytest.mark.parametrize("name", tracelet.__all__)
def test_every_name_in_all_is_there(name: str) -> None:
    assert getattr(tracelet, name) is not None
    assert name in dir(tracelet)


def test_every_public_name_that_is_there_is_in_all() -> None:
    there = {
        name
        for name, value in vars(tracelet).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", "").startswith("tracelet")
    }

    assert there <= set(tracelet.__all__)


def test_every_public_name_has_a_docstring_of_its_own() -> None:
    for name in tracelet.__all__:
        value = getattr(tracelet, name)
        if callable(value) and getattr(value, "__module__", "").startswith("tracelet"):
            assert value.__doc__, name


def test_a_star_import_gives_all_of_them() -> None:
    names: dict[str, object] = {}
    exec("from tracelet import *", names)

    assert set(tracelet.__all__) <= set(names)


def test_the_version_is_that_of_the_metadata() -> None:
    assert tracelet.__version__ == importlib.metadata.version("tracelet")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'start_loging'"):
        tracelet.start_loging  # noqa: B018


def test_importing_does_not_import_what_is_used_later() -> None:
    script = f"import sys, tracelet; print({HEAVY} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True
    )

    assert done.stdout.strip() == "set()"
