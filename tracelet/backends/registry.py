"""Finds backends and plugins; a broken plugin must never keep the others from working.

A backend is given by name, as ``"package.module:Class"``, as a class, or as an instance. Names are
looked up among the core's own modules and the entry points of the group ``tracelet``; both provide
their class through the same hook.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
import pluggy

from tracelet import hookspecs
from tracelet.backends.base import Backend, Capabilities
from tracelet.backends.options import fit_options
from tracelet.errors import (
    BrokenPluginError,
    InvalidValueError,
    MissingPluginError,
    SettingsError,
    TraceletError,
    UnknownBackendError,
    ValueTypeError,
)
from tracelet.settings import CORE_BACKENDS

log = logging.getLogger(__name__)

BackendSpec: TypeAlias = str | type[Backend] | Backend
"""How a user names a backend."""

GROUP = "tracelet"
CORE = {name: f"tracelet.backends.{name}" for name in CORE_BACKENDS}
OFFICIAL = {name: f"tracelet-{name}" for name in ("mlflow", "clearml", "tensorboard", "wandb")}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class ResolvedBackend(msgspec.Struct, frozen=True):
    """A backend that was found.

    Attributes:
        name: its name.
        cls: its class.
        target: what another process passes to :func:`resolve` to get it; None if no other can.
        instance: the object that was given, if one was.
    """

    name: str
    cls: type[Backend]
    target: str | None
    instance: Backend | None = None

    @property
    def needs_this_process(self) -> bool:
        """Whether only the training process can run it."""
        return self.target is None or self.cls.capabilities.in_process

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse, before anything is written, a backend that cannot work with these options.

        An object is made of it and dropped: to make one neither imports an SDK nor connects.

        Raises:
            SettingsError: an option is unknown, missing, or none that it can take.
            MissingPluginError: a module of ``requires`` is not installed.
            BrokenPluginError: no object of it can be made.
        """
        if self.instance is None:
            self.cls.check(options)
        try:
            backend = self.create(options)
        except TraceletError:
            raise
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"the backend {self.name!r} does not take its options "
                f"({', '.join(options) or 'there are none'}): {type(error).__name__}: {error}"
            ) from error
        except (Exception, SystemExit) as error:
            raise BrokenPluginError(
                f"no object of the backend {self.name!r} can be made: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not hasattr(backend, "adjustments"):
            raise BrokenPluginError(
                f"the __init__ of the backend {self.name!r} does not call super().__init__()"
            )

    def create(self, options: Mapping[str, Any]) -> Backend:
        """Return the instance that was given, or make one with ``options``."""
        if self.instance is not None:
            return self.instance
        return self.cls(**fit_options(self.cls, self.name, options))


def installed() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the entry points of all installed plugins by name, without those that are in doubt."""
    found = entry_points()
    return {name: points[0] for name, points in found.items() if len(points) == 1}


def entry_points() -> dict[str, list[importlib.metadata.EntryPoint]]:
    """Return the entry points of each name but the core's; more than one if packages disagree."""
    found: dict[str, dict[str, importlib.metadata.EntryPoint]] = {}
    for entry_point in _points():
        if entry_point.name not in CORE:  # nobody takes the core's names
            # One package can be found twice, as it is built and as it is checked out.
            found.setdefault(entry_point.name, {})[entry_point.value] = entry_point
    return {name: list(points.values()) for name, points in found.items()}


def _points() -> Iterable[importlib.metadata.EntryPoint]:
    given: list[object] = [*sys.path]
    texts = [path for path in given if isinstance(path, str)]
    if len(texts) == len(given):
        return importlib.metadata.entry_points(group=GROUP)
    # What is no text in the path, imports ignore, and the metadata of packages stumble over.
    found = importlib.metadata.distributions(path=texts)
    return (point for one in found for point in one.entry_points if point.group == GROUP)


def resolve(spec: BackendSpec) -> ResolvedBackend:
    """Find a backend.

    Raises:
        UnknownBackendError: no backend of that name; the message has the nearest known names.
        MissingPluginError: a known name, not installed; the message has the install line.
        BrokenPluginError: what was named cannot be loaded.
        ValueTypeError: ``spec`` is nothing that can name a backend.
    """
    if isinstance(spec, Backend):
        return _checked(ResolvedBackend(type(spec).name, type(spec), None, spec))
    if isinstance(spec, type) and issubclass(spec, Backend):
        return _checked(ResolvedBackend(spec.name, spec, _importable(spec)))
    if not isinstance(spec, str):
        raise ValueTypeError(
            f"backend={spec!r}: a backend is a name, 'module:Class', a subclass of "
            "tracelet.Backend, or an instance of one"
        )
    if ":" in spec:
        cls = _import_class(spec)
        return _checked(ResolvedBackend(cls.name, cls, spec))
    cls = _from_hook(spec)
    return _checked(ResolvedBackend(spec, cls, spec))


def _checked(found: ResolvedBackend) -> ResolvedBackend:
    if not _NAME.fullmatch(str(found.name or "")):
        raise InvalidValueError(
            f"a backend's name is made of letters, digits, '_', '-' and '.': {found.name!r}"
        )
    if missing := sorted(getattr(found.cls, "__abstractmethods__", ())):
        raise BrokenPluginError(
            f"the backend {found.name!r} ({found.cls.__qualname__}) lacks {', '.join(missing)}"
        )
    if not isinstance(found.cls.capabilities, Capabilities):
        raise BrokenPluginError(
            f"the capabilities of the backend {found.name!r} must be tracelet.Capabilities, "
            f"not {type(found.cls.capabilities).__name__}"
        )
    return found


def _from_hook(name: str) -> type[Backend]:
    if name in CORE:
        classes = _registered(importlib.import_module(CORE[name]))
    else:
        entry_point = _entry_point(name)
        try:
            classes = _registered(entry_point.load())
        except (Exception, SystemExit) as error:
            raise BrokenPluginError(
                f"the plugin of the backend {name!r} ({entry_point.value}) is installed, but "
                f"cannot be loaded: {type(error).__name__}: {error}"
            ) from error
    if not classes:
        raise BrokenPluginError(f"the plugin {name!r} registers no backend")
    cls = classes[0]
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise BrokenPluginError(f"the plugin {name!r} registers {cls!r}, which is no backend")
    if cls.name != name:
        raise BrokenPluginError(
            f"the entry point {name!r} registers a backend that is called {cls.name!r}; "
            "both must have the same name"
        )
    return cls


def _entry_point(name: str) -> importlib.metadata.EntryPoint:
    found = entry_points().get(name, [])
    if not found:
        raise _unknown(name)
    if len(found) > 1:
        both = " and ".join(point.value for point in found)
        raise BrokenPluginError(f"{len(found)} plugins are called {name!r}: {both}")
    return found[0]


@functools.cache  # whoever lists the runs asks once a run
def _registered(module: Any) -> list[Any]:
    """Return what a plugin's module registers as backends."""
    one = pluggy.PluginManager(hookspecs.PROJECT)
    one.add_hookspecs(hookspecs)
    one.register(module)
    classes: list[Any] = one.hook.tracelet_register_backend()
    return classes


def _unknown(name: str) -> UnknownBackendError:
    if name in OFFICIAL:
        return MissingPluginError(
            name,
            f"the backend {name!r} is not installed; this installs it:  "
            f"python -m pip install {OFFICIAL[name]}",
        )
    known = sorted({*CORE, *OFFICIAL, *installed()})
    import difflib  # 3 ms that only a mistake pays

    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return UnknownBackendError(
        name,
        f"unknown backend {name!r}; {hint}Known: {', '.join(known)}. "
        "A class of your own is given as 'package.module:Class'",
    )


def _import_class(target: str) -> type[Backend]:
    try:
        value = pkgutil.resolve_name(target)
    except Exception as error:
        raise BrokenPluginError(
            f"backend {target!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(value, type) and issubclass(value, Backend)):
        raise ValueTypeError(f"backend {target!r} is not a subclass of tracelet.Backend")
    return value


def _importable(cls: type[Backend]) -> str | None:
    """Return ``module:Class`` if another process can import it, else None."""
    value: Any = sys.modules.get(cls.__module__)
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        return None
    for part in cls.__qualname__.split("."):
        value = getattr(value, part, None)
    return f"{cls.__module__}:{cls.__qualname__}" if value is cls else None


@functools.cache
def plugins() -> pluggy.PluginManager:
    """Return the manager of all plugins that could be loaded, for the hooks besides backends.

    A plugin that cannot be loaded is named in the log and left out.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, entry_point in installed().items():
        try:
            manager.register(entry_point.load(), name=name)
        except (Exception, SystemExit):
            log.warning("the plugin %s cannot be loaded and is left out", name, exc_info=True)
            if manager.has_plugin(name):  # some of its hooks may be right
                manager.unregister(name=name)
    return manager


def call_plugins(
    hook: str, failed: Callable[[str, BaseException], object], **values: Any
) -> Iterator[tuple[str, Any]]:
    """Call a hook of each plugin that has it, one after another, as far as the caller asks.

    Args:
        hook: the name of the hook.
        failed: called with the name of a plugin that has raised, and its error.
        values: the arguments of the hook.

    Yields:
        The name of each other plugin, and what it has returned.
    """
    manager = plugins()
    found = getattr(manager.hook, hook).get_hookimpls()
    for name in dict.fromkeys(one.plugin_name for one in reversed(found)):
        others = [plugin for other, plugin in manager.list_name_plugin() if other != name]
        try:
            result = manager.subset_hook_caller(hook, others)(**values)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - told to the caller
            failed(name, error)
            continue
        # One plugin has one function of a hook: there is one result, or none for None.
        yield name, (result[0] if result else None) if isinstance(result, list) else result
