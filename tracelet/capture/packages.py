"""Captures which packages are installed, as a file.

Only the names of directories are read: they have name and version. Reading the files in them, as
``importlib.metadata`` does, takes a hundred times as long.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from tracelet.capture.base import CaptureSource, Recorder
from tracelet.hookspecs import hookimpl

FILE = "tracelet/packages.txt"
_METADATA = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")
_SEPARATORS = re.compile(r"[-_.]+")


def installed(directories: Iterable[str]) -> dict[str, str]:
    """Return the version of each package by its normalised name, sorted.

    Args:
        directories: e.g. ``sys.path``; as for imports, the first match counts.
    """
    found: dict[str, str] = {}
    for directory in directories:
        try:
            names = [entry.name for entry in Path(directory).iterdir()]
        except OSError:  # a zip file, or not there
            continue
        for match in filter(None, map(_METADATA.fullmatch, names)):
            name = _SEPARATORS.sub("-", match["name"]).lower()
            found.setdefault(name, match["version"])
    return dict(sorted(found.items()))


class Packages(CaptureSource):
    """Records the installed packages, a line for each, as ``pip install -r`` takes them."""

    name: ClassVar[str] = "packages"

    def start(self, recorder: Recorder) -> None:
        given: list[object] = [*sys.path]  # Python ignores other types, too
        found = installed([path for path in given if isinstance(path, str)])
        lines = [f"{name}=={version}\n" for name, version in found.items()]
        # google-auth==2.0 looks like a secret with its value.
        recorder.file(FILE, "".join(lines).encode(), secrets=False)

    def stop(self) -> None:
        """Do nothing: everything is reported at the start."""


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    return Packages
