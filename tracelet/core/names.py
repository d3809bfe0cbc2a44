"""What a run is called when nobody has said, and the command line that says it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelet.settings import Settings


def command_line() -> list[str]:
    """Return the command line; a Python that is embedded in another program may have none."""
    return [str(argument) for argument in getattr(sys, "argv", None) or ()]


def name_of(settings: Settings) -> str:
    """Return the name of a run: the setting, or else the name of the script."""
    if settings.name is not None:
        return settings.name
    script = "".join(command_line()[:1])
    return (Path(script).stem if script not in ("-c", "-m") else "") or "run"
