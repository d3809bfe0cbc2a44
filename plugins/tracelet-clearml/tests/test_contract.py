"""The contract of all backends, read back from ClearML's session folders."""

from __future__ import annotations

from tracelet.testing import BackendContract
from tracelet_clearml.subject import ClearmlSubject


class TestClearml(ClearmlSubject, BackendContract):
    """Every check, with the SDK, in session folders."""
