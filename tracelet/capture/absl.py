"""Captures the flags of ``absl`` that the program defines.

The values are read when the flags are parsed, and when a run begins after that: flags are global.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tracelet.capture.arguments import snapshot
from tracelet.capture.base import CaptureSource, Recorder, warn_on_failure
from tracelet.capture.program import PROGRAM, rank
from tracelet.capture.tracebacks import wrapper_frame
from tracelet.hookspecs import hookimpl
from tracelet.values.equality import same_value

SECTION = "TF_DEFINE"
_ALIAS = re.compile(r"Alias for --(.+)\.")
"""The help text of an alias: only this has the name of the flag."""
_captures: list[AbslCapture] = []


class AbslCapture(CaptureSource):
    """The flags of the program, with their help; those of absl and of libraries are left out."""

    name = "absl"
    arguments = True

    def start(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reported: dict[str, Any] | None = None
        _captures.append(self)
        if _flags().is_parsed():
            self.report()
            found = _of_program()
            texts = {name: _texts(flag) for name, flag in found.items()}
            recorder.typed(SECTION, texts, aliases=_aliases(found))

    def stop(self) -> None:
        if self in _captures:
            _captures.remove(self)

    def parsed(self) -> None:
        """Report the flags, which were just parsed; hold them if the run has some already."""
        if self._reported is None and not self._recorder.holding:
            self.report()
        else:
            self._recorder.hold(self.name, self.report)

    def report(self) -> list[str]:
        """Report the present values of the flags; return the names of those that have changed."""
        changed: list[str] = []
        with warn_on_failure(self.name):
            found, before = _of_program(), self._reported or {}
            values = snapshot({name: flag.value for name, flag in found.items()})
            texts = {name: str(flag.help) for name, flag in found.items() if flag.help}
            changed = [
                name
                for name, value in values.items()
                if name not in before or not same_value(before[name], value)
            ]
            self._reported = values
            self._recorder.params(SECTION, values, descriptions=texts, aliases=_aliases(found))
        return changed


def observe() -> None:
    """Observe from now on when the flags are parsed."""
    cls = type(_flags())
    if not hasattr(cls.__call__, "__wrapped__"):
        cls.__call__ = _observed(cls.__call__)


def _observed(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with wrapper_frame:
            result = method(self, *args, **kwargs)
        if self is _flags():
            for capture in _captures:
                capture.parsed()
        return result

    return call


def _flags() -> Any:
    return sys.modules["absl.flags"].FLAGS


def _of_program() -> Mapping[str, Any]:
    """Return the flags that the program's own modules define; the script is known by its path."""
    found = {}
    for module, flags in _flags().flags_by_module_dict().items():
        file = getattr(sys.modules.get(module), "__file__", None) or module
        if rank(module, str(file)) <= PROGRAM:
            found.update({flag.name: flag for flag in flags})
    return found


def _aliases(flags: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return all names of each flag: its own, its short one, and its aliases."""
    groups: dict[str, list[str]] = {}
    for name, flag in flags.items():
        alias = _ALIAS.fullmatch(str(flag.help))
        short = [flag.short_name] if flag.short_name else []
        groups.setdefault(alias[1] if alias else name, []).extend([name, *short])
    return {name: group for group in groups.values() for name in group}


def _texts(flag: Any) -> list[str]:
    """Return the value of a flag as it is on a command line."""
    lines = flag.serialize().splitlines() if flag.serializer else ()
    return [line.partition("=")[2] for line in lines]


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    """Return the source."""
    return AbslCapture
