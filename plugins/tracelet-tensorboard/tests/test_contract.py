"""The TensorBoard backend keeps the contract of all backends."""

from __future__ import annotations

from tracelet.testing import BackendContract
from tracelet_tensorboard.subject import TensorboardSubject


class TestTensorboard(TensorboardSubject, BackendContract):
    """Read back with the loader of the ``tensorboard`` package."""
