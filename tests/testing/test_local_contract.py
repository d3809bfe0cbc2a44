"""The backend that writes JSON keeps the contract of all backends."""

from __future__ import annotations

from tracelet.testing import BackendContract
from tracelet.testing.harnesses import LocalHarness


class TestLocal(LocalHarness, BackendContract):
    """Every check, with the real files."""
