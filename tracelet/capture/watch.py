"""Notices the import of modules that are captured; before that it costs nothing but this file.

``wrapt`` has the hooks, and takes longer to import than all of tracelet: it is imported with the
first module that is watched, or never.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tracelet.capture.registry import CORE, module_imported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _Lookout:
    """Stands first among the finders until a watched module is looked for, then makes room."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing; at the name of a watched module, hand over to wrapt's finder."""
        if name not in self.names:
            return None
        try:
            sys.meta_path.remove(self)
        except ValueError:  # another thread was first
            return None
        import wrapt

        for watched in self.names:
            wrapt.register_post_import_hook(_imported, watched)
        from importlib.util import find_spec

        return find_spec(name)


def _imported(module: ModuleType) -> None:
    module_imported(module.__name__)


_lookout = _Lookout({module for known in CORE.values() for module in known.watches})


def begin() -> None:
    """Prepare for what is imported already, and watch for the rest."""
    for name in sorted(_lookout.names & sys.modules.keys()):
        module_imported(name)
    _lookout.names -= sys.modules.keys()
    sys.meta_path.insert(0, _lookout)


def end() -> None:
    """Watch no more, in a process whose own arguments are no run's: tracelet's own."""
    if _lookout in sys.meta_path:
        sys.meta_path.remove(_lookout)
