"""The W&B backend keeps the contract of all backends, read back from offline files."""

from __future__ import annotations

from wandb_harness import WandbHarness

from tracelet.testing import BackendContract


class TestWandb(WandbHarness, BackendContract):
    pass
