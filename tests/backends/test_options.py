"""Options that no backend takes are an error where the run begins, with their place in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.backends.null import NullBackend
from tracelet.errors import SettingsError, TraceletWarning


class Own(NullBackend):
    name = "own_tracker"

    def __init__(self, address: str = "", mode: str = "") -> None:
        super().__init__()


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "tracelet.toml"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mlfow", "mlflow"),
        ("MLflow", "mlflow"),
        ("wnb", "wandb"),
        ("lokal", "local"),
        ("own-tracker", "own_tracker"),
    ],
)
def test_options_of_a_backend_that_is_misspelt(toml: Path, written: str, meant: str) -> None:
    toml.write_text(f"[backends.{written}]\naddress = 'http://here'\n")
    with pytest.raises(SettingsError) as caught:
        tracelet.start_logging(backend=["local", Own])
    assert str(caught.value) == (
        f"unknown backend 'backends.{written}' ({toml}); did you mean 'backends.{meant}'?"
    )
    assert not (toml.parent / ".tracelet").exists()


def test_a_variable_with_a_backend_that_is_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELET_BACKENDS__MLFOW__TRACKING_URI", "x")
    with pytest.raises(SettingsError, match=r"environment TRACELET_BACKENDS__MLFOW__TRACKING_URI"):
        tracelet.start_logging()


def test_options_of_backends_that_other_programs_use_are_no_mistake(toml: Path) -> None:
    names = ("mlflow", "own_tracker", "mlflow2", "my_wandb", "lake")
    toml.write_text("".join(f"[backends.{name}]\naddress = 'x'\n" for name in names))
    with tracelet.start_logging():
        pass
    with tracelet.start_logging(backend=Own) as exp:
        pass
    assert exp.report is not None
    assert list(exp.report) == ["own_tracker"]


@pytest.mark.parametrize(
    ("backend", "name", "message"),
    [
        (Own, "own_tracker", "did you mean 'address'[?]"),
        ("local", "local", "it has none"),
    ],
)
def test_an_option_that_is_misspelt(toml: Path, backend: Any, name: str, message: str) -> None:
    toml.write_text(f"[backends.{name}]\nadress = 'x'\n")
    with pytest.raises(
        SettingsError, match=f"^backends.{name}.adress is not an option.*{message} .{toml}.$"
    ):
        tracelet.start_logging(backend=backend)
    assert not (toml.parent / ".tracelet").exists()


def test_with_warnings_the_run_begins(toml: Path) -> None:
    toml.write_text("[backends.lokal]\naddress = 'x'\n")
    with (
        pytest.warns(TraceletWarning, match="not used: .*did you mean 'backends.local'"),
        tracelet.start_logging(on_error="warn") as exp,
    ):
        exp.log_metric("loss", 0.5)
    assert exp.report is not None
    assert exp.report.complete


def test_options_that_are_no_mapping_are_named(toml: Path) -> None:
    toml.write_text("[backends]\nmlflow = 'x'\n")
    with pytest.raises(SettingsError, match=r"'backends' .* not one with 'mlflow': a str$"):
        tracelet.start_logging()
