"""The TensorBoard backend keeps the contract of all backends."""

from __future__ import annotations

from tensorboard_harness import TensorboardHarness

from tracelet.testing import BackendContract


class TestTensorboard(TensorboardHarness, BackendContract):
    """Read back with the loader of the ``tensorboard`` package."""
