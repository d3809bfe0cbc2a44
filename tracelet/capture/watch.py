"""Notices the import of modules that a capture source watches.

``wrapt`` has hooks for imports, and takes longer to import than tracelet. So it is imported with
the first watched module, or never.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from tracelet.capture.registry import CORE, LAUNCHERS, module_imported


class _Finder:
    """The first finder of ``sys.meta_path``, until a watched module is imported."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return None; for a watched module, install wrapt's finder and use that."""
        if name not in self.names:
            return None
        try:
            sys.meta_path.remove(self)
        except ValueError:  # another thread was first
            return None
        import wrapt  # start-up time

        for watched in self.names:
            wrapt.register_post_import_hook(_imported, watched)
        from importlib.util import find_spec  # start-up time

        return find_spec(name)


def _imported(module: ModuleType) -> None:
    module_imported(module.__name__)


_watched = [*CORE.values(), *LAUNCHERS.values()]
_finder = _Finder({module for known in _watched for module in known.watches})


def begin() -> None:
    """Observe the watched modules that are imported already, and watch for the others."""
    for name in sorted(_finder.names & sys.modules.keys()):
        module_imported(name)
    _finder.names -= sys.modules.keys()
    sys.meta_path.insert(0, _finder)


def end() -> None:
    """Stop watching: for a process of tracelet itself, whose arguments belong to no run."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
