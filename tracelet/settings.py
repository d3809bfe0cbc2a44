"""What a run is set up with, and where each setting came from; the one place that decides.

Arguments win over ``config=``, that over the environment, that over the nearest ``tracelet.toml``
or ``[tool.tracelet]`` of a ``pyproject.toml``, that over the defaults. The options of backends and
the tags are merged over these places, every other setting is replaced as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracelet.errors import SettingsError
from tracelet.settings_fields import PATH, ExperimentConfig, Settings, kinds
from tracelet.settings_sources import (
    Given,
    Layer,
    from_environment,
    from_file,
    from_mapping,
    from_nearest_file,
    put,
)

__all__ = ["CORE_BACKENDS", "ExperimentConfig", "Settings", "resolve"]

CORE_BACKENDS = frozenset({"local", "memory", "null"})
"""The backends without an address: ``tracking_uri`` is never meant for them."""
_DEFAULTS = Settings()


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
    environ = os.environ if environ is None else environ
    layers = [
        from_nearest_file(base, environ),
        from_environment(environ, base),
        _from_config(config, base),
        from_mapping(arguments, "argument", base),
    ]
    chosen = _defaults(base)
    ranks = dict.fromkeys(chosen, -1)
    for rank, layer in enumerate(layers):
        chosen.update(layer)
        ranks.update(dict.fromkeys(layer, rank))
    _place_tracking_uri(chosen, ranks)
    return _settle(chosen)


def _defaults(base: Path) -> Layer:
    layer: Layer = {}
    for field in Settings.__struct_fields__:
        if field in kinds() and not kinds()[field].levels:
            value = getattr(_DEFAULTS, field)
            is_path = kinds()[field] is PATH and value is not None
            layer[(field,)] = Given(base / value if is_path else value, "default")
    return layer


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
    for key, given in chosen.items():
        is_path = kinds()[key[0]] is PATH and given.value is not None
        if is_path and not given.value.is_absolute():
            raise SettingsError(
                f"setting {key[0]!r} ({given.origin}) is {str(given.value)!r}, and the working "
                "directory was deleted: give an absolute path"
            )
        put(values, key, given.value)
    return Settings(**values, origins={".".join(key): one.origin for key, one in chosen.items()})
