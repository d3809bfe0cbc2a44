"""What a run is called when nobody has said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelet.settings import Settings


def name_of(settings: Settings) -> str:
    """Return the name of a run: the setting, or else the name of the script."""
    if settings.name is not None:
        return settings.name
    script = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-c", "-m") else ""
    return script or "run"
