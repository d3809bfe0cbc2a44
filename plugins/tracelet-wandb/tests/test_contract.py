"""The W&B backend keeps the contract of all backends, read back from offline files."""

from __future__ import annotations

from tracelet.testing import BackendContract
from tracelet_wandb.subject import WandbSubject


class TestWandb(WandbSubject, BackendContract):
    pass
