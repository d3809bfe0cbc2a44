"""The harness of ClearML: session folders, read as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from clearml_reader import sessions

from tracelet import Run
from tracelet.testing import Harness, ReadBack


class ClearmlHarness(Harness):
    """The backend ``clearml``, offline."""

    backend: ClassVar[str] = "clearml"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"offline": True}

    def environment(self, folder: Path) -> dict[str, str]:
        # Where session folders are made; and nothing may ever reach a real server.
        return {"CLEARML_CACHE_DIR": str(folder), "CLEARML_API_HOST": "http://127.0.0.1:9"}

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        found = sessions(folder, run.links[self.backend].id)
        return found[0].read_back(runs=len(found))
