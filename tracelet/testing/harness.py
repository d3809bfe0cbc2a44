"""What is checked, and how it is read back: all that a plugin's author tells the contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tracelet.testing.readback import ReadBack

if TYPE_CHECKING:
    from tracelet.core.run import Run


class Harness(ABC):
    """A backend under test, with the reader of its tracker's own store.

    ``folder`` is the same for all calls: everything that the tracker stores goes below it.
    """

    backend: ClassVar[str]
    """The backend's name, or ``module:Class``."""

    def options(self, folder: Path) -> dict[str, Any]:
        """Return the backend's options, ``[backends.<name>]``; it is to write to ``folder``."""
        return {}

    @abstractmethod
    def read_back(self, run: Run, folder: Path) -> ReadBack:
        """Read a run from the tracker's own store, with the tracker's own reader.

        Args:
            run: the run, delivered; ``run.links[name].id`` is its id in the tracker.
            folder: what :meth:`options` was given.
        """

    def environment(self, folder: Path) -> dict[str, str]:
        """Return variables for the processes that log, e.g. what the tracker's SDK needs.

        Their working, home and temporary directory are the kit's, and must stay empty.
        """
        return {}

    def prepare(self, folder: Path) -> None:  # noqa: B027 - most need nothing
        """Make what has to exist before the first run, e.g. a database; called once."""
