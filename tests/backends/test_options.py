"""Options that no backend takes are an error where the run begins, with their place in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

import tracelet
from tracelet.backends.null import NullBackend
from tracelet.backends.registry import resolve
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


class Typed(NullBackend):
    name = "typed"
    got: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        *,
        port: int = 80,
        wait: float = 1.0,
        secure: bool = True,
        mode: Literal["online", "offline"] | None = None,
        place: str | os.PathLike[str] | None = None,
        hosts: list[str] | None = None,
        several: tuple[str, ...] = (),
        folder: Path | None = None,
        count: Annotated[int, "how many"] = 1,
        label: str = "",
        anything: Any = None,
        unsaid=None,
    ) -> None:
        super().__init__()
        Typed.got = {"port": port, "wait": wait, "secure": secure, "mode": mode, "label": label}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("port", True, "is an int, not True"),
        ("port", "eighty", "is an int, not 'eighty'"),
        ("wait", [1], r"is a number, not \[1\]"),
        ("secure", "perhaps", "is true or false, not 'perhaps'"),
        ("mode", "both", "is one of online, offline, not 'both'"),
        ("place", 3, "is a str or a path, not 3"),
        ("hosts", "one", "is a list, not 'one'"),
        ("folder", 3, "is a path, not 3"),
        ("count", "x", "is an int, not 'x'"),
    ],
)
def test_an_option_of_the_wrong_type_says_what_would_be_right(
    toml: Path, option: str, value: Any, message: str
) -> None:
    with pytest.raises(SettingsError, match=f"^backends.typed.{option} {message} "):
        tracelet.start_logging(backend=Typed, config={"backends": {"typed": {option: value}}})
    assert not (toml.parent / ".tracelet").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"port": 8080, "wait": 2, "secure": False, "mode": "online"},
        {"place": Path("here"), "hosts": ["one"], "anything": object(), "unsaid": 3},
        {"mode": None, "place": "here"},
        {"several": ["a", "b"], "folder": "here", "count": 4},
    ],
)
def test_options_of_the_right_types_are_taken(options: dict[str, Any]) -> None:
    resolve(Typed).check(options)


def test_the_text_of_a_variable_becomes_what_the_option_is(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"PORT": "8080", "WAIT": "0.5", "SECURE": "no", "MODE": "offline", "LABEL": "true"}
    for option, text in texts.items():
        monkeypatch.setenv(f"TRACELET_BACKENDS__TYPED__{option}", text)
    with tracelet.start_logging(backend=Typed):
        pass
    expected = {"port": 8080, "wait": 0.5, "secure": False, "mode": "offline", "label": "true"}
    assert Typed.got == expected


def test_an_annotation_for_type_checkers_only_says_nothing() -> None:
    class Lazy(NullBackend):
        name = "lazy"

        def __init__(self, when: Decimal = None) -> None:  # type: ignore[name-defined]  # noqa: F821
            super().__init__()

    resolve(Lazy).check({"when": "now"})
