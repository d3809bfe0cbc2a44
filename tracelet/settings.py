"""What a run is set up with, and where each setting came from; the one place that decides.

Arguments win over ``config=``, that over the environment, that over the nearest ``tracelet.toml``
or ``[tool.tracelet]`` of a ``pyproject.toml``, that over the defaults. The options of backends and
the tags are merged over these places, every other setting is replaced as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from tracelet.errors import SettingsError
from tracelet.settings_files import from_environment, from_file, from_mapping, from_nearest_file
from tracelet.settings_layers import DEFAULT_INTERVAL, Given, Layer

CORE_BACKENDS = frozenset({"local", "memory", "null"})
"""The backends without an address: ``tracking_uri`` is never meant for them."""


class ExperimentConfig(msgspec.Struct, kw_only=True):
    """The settings of an experiment, to be given as ``config=``; None means: not set here.

    Attributes:
        name: the name of the run.
        project: the project it belongs to.
        backend: names separated by commas, or a list of names, classes and instances.
        backend_name: another word for ``backend``.
        backends: the options of each backend: ``{"mlflow": {"tracking_uri": …}}``.
        tracking_uri: the address of the one remote backend.
        tags: the tags of the run.
        dir: where runs are kept.
        journal_dir: where journals are written, if not in the run's directory.
        group: the group of runs it belongs to.
        courier: ``auto``, ``process`` or ``thread``: where delivery happens.
        drain_timeout: the seconds that ``stop()`` waits for delivery.
        on_error: ``raise`` or ``warn``: what a mistake in a call does.
        on_param_conflict: ``overwrite``, ``keep`` or ``error``: what a changed parameter does.
        strict: whether ``stop()`` raises if something was not delivered as given.
        ranks: ``first`` or ``all``: which processes of a distributed job log.
        redact: whether secrets are hidden, or more globs of keys to hide, ``!`` for not.
        capture: whether the program's arguments are captured, or the names of what is.
        capture_arguments: single arguments in and out: ``{"password": False, "*": True}``.
        capture_console: whether what the program prints is logged.
        log_environment: globs of the variables to log, ``!`` for not.
        system_metrics: whether, or every how many seconds, system metrics are logged.
        disabled: whether logging is switched off.
    """

    name: str | None = None
    project: str | None = None
    backend: Any = None
    backend_name: str | None = None
    backends: Mapping[str, Mapping[str, Any]] | None = None
    tracking_uri: str | None = None
    tags: Mapping[str, str] | None = None
    dir: str | os.PathLike[str] | None = None
    journal_dir: str | os.PathLike[str] | None = None
    group: str | None = None
    courier: Literal["auto", "process", "thread"] | None = None
    drain_timeout: float | None = None
    on_error: Literal["raise", "warn"] | None = None
    on_param_conflict: Literal["overwrite", "keep", "error"] | None = None
    strict: bool | None = None
    ranks: Literal["first", "all"] | None = None
    redact: bool | Sequence[str] | None = None
    capture: bool | Sequence[str] | None = None
    capture_arguments: bool | Mapping[str, bool] | None = None
    capture_console: bool | None = None
    log_environment: Sequence[str] | None = None
    system_metrics: float | bool | None = None
    disabled: bool | None = None


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """The settings that hold for a run: those of :class:`ExperimentConfig`, all decided.

    Attributes:
        backend: names, classes and instances; at least one.
        dir: absolute.
        journal_dir: absolute, or None for the run's directory.
        system_metrics: seconds, or None for never.
        origins: dotted key to where its value came from: ``argument``, ``config=``,
            ``environment TRACELET_PROJECT``, the path of a file, ``default``.
    """

    name: str | None = None
    project: str = "default"
    backend: tuple[Any, ...]
    backends: dict[str, dict[str, Any]] = {}
    tags: dict[str, str] = {}
    dir: Path
    journal_dir: Path | None = None
    group: str | None = None
    courier: Literal["auto", "process", "thread"] = "auto"
    drain_timeout: float = 60.0
    on_error: Literal["raise", "warn"] = "raise"
    on_param_conflict: Literal["overwrite", "keep", "error"] = "overwrite"
    strict: bool = False
    ranks: Literal["first", "all"] = "first"
    redact: bool | tuple[str, ...] = True
    capture: bool | tuple[str, ...] = True
    capture_arguments: bool | dict[str, bool] = True
    capture_console: bool = False
    log_environment: tuple[str, ...] = ()
    system_metrics: float | None = DEFAULT_INTERVAL
    disabled: bool = False
    origins: dict[str, str] = {}


_MERGED = ("tags", "backends")
_SETTLED = [name for name in Settings.__struct_fields__ if name not in (*_MERGED, "origins")]


def resolve(
    config: ExperimentConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    cwd: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Settings:
    """Decide every setting.

    Args:
        config: settings as an object, a mapping, or the path of a TOML, YAML or JSON file.
        cwd: where files are looked for from, and what paths are relative to; None: the working
            directory.
        environ: the environment; None: that of the process.
        arguments: settings that win over ``config``; those that are None were not given.

    Raises:
        SettingsError: if a key is unknown, a value of the wrong type, a file unreadable, or it is
            not clear which backend ``tracking_uri`` is the address of. If the working directory
            was deleted, and a path is relative to it.
    """
    base = _working_directory() / (cwd or "")
    layers = [
        from_nearest_file(base),
        from_environment(os.environ if environ is None else environ, base),
        _from_config(config, base),
        from_mapping(arguments, "argument", base),
    ]
    chosen: Layer = {
        ("dir",): Given(base / ".tracelet", "default"),
        ("backend",): Given(("local",), "default"),
    }
    ranks = dict.fromkeys(chosen, -1)
    for rank, layer in enumerate(layers):
        chosen.update(layer)
        ranks.update(dict.fromkeys(layer, rank))
    _place_tracking_uri(chosen, ranks)
    return _settle(chosen)


def _working_directory() -> Path:
    """Return the working directory; an empty path if it was deleted: all the rest is known."""
    try:
        return Path.cwd()
    except OSError:
        return Path()


def _from_config(config: Any, base: Path) -> Layer:
    if config is None:
        return {}
    if isinstance(config, ExperimentConfig):
        config = {name: getattr(config, name) for name in config.__struct_fields__}
    if isinstance(config, Mapping):
        return from_mapping(config, "config=", base)
    if isinstance(config, str | os.PathLike):
        return from_file(Path(config), base)
    kinds = "an ExperimentConfig, a mapping or the path of a file"
    raise SettingsError(f"config= must be {kinds}, not {type(config).__name__}")


def _place_tracking_uri(chosen: Layer, ranks: Mapping[tuple[str, ...], int]) -> None:
    """Make ``tracking_uri`` an option of the one backend that is not of the core."""
    uri = chosen.pop(("tracking_uri",), None)
    if uri is None:
        return
    rank = ranks[("tracking_uri",)]
    names = [_name(item) for item in chosen[("backend",)].value]
    remote = [name for name in names if name not in CORE_BACKENDS]
    if not remote and ranks[("backend",)] > rank:
        return  # a nearer place chose another backend than the one with that address
    if len(remote) != 1 or remote[0] is None:
        instead = " or ".join(f"'backends.{name or '<name>'}.tracking_uri'" for name in remote)
        raise SettingsError(
            f"'tracking_uri' ({uri.origin}) is the address of the one remote backend, and the "
            f"backends are {', '.join(str(name or 'a class of your own') for name in names)}; "
            + (f"write {instead}" if instead else "name the backend too, or leave it out")
        )
    key = ("backends", remote[0], "tracking_uri")
    option = chosen.get(key)
    if option is None or ranks[key] < rank:
        chosen[key] = uri
    elif ranks[key] == rank and option.value != uri.value:
        other = f"'{'.'.join(key)}' ({option.origin})"
        raise SettingsError(f"'tracking_uri' ({uri.origin}) and {other} differ: give one")


def _name(backend: Any) -> str | None:
    """Return the name of a backend; that of a ``module:Class`` is not known before it is loaded."""
    if isinstance(backend, str):
        return None if ":" in backend else backend
    return getattr(backend, "name", None)


def _settle(chosen: Layer) -> Settings:
    values: dict[str, Any] = {}
    origins = dict.fromkeys(_SETTLED, "default")
    backends: dict[str, dict[str, Any]] = {}
    tags: dict[str, str] = {}
    for key, given in chosen.items():
        if key in (("dir",), ("journal_dir",)) and not given.value.is_absolute():
            raise SettingsError(
                f"setting {key[0]!r} ({given.origin}) is {str(given.value)!r}, and the working "
                "directory was deleted: give an absolute path"
            )
        origins[".".join(key)] = given.origin
        if key[0] == "backends":
            backends.setdefault(key[1], {})[key[2]] = given.value
        elif key[0] == "tags":
            tags[key[1]] = given.value
        else:
            values[key[0]] = given.value
    return Settings(**values, backends=backends, tags=tags, origins=origins)
