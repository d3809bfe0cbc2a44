"""Settings: which place wins, where each value came from, and what a typo says."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tracelet.errors import SettingsError
from tracelet.settings import ExperimentConfig, Settings, resolve


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with no settings above it that are ours."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    return inner


def settle(place: Path, config: Any = None, /, environ: Any = None, **arguments: Any) -> Settings:
    return resolve(config, cwd=place, environ=environ or {}, **arguments)


class Own:
    name = "own"


# ------------------------------------------------------------------------------- who wins


def test_without_anything_the_defaults_hold(place: Path) -> None:
    settings = settle(place)
    assert settings.backend == ("local",)
    assert settings.dir == place / ".tracelet"
    assert settings.project == "default"
    assert (settings.courier, settings.on_error, settings.ranks) == ("auto", "raise", "first")
    assert (settings.drain_timeout, settings.system_metrics) == (60.0, 10.0)
    assert set(settings.origins.values()) == {"default"}
    assert set(settings.origins) == set(Settings.__struct_fields__) - {
        "origins",
        "tags",
        "backends",
    }


def test_each_place_wins_over_the_ones_below_it(place: Path) -> None:
    (place / "tracelet.toml").write_text(
        "name='f'\nproject='f'\ngroup='f'\ndrain_timeout=1\nstrict=true"
    )
    environ = {
        "TRACELET_NAME": "e",
        "TRACELET_PROJECT": "e",
        "TRACELET_GROUP": "e",
        "TRACELET_DRAIN_TIMEOUT": "2",
    }
    config = {"name": "c", "project": "c", "group": "c"}
    settings = settle(place, config, environ, name="a", project=None)
    assert (settings.name, settings.project, settings.group) == ("a", "c", "c")
    assert (settings.drain_timeout, settings.strict) == (2.0, True)
    assert settings.origins | {} == settings.origins | {
        "name": "argument",
        "project": "config=",
        "drain_timeout": "environment TRACELET_DRAIN_TIMEOUT",
        "strict": str(place / "tracelet.toml"),
        "ranks": "default",
    }
    assert settle(place, ExperimentConfig(**config), environ).project == "c"
    assert settle(place, environ=environ).project == "e"


def test_options_and_tags_are_merged_over_places(place: Path) -> None:
    (place / "tracelet.toml").write_text(
        "[tags]\nteam='ml'\nstage='dev'\n"
        "[backends.mlflow]\ntracking_uri='http://file'\nexperiment='x'\n"
    )
    environ = {"TRACELET_BACKENDS__MLFLOW__TRACKING_URI": "http://env", "TRACELET_TAGS__TEAM": "cv"}
    settings = settle(place, {"backends": {"wandb": {"mode": "offline"}}}, environ, tags={"n": 3})
    assert settings.backends == {
        "mlflow": {"tracking_uri": "http://env", "experiment": "x"},
        "wandb": {"mode": "offline"},
    }
    assert settings.tags == {"team": "cv", "stage": "dev", "n": "3"}
    assert settings.origins["backends.mlflow.experiment"] == str(place / "tracelet.toml")
    assert settings.origins["tags.team"] == "environment TRACELET_TAGS__TEAM"
    assert (
        settings.origins["backends.mlflow.tracking_uri"]
        == "environment TRACELET_BACKENDS__MLFLOW__TRACKING_URI"
    )


def test_settings_cannot_be_changed(place: Path) -> None:
    with pytest.raises(AttributeError):
        settle(place).project = "other"  # type: ignore[misc]


# ------------------------------------------------------------------------------- the files


def test_the_nearest_directory_wins_and_tracelet_toml_in_one_directory(place: Path) -> None:
    above = place.parent
    (above / "tracelet.toml").write_text("project = 'above'")
    assert settle(place).project == "above"
    (place / "pyproject.toml").write_text("[tool.tracelet]\nproject = 'near'\n")
    settings = settle(place)
    assert settings.project == "near"
    assert settings.origins["project"] == f"{place / 'pyproject.toml'} [tool.tracelet]"
    (place / "tracelet.toml").write_text("project = 'nearest'")
    assert settle(place).project == "nearest"


@pytest.mark.parametrize("content", ["not = [toml", "[project]\ndependencies = ['tracelet']"])
def test_a_pyproject_without_the_table_is_passed_by(place: Path, content: str) -> None:
    (place.parent / "tracelet.toml").write_text("project = 'above'")
    (place / "pyproject.toml").write_text(content)
    assert settle(place).project == "above"


def test_paths_in_a_found_file_are_relative_to_the_file(place: Path) -> None:
    (place.parent / "tracelet.toml").write_text("dir = 'runs'\njournal_dir = '/fast'")
    settings = settle(place)
    assert settings.dir == place.parent / "runs"
    assert settings.journal_dir == Path("/fast")
    assert settle(place, dir="mine").dir == place / "mine"
    assert settle(place, dir="~/mine").dir == Path.home() / "mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.toml", "project = 'p'\n[backends.wandb]\nmode = 'offline'"),
        ("x.yaml", "project: p\nbackends: {wandb: {mode: offline}}\ngroup: null"),
        ("x.yml", "project: p\nbackends:\n  wandb:\n    mode: offline"),
        ("x.json", '{"project": "p", "backends": {"wandb": {"mode": "offline"}}}'),
        ("pyproject.toml", "[tool.tracelet]\nproject='p'\nbackends={wandb={mode='offline'}}"),
    ],
)
def test_config_can_be_a_file(place: Path, name: str, content: str) -> None:
    (place / name).write_text(content)
    for path in (name, place / name):
        settings = settle(place, path, {"TRACELET_PROJECT": "less"})
        assert (settings.project, settings.backends) == ("p", {"wandb": {"mode": "offline"}})
        assert settings.origins["project"].startswith(str(place / name))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.toml", "project = ", "is not TOML"),
        ("x.yaml", "a: [", "is not YAML"),
        ("x.json", "{", "is not JSON"),
        ("x.json", "[1]", "must be a mapping of settings, not list"),
        ("x.ini", "[a]", ".toml, .yaml, .yml or .json"),
        ("x.toml", b"\xff", "is not TOML"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(
    place: Path, name: str, content: str | bytes, message: str
) -> None:
    (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError, match=message) as caught:
        settle(place, name)
    assert name in str(caught.value)


def test_a_missing_file_is_named(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read: No such file"):
        settle(place, "nowhere.toml")


def test_without_pyyaml_the_line_that_installs_it_is_given(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (place / "x.yaml").write_text("project: p")
    with pytest.raises(SettingsError, match=r"x\.yaml needs a package: pip install pyyaml"):
        settle(place, "x.yaml")


def test_config_of_another_type_is_refused(place: Path) -> None:
    with pytest.raises(SettingsError, match="ExperimentConfig, a mapping or the path"):
        settle(place, 3)


# ------------------------------------------------------------------------------- the values


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("BACKEND", "local, mlflow", ("local", "mlflow")),
        ("BACKEND_NAME", "mlflow", None),
        ("STRICT", "1", True),
        ("STRICT", "False", False),
        ("DISABLED", "yes", True),
        ("DRAIN_TIMEOUT", "1.5", 1.5),
        ("SYSTEM_METRICS", "off", None),
        ("SYSTEM_METRICS", "true", 10.0),
        ("SYSTEM_METRICS", "1", 1.0),
        ("SYSTEM_METRICS", "0", None),
        ("REDACT", "false", False),
        ("REDACT", "*_pin,!pwd", ("*_pin", "!pwd")),
        ("CAPTURE", "argparse,click", ("argparse", "click")),
        ("CAPTURE", "0", False),
        ("CAPTURE_ARGUMENTS", "no", False),
        ("CAPTURE_ARGUMENTS", "password=false, *=true", {"password": False, "*": True}),
        ("LOG_ENVIRONMENT", "CUDA_*,!CUDA_PATH", ("CUDA_*", "!CUDA_PATH")),
        ("ON_PARAM_CONFLICT", "keep", "keep"),
    ],
)
def test_variables_are_read_as_what_they_set(
    place: Path, key: str, text: str, expected: object
) -> None:
    settings = settle(place, environ={f"TRACELET_{key}": text})
    if key == "BACKEND_NAME":
        assert settings.backend == ("mlflow",)
    else:
        assert getattr(settings, key.lower()) == expected
        assert type(getattr(settings, key.lower())) is type(expected)


def test_options_from_variables_are_texts_but_for_true_and_false(place: Path) -> None:
    settings = settle(
        place,
        environ={
            "TRACELET_BACKENDS__CLEARML__OFFLINE": "True",
            "TRACELET_BACKENDS__MLFLOW__EXPERIMENT": "123",
        },
    )
    assert settings.backends == {"clearml": {"offline": True}, "mlflow": {"experiment": "123"}}


def test_empty_variables_and_those_between_processes_are_no_settings(place: Path) -> None:
    environ = {
        "TRACELET_RUN_DIR": "/x",
        "TRACELET_INTERNAL_THING": "y",
        "TRACELET_PROJECT": "",
        "OTHER": "z",
    }
    assert set(settle(place, environ=environ).origins.values()) == {"default"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mlflow", ("mlflow",)),
        ("local,pkg.mod:Own", ("local", "pkg.mod:Own")),
        (["local", Own], ("local", Own)),
        (Own, (Own,)),
    ],
)
def test_backends_are_names_classes_and_instances(
    place: Path, given: object, expected: object
) -> None:
    assert settle(place, backend=given).backend == expected


def test_a_backend_can_be_an_instance(place: Path) -> None:
    own = Own()
    assert settle(place, {"backend_name": "mlflow"}, backend=own).backend == (own,)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("project", 3),
        ("project", " "),
        ("name", ["x"]),
        ("backend", 3),
        ("backend", []),
        ("backend", "local,,mlflow"),
        ("backend", ["local", "local"]),
        ("backend", ["local", 3]),
        ("backend", {"mlflow": {}}),
        ("tags", ["a"]),
        ("tags", {"a": []}),
        ("dir", 3),
        ("dir", ""),
        ("courier", "fork"),
        ("courier", True),
        ("drain_timeout", "60"),
        ("drain_timeout", True),
        ("drain_timeout", -1),
        ("drain_timeout", float("nan")),
        ("on_error", "ignore"),
        ("strict", 1),
        ("strict", "true"),
        ("redact", "x"),
        ("redact", {"x"}),
        ("log_environment", frozenset({"A_*"})),
        ("redact", [1]),
        ("capture", 3),
        ("capture_arguments", {"a": 1}),
        ("capture_arguments", ["a"]),
        ("log_environment", "CUDA_*"),
        ("system_metrics", "10"),
        ("system_metrics", -1),
        ("backends", ["mlflow"]),
        ("backends", {"mlflow": "http://x"}),
    ],
)
def test_a_wrong_value_is_an_error_that_names_key_and_place(
    place: Path, key: str, value: object
) -> None:
    with pytest.raises(SettingsError, match=rf"setting '{key}' \(argument\) must be .*, not"):
        settle(place, **{key: value})


def test_sources_can_be_given_as_a_text_as_in_the_variable(place: Path) -> None:
    assert settle(place, capture="git").capture == ("git",)
    assert settle(place, capture="argparse, click").capture == ("argparse", "click")


@pytest.mark.parametrize(
    ("entry", "told"),
    [({"lr": 1}, "'lr': 1"), ({" ": True}, "' ': True"), ({3: True}, "3: True")],
)
def test_a_wrong_entry_about_an_argument_is_named(place: Path, entry: Any, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settle(place, capture_arguments={"fine": True, **entry})

    assert str(caught.value) == (
        "setting 'capture_arguments' (argument) must be true, false, or a mapping of names to "
        f"true or false, not one with {told}"
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("STRICT", "maybe"),
        ("STRICT", "2"),
        ("DRAIN_TIMEOUT", "soon"),
        ("DRAIN_TIMEOUT", "-1"),
        ("SYSTEM_METRICS", "often"),
        ("RANKS", "second"),
        ("CAPTURE_ARGUMENTS", "password"),
        ("CAPTURE_ARGUMENTS", "password=x"),
        ("LOG_ENVIRONMENT", "A,,B"),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it(place: Path, key: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"\(environment TRACELET_{key}\) must be"):
        settle(place, environ={f"TRACELET_{key}": text})


def test_the_options_of_a_backend_are_never_shown(place: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        settle(place, backends={"mlflow": {"password": "hunter2"}, "wandb": "x"})
    assert "hunter2" not in str(caught.value)


# ------------------------------------------------------------------------------- the typos


def test_an_unknown_key_is_named_with_its_place_and_the_nearest_key(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"'projet' \(argument\); did you mean 'project'\?"):
        settle(place, projet="x")
    with pytest.raises(SettingsError, match=r"'on-error' \(config=\); did you mean 'on_error'\?"):
        settle(place, {"on-error": "warn"})
    with pytest.raises(
        SettingsError,
        match=r"environment TRACELET_PROJEKT\); did you mean TRACELET_PROJECT\?",
    ):
        settle(place, environ={"TRACELET_PROJEKT": "x"})
    file = place / "tracelet.toml"
    file.write_text("backnd = 'x'")
    with pytest.raises(
        SettingsError, match=r"tracelet\.toml\); did you mean 'backend'\?"
    ) as caught:
        settle(place)
    assert str(file) in str(caught.value)


def test_an_unknown_key_that_is_near_to_nothing_lists_the_known(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"known are .*backend, .*tracking_uri"):
        settle(place, zzz="x")
    with pytest.raises(SettingsError, match="unknown setting 3"):
        settle(place, {3: "x"})


@pytest.mark.parametrize(
    ("variable", "instead"),
    [
        ("TRACELET_BACKENDS", "TRACELET_BACKENDS__<BACKEND>__<OPTION>"),
        ("TRACELET_BACKENDS__MLFLOW", "TRACELET_BACKENDS__<BACKEND>__<OPTION>"),
        ("TRACELET_TAGS", "TRACELET_TAGS__<NAME>"),
        ("TRACELET_PROJECT__X", "TRACELET_PROJECT"),
    ],
)
def test_a_variable_of_the_wrong_depth_says_what_to_write(
    place: Path, variable: str, instead: str
) -> None:
    with pytest.raises(SettingsError, match=f"{variable}.*write {instead}$"):
        settle(place, environ={variable: "x"})


# ------------------------------------------------------------------------------- the address


@pytest.mark.parametrize(
    "arguments",
    [
        {"backend": "mlflow"},
        {"backend": ["local", "mlflow"]},
        {"backend_name": "mlflow"},
    ],
)
def test_tracking_uri_is_the_address_of_the_one_remote_backend(
    place: Path, arguments: dict[str, Any]
) -> None:
    settings = settle(place, tracking_uri="http://x", **arguments)
    assert settings.backends == {"mlflow": {"tracking_uri": "http://x"}}
    assert settings.origins["backends.mlflow.tracking_uri"] == "argument"
    assert "tracking_uri" not in settings.origins


def test_a_class_of_your_own_has_an_address_by_its_name(place: Path) -> None:
    settings = settle(place, tracking_uri="http://x", backend=[Own, "memory"])
    assert settings.backends == {"own": {"tracking_uri": "http://x"}}


def test_the_place_that_wins_decides_between_the_two_words(place: Path) -> None:
    environ = {"TRACELET_BACKENDS__MLFLOW__TRACKING_URI": "http://env"}
    both = settle(place, environ=environ, backend="mlflow", tracking_uri="http://x")
    assert both.backends["mlflow"]["tracking_uri"] == "http://x"
    (place / "tracelet.toml").write_text("tracking_uri = 'http://file'")
    both = settle(place, environ=environ, backend="mlflow")
    assert both.backends["mlflow"]["tracking_uri"] == "http://env"


def test_two_different_addresses_in_one_place_are_an_error(place: Path) -> None:
    config: dict[str, Any] = {"backend": "mlflow", "tracking_uri": "http://x"}
    same = {**config, "backends": {"mlflow": {"tracking_uri": "http://x"}}}
    assert settle(place, same).backends["mlflow"]["tracking_uri"] == "http://x"
    with pytest.raises(SettingsError, match="differ: give one"):
        settle(place, {**config, "backends": {"mlflow": {"tracking_uri": "http://y"}}})


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("local", "name the backend too"),
        (None, "name the backend too"),
        (
            ["mlflow", "wandb"],
            "write 'backends.mlflow.tracking_uri' or 'backends.wandb.tracking_uri'",
        ),
        ("pkg.mod:Own", "write 'backends.<name>.tracking_uri'"),
    ],
)
def test_an_address_of_none_or_several_says_what_to_write(
    place: Path, backend: object, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        settle(place, {"tracking_uri": "http://x", "backend": backend})


def test_the_address_of_a_backend_that_a_nearer_place_replaced_is_not_used(place: Path) -> None:
    (place / "tracelet.toml").write_text("backend = 'mlflow'\ntracking_uri = 'http://x'")
    assert settle(place, backend="local").backends == {}


def test_two_words_for_the_backend_must_agree(place: Path) -> None:
    assert settle(place, backend="mlflow", backend_name="mlflow").backend == ("mlflow",)
    with pytest.raises(SettingsError, match="same setting with different values"):
        settle(place, backend="wandb", backend_name="mlflow")


# ------------------------------------------------------------------------------- the start-up


def test_what_is_costly_is_not_imported_until_it_is_needed(place: Path) -> None:
    program = (
        "import sys; from tracelet.settings import resolve; resolve(environ={});"
        "print(*sorted({'tomllib', 'yaml', 'difflib', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == ""


def test_the_signature_of_the_settings_can_be_read() -> None:
    signature = str(inspect.signature(ExperimentConfig))
    assert "project: str | None = None" in signature
    assert "drain_timeout: float | None = None" in signature
    assert "Kind" not in signature
    assert "~" not in signature
