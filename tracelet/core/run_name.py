"""The name of a run, which may be taken from the script."""

from __future__ import annotations

import sys
from pathlib import Path

from tracelet.settings import Settings


def run_name(settings: Settings) -> str:
    """Return the name of a run: the setting, else the name of the script, else ``run``."""
    if settings.name is not None:
        return settings.name
    # A Python that is embedded in another program may have no command line.
    script = "".join(map(str, (getattr(sys, "argv", None) or ())[:1]))
    return (Path(script).stem if script not in ("-c", "-m") else "") or "run"
