"""The backend that keeps lists keeps the contract of all backends.

It lives in the process that logs, as its capabilities declare: the checks of processes that are
ended are no business of it, and all others go through the thread.
"""

from __future__ import annotations

from tracelet.testing import BackendContract
from tracelet.testing.harnesses import MemoryHarness


class TestMemory(MemoryHarness, BackendContract):
    """Every check, with the live object."""
