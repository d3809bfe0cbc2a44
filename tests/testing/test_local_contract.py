"""The backend that writes JSON keeps the contract of all backends."""

from __future__ import annotations

from tracelet.testing import BackendContract
from tracelet.testing.subjects import LocalSubject


class TestLocal(LocalSubject, BackendContract):
    """Every check, with the real files."""
