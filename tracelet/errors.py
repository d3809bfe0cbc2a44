"""Every error tracelet raises; without this module nobody can tell our refusals from a bug.

Your mistakes raise at the line that made them. A backend's failures never do: they are
retried, counted and reported (see ``tracelet.courier``)::

    TraceletError
    ├── ValueTypeError        (TypeError)          a value of a type that cannot be stored
    ├── InvalidValueError     (ValueError)         right type, impossible value
    │   ├── KeyCollisionError                      two keys of one call become the same key
    │   └── UnsafePathError                        a destination that leaves the run
    ├── ParameterConflictError (ValueError)        a parameter changes, and may not
    ├── SettingsError         (ValueError)         a setting that is unknown or of the wrong type
    ├── ArtifactNotFoundError (FileNotFoundError)  a file that is not there
    ├── ArtifactUnreadableError (PermissionError)  a file that cannot be read
    ├── UnknownBackendError   (LookupError)        no backend of that name
    │   └── MissingPluginError (ImportError)       known, but not installed
    ├── MissingPackageError   (ImportError)        a package that an extra would install
    ├── BrokenPluginError     (ImportError)        installed, but it cannot be loaded
    ├── RunNotFoundError      (LookupError)        no such run
    ├── ConfigurationNotFoundError (KeyError)      no such configuration object
    ├── RunBusyError          (RuntimeError)       another courier delivers this run
    ├── SweepBusyError        (RuntimeError)       another process runs this sweep
    ├── SweepNotFoundError    (LookupError)        no such sweep
    ├── ConfigurationFailedError (RuntimeError)    a configuration of a sweep failed
    │   └── WorkerDiedError                        the process that ran it died
    ├── NotRunningError       (RuntimeError)       a call before start() or after stop()
    ├── JournalError          (OSError)            the journal cannot be written
    ├── DeliveryError         (RuntimeError)       strict=True, and something was not delivered
    └── BackendError          (Exception)          raised by adapters, handled by the courier
        ├── TransientError                         a later try may cure it
        └── CheckpointLostError                    what was stored before is gone: start over

    TraceletWarning           (UserWarning)        something was done that may not be meant
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable


class TraceletError(Exception):
    """The base of every error that tracelet raises on purpose."""


class ValueTypeError(TraceletError, TypeError):
    """A value's type cannot be stored; the message names the value's key and what would do."""


class InvalidValueError(TraceletError, ValueError):
    """A value of the right type that cannot be meant (a fractional iteration, an empty key)."""


class KeyCollisionError(InvalidValueError):
    """Two keys of one call become the same flat key.

    Attributes:
        key: the flat key that both became.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class UnsafePathError(InvalidValueError):
    """A destination that is absolute or climbs out of the run with ``..``."""


class ParameterConflictError(TraceletError, ValueError):
    """A logged parameter would change its value while ``on_param_conflict="error"``.

    Attributes:
        key: the parameter's flat key.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class SettingsError(TraceletError, ValueError):
    """A setting is unknown or has the wrong type; the message names key, place and nearest key."""


class ArtifactNotFoundError(TraceletError, FileNotFoundError):
    """The file or directory to be logged does not exist."""


class ArtifactUnreadableError(TraceletError, PermissionError):
    """The file to be logged, or something in the directory, cannot be read."""


class UnknownBackendError(TraceletError, LookupError):
    """No backend of that name is known.

    Attributes:
        backend: the name that was asked for.
    """

    def __init__(self, backend: str, message: str) -> None:
        super().__init__(message)
        self.backend = backend


class MissingPluginError(UnknownBackendError, ImportError):
    """The backend is known, but the package that provides it is not installed."""


class MissingPackageError(TraceletError, ImportError):
    """A package that is needed for this is not installed; the message has the line that does."""


class BrokenPluginError(TraceletError, ImportError):
    """An installed plugin, or a ``module:Class`` backend, fails when it is loaded."""


class RunNotFoundError(TraceletError, LookupError):
    """No run with that id, directory, project or name."""


class ConfigurationNotFoundError(TraceletError, KeyError):
    """The run has no configuration object of that name; the message has the nearest."""

    __str__ = Exception.__str__  # a KeyError's is the repr of its message


class RunBusyError(TraceletError, RuntimeError):
    """Another process is the courier of this run."""


class SweepBusyError(TraceletError, RuntimeError):
    """Another process runs the sweep of this name."""


class SweepNotFoundError(TraceletError, LookupError):
    """No sweep of that name was run."""


class ConfigurationFailedError(TraceletError, RuntimeError):
    """A configuration of a sweep failed, with an exception that cannot be brought here itself."""


class WorkerDiedError(ConfigurationFailedError):
    """The process that ran a configuration of a sweep died: killed, or out of memory."""


class NotRunningError(TraceletError, RuntimeError):
    """The experiment is not running: it was not started yet, or it was stopped."""


class JournalError(TraceletError, OSError):
    """The journal cannot be written: the disk is full, or the run's directory is gone."""


class DeliveryError(TraceletError, RuntimeError):
    """``strict=True``: at the end of the run not everything was delivered as given."""


class BackendError(TraceletError):
    """Raised by adapters, never seen by a training script."""


class TransientError(BackendError):
    """A failure that a later try may cure: no connection, a busy server, a rate limit."""


class CheckpointLostError(BackendError):
    """What was stored before is gone; the courier opens the run again and delivers all of it.

    ``open`` raises it for a checkpoint that refers to something that is not there, any other call
    for a tracker that died with what it had taken.
    """


class TraceletWarning(UserWarning):
    """Something was done that may not be what was meant; nothing was lost."""


def warn(message: str) -> None:
    """Warn at the line of the user's code that called into tracelet, however deep we are."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - the documented way
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "tracelet":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, TraceletWarning, stacklevel=level)


def nearest(name: str, known: Iterable[str], spell: Callable[[str], str] = repr) -> str:
    """Return the hint at the end of a message: the known name that is meant, or all of them.

    Args:
        name: what was written.
        known: the names that would do.
        spell: writes one of them.
    """
    from difflib import get_close_matches  # start-up time: only a mistake needs it

    known = sorted(known)
    found = get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    if found:
        return f"; did you mean {spell(found[0])}?"
    return f"; known are {', '.join(known)}"
