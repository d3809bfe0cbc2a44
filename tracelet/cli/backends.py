"""``tracelet backends``: what is installed, and the line that installs what is not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
from rich.console import Console
from rich.text import Text

from tracelet.backends.base import Backend
from tracelet.backends.registry import CORE, OFFICIAL, entry_points, resolve
from tracelet.cli.formatting import clean
from tracelet.cli.options import Json
from tracelet.cli.output import add_row, columns, heading, print_json, results
from tracelet.errors import BrokenPluginError, TraceletError

State = Literal["ready", "not installed", "SDK missing", "broken"]
_STYLES = {"ready": "green", "not installed": "dim", "SDK missing": "yellow", "broken": "red"}
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class BackendState(msgspec.Struct, kw_only=True):
    """What is known of a backend.

    Attributes:
        name: the backend's.
        state: ``ready``, ``not installed``, ``SDK missing`` or ``broken``.
        package: the distribution that provides it.
        version: its version, if it is installed.
        sdk: versions of the distributions of its SDK; None for one that is missing.
        install: the line that installs what is missing.
        reason: why it is broken.
    """

    name: str
    state: State
    package: str
    version: str | None = None
    sdk: dict[str, str | None] = {}
    install: str | None = None
    reason: str | None = None


def backends(as_json: Json = False) -> None:
    """List the backends, and how to install what is missing."""
    found = list(_states())
    if as_json:
        print_json(found)
        return
    console = results()
    table = columns("backend", "state", "package", "SDK", indent=0)
    for one in found:
        version = f" {one.version}" if one.version else ""
        sdk = ", ".join(f"{name} {version or '-'}" for name, version in one.sdk.items())
        add_row(
            table,
            clean(one.name),
            Text(one.state, _STYLES[one.state]),
            clean(one.package + version),
            sdk,
        )
    console.print(table)
    _print_lines(console, "broken", {one.name: one.reason for one in found if one.reason})
    _print_lines(console, "to install", {one.name: one.install for one in found if one.install})


def _print_lines(console: Console, title: str, lines: Mapping[str, str]) -> None:
    """Print a line a backend; the terminal wraps them, so that they can be copied whole."""
    if lines:
        console.print()
        console.print(heading(title))
    for name, line in lines.items():
        text = Text("  ").append(f"{clean(name):{max(map(len, lines))}}  ", style="dim")
        console.print(text.append(clean(line)), soft_wrap=True)


def _states() -> Iterator[BackendState]:
    plugins = entry_points()
    own = importlib.metadata.version("tracelet")
    for name in sorted({*CORE, *OFFICIAL, *plugins}, key=_order):
        found = plugins.get(name, [])
        if name in CORE:
            package, version = "tracelet", own
        elif found:
            package, version = _distribution(found[0])
        else:
            package = OFFICIAL[name]
            install = f"python -m pip install {package}"
            yield BackendState(name=name, state="not installed", package=package, install=install)
            continue
        state = BackendState(name=name, state="ready", package=package, version=version)
        try:
            _look(state, resolve(name).cls)
        except TraceletError as error:
            state.state, state.reason = "broken", " ".join(str(error).split())
        yield state


def _order(name: str) -> tuple[int, str]:
    """Order the core's own backends first, then those of the project, then those of others."""
    return (0 if name in CORE else 1 if name in OFFICIAL else 2, name)


def _distribution(entry_point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    dist = entry_point.dist
    return (dist.name, dist.version) if dist is not None else (entry_point.module, "")


def _look(state: BackendState, cls: type[Backend]) -> None:
    """Look whether a backend can be used: its SDK, and whether an object of it can be made.

    Raises:
        BrokenPluginError: it cannot.
    """
    missing = []
    for module, requirement in cls.requires.items():
        match = _REQUIREMENT.match(requirement)
        distribution = match.group() if match else module
        there = importlib.util.find_spec(module) is not None
        state.sdk[distribution] = _version(distribution) if there else None
        if not there:
            missing.append(f"'{requirement}'")
    if missing:
        state.state = "SDK missing"
        state.install = f"python -m pip install {' '.join(missing)}"
        return
    try:
        cls()
    except TypeError:
        return  # it has options that must be given
    except TraceletError:
        raise
    except Exception as error:  # foreign code
        raise BrokenPluginError(f"{type(error).__name__}: {error}") from error


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "installed"
