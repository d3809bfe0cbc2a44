"""The contract of all backends, read back from ClearML's session folders."""

from __future__ import annotations

from clearml_harness import ClearmlHarness

from tracelet.testing import BackendContract


class TestClearml(ClearmlHarness, BackendContract):
    """Every check, with the SDK, in session folders."""
