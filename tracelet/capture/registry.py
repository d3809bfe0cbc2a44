"""The sources of capture that exist, and those that a run has. It imports only the latter.

:data:`CORE` has the core's own sources. Each module provides its class through the hook
``tracelet_capture``, and so do plugins. A source with ``watches`` is imported after the first
module that it watches: a program without ``argparse`` never imports its source.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from tracelet.errors import SettingsError, nearest
from tracelet.settings import Settings

if TYPE_CHECKING:  # start-up time
    from tracelet.capture.base import CaptureSource


class Known(msgspec.Struct, frozen=True):
    """A source of the core.

    Attributes:
        module: the module of its class.
        watches: the modules that it observes; empty: every run needs the source. When one of them
            was imported, ``observe()`` of the source's module is called, also before any run.
        setting: a setting that must be on for the source. If the user has given it, ``capture``
            need not name the source.
    """

    module: str
    watches: tuple[str, ...] = ()
    setting: str | None = None


CORE: dict[str, Known] = {
    "argparse": Known("tracelet.capture.argparse", watches=("argparse",)),
    "click": Known("tracelet.capture.click", watches=("click", "typer")),
    "hydra": Known("tracelet.capture.hydra", watches=("hydra.compose",)),
    "absl": Known("tracelet.capture.absl", watches=("absl.flags",)),
    "environment": Known("tracelet.capture.environment", setting="log_environment"),
    "git": Known("tracelet.capture.git"),
    "machine": Known("tracelet.capture.machine"),
    "packages": Known("tracelet.capture.packages"),
    "console": Known("tracelet.capture.console", setting="capture_console"),
    "tensorboard": Known(
        "tracelet.capture.tensorboard",
        watches=("tensorboard.summary.writer.event_file_writer", "tensorboardX.event_file_writer"),
    ),
}

LAUNCHERS: dict[str, Known] = {
    "optuna": Known("tracelet.capture.optuna", watches=("optuna.study.study",))
}
"""What runs jobs, and has nothing to capture."""
_ALSO = {"typer": "click"}
"""Other names of sources."""
_left_out: set[str] = set()
_broken: dict[str, Exception] = {}
_listeners: list[Callable[[str], None]] = []
"""Called with the name of each source for which a watched module was imported."""


def check(settings: Settings) -> None:
    """Check the names in the setting ``capture``.

    Raises:
        SettingsError: a name is not that of a source.
    """
    for name in _named(settings):
        if name not in CORE and name not in _of_plugins():
            origin = settings.origins.get("capture", "argument")
            hint = nearest(name, [*CORE, *_of_plugins()])
            raise SettingsError(f"unknown source {name!r} in 'capture' ({origin}){hint}")


def chosen(settings: Settings) -> list[str]:
    """Return the names of the sources that a run may have, in the order in which they start."""
    if settings.capture is False:
        return []
    if settings.capture is True:
        plugins = [name for name, cls in _of_plugins().items() if cls.default]
        return [*(name for name in CORE if _is_on(name, settings)), *plugins]
    named = _named(settings)
    return [*named, *(name for name in CORE if name not in named and _is_set(name, settings))]


def is_needed(name: str) -> bool:
    """Return whether a source has something to capture: a module that it watches is imported."""
    watches = CORE[name].watches if name in CORE else ()
    return not watches or any(module in sys.modules for module in watches)


def load(name: str) -> type[CaptureSource]:
    """Return the class of a source.

    Raises:
        Exception: the source could not observe the module that it watches.
    """
    if name in _broken:
        raise _broken[name]
    if name not in CORE:
        return _of_plugins()[name]
    cls: type[CaptureSource] = importlib.import_module(CORE[name].module).tracelet_capture()
    return cls


def listen(listener: Callable[[str], None]) -> None:
    """Call a function with the name of each source that becomes needed."""
    if listener not in _listeners:
        _listeners.append(listener)


def module_imported(module: str) -> None:
    """Begin to observe a watched module, which was just imported, or before tracelet."""
    for name, known in {**CORE, **LAUNCHERS}.items():
        if module in known.watches:
            try:
                importlib.import_module(known.module).observe()
            except Exception as error:  # noqa: BLE001 - the program's import goes on
                _broken[name] = error
            for listener in _listeners:
                listener(name)


def _named(settings: Settings) -> list[str]:
    names = () if isinstance(settings.capture, bool) else settings.capture
    return list(dict.fromkeys(_ALSO.get(name, name) for name in names))


def _is_on(name: str, settings: Settings) -> bool:
    setting = CORE[name].setting
    return setting is None or bool(getattr(settings, setting))


def _is_set(name: str, settings: Settings) -> bool:
    """Return whether the user has switched on the source's own setting."""
    setting = CORE[name].setting
    given = setting is not None and settings.origins.get(setting, "default") != "default"
    return given and _is_on(name, settings)


def _of_plugins() -> dict[str, type[CaptureSource]]:
    from tracelet.backends.registry import call_plugins  # start-up time: pluggy and all plugins

    found: dict[str, type[CaptureSource]] = {}
    sources: Iterable[tuple[str, Any]] = call_plugins("tracelet_capture", _leave_out)
    for plugin, cls in sources:
        name = getattr(cls, "name", None)
        if not isinstance(name, str):
            _leave_out(plugin, TypeError(f"{cls!r} is no class of a source"))
        elif name not in CORE:  # a plugin cannot replace a source of the core
            found.setdefault(name, cls)
    return found


def _leave_out(plugin: str, error: BaseException) -> None:
    """Log, once a process, that a plugin has no source: a mistake of it is not the program's."""
    if plugin not in _left_out:
        _left_out.add(plugin)
        logging.getLogger(__name__).warning(
            "%s has no source: it is left out", plugin, exc_info=error
        )
