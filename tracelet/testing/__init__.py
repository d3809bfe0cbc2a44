"""The contract that every backend keeps, for the tests of plugins.

Inherit :class:`BackendContract` in a test file of yours, say which backend it is and how its
tracker is read, and every check is one of your tests; ``tracelet check NAME`` runs the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelet.testing.harness import Harness
from tracelet.testing.readback import ReadBack, is_bookkeeping, parse_adjusted, parse_log

if TYPE_CHECKING:
    from tracelet.testing.contract import BackendContract

__all__ = [
    "BackendContract",
    "Harness",
    "ReadBack",
    "is_bookkeeping",
    "parse_adjusted",
    "parse_log",
]


def __getattr__(name: str) -> Any:
    if name == "BackendContract":  # needs pytest, which the command ``tracelet check`` does not
        from tracelet.testing.contract import BackendContract

        return BackendContract
    raise AttributeError(f"module 'tracelet.testing' has no attribute {name!r}")
