"""The harness of W&B: offline runs, read from their files."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any, ClassVar

from wandb_reader import runs_below

from tracelet import Run
from tracelet.testing import Harness, ReadBack


class WandbHarness(Harness):
    """The backend ``wandb``, offline."""

    backend: ClassVar[str] = "wandb"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"mode": "offline", "dir": str(folder)}

    def environment(self, folder: Path) -> dict[str, str]:
        """Return a home below the folder, for its settings, and a server that cannot be."""
        return {"HOME": str(folder), "WANDB_BASE_URL": "http://127.0.0.1:9"}

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        found = runs_below(folder, glob.escape(run.links[self.backend].id))
        return found[0].read_back(runs=len(found))
