"""A task on its way to a worker process, with functions that only cloudpickle can carry."""

from __future__ import annotations

import pickle
import sys
from typing import Any

from tracelet.sweep.work import Outcome, work


def carried(what: Any) -> bytes:
    """Pickle something for a process that is started anew.

    Raises:
        AttributeError, TypeError, pickle.PicklingError: it cannot be pickled.
    """
    if _has_file(sys.modules.get("__main__")):
        try:
            return pickle.dumps(what)
        except (AttributeError, TypeError, pickle.PicklingError):
            if (content := _by_value(what)) is None:
                raise
            return content
    if (content := _by_value(what)) is not None:
        return content
    if getattr(what, "__module__", None) == "__main__":
        raise pickle.PicklingError("it is defined in a console or a notebook")
    return pickle.dumps(what)


def _has_file(main: Any) -> bool:
    """Whether a worker can import the main module again, as a script or as a package."""
    return (
        getattr(main, "__file__", None) is not None or getattr(main, "__spec__", None) is not None
    )


def _by_value(what: Any) -> bytes | None:
    try:
        import cloudpickle
    except ImportError:
        return None
    return bytes(cloudpickle.dumps(what))


def run_carried(task: bytes) -> Outcome:
    """Run a task in the process to which it was carried."""
    return work(pickle.loads(task))
