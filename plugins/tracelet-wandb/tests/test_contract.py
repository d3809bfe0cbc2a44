"""The contract of all backends, read back from W&B's offline files."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from wandb_reader import runs_below

from tracelet import Run
from tracelet.testing import BackendContract, ReadBack


class TestWandb(BackendContract):
    backend = "wandb"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"mode": "offline", "dir": str(folder)}

    def environment(self, folder: Path) -> dict[str, str]:
        # Its settings and caches are at home; and nothing may ever reach a real server.
        return {"HOME": str(folder), "WANDB_BASE_URL": "http://127.0.0.1:9"}

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        found = runs_below(folder, glob.escape(run.links["wandb"].id))
        return found[0].read_back(runs=len(found))
