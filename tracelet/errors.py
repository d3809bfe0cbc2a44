"""All errors that tracelet raises on purpose, and its warnings.

A mistake in a call raises at that call. A backend's failure never does: it is tried again, counted
and reported (see ``tracelet.courier``)::

    TraceletError
    ├── ValueTypeError        (TypeError)          a value has a type that cannot be stored
    ├── InvalidValueError     (ValueError)         a value has the right type and is not valid
    │   ├── KeyCollisionError                      two keys of one call become the same key
    │   └── UnsafePathError                        a destination that leaves the run
    ├── ParameterConflictError (ValueError)        a parameter would change, and must not
    ├── SettingsError         (ValueError)         a setting that is unknown or of the wrong type
    ├── ArtifactNotFoundError (FileNotFoundError)  a file that is not there
    ├── ArtifactUnreadableError (PermissionError)  a file that cannot be read
    ├── UnknownBackendError   (LookupError)        no backend has that name
    │   └── MissingPluginError (ImportError)       known, but not installed
    ├── MissingPackageError   (ImportError)        a package of an extra is not installed
    ├── BrokenPluginError     (ImportError)        installed, but loading it fails
    ├── RunNotFoundError      (LookupError)        no such run
    ├── ConfigurationNotFoundError (KeyError)      no such configuration object
    ├── RunBusyError          (RuntimeError)       another courier delivers this run
    ├── ForeignRunError       (PermissionError)    a run that this user has not made
    ├── SweepBusyError        (RuntimeError)       another process runs this sweep
    ├── SweepNotFoundError    (LookupError)        no such sweep
    ├── ConfigurationFailedError (RuntimeError)    a configuration of a sweep failed
    │   └── WorkerDiedError                        the process that ran it died
    ├── NotRunningError       (RuntimeError)       a call before start() or after stop()
    ├── JournalError          (OSError)            the journal cannot be written
    ├── DeliveryError         (RuntimeError)       strict=True, and something was not delivered
    └── BackendError          (Exception)          raised by adapters, handled by the courier
        ├── TransientError                         a later try may succeed
        └── CheckpointLostError                    what was stored before is gone

    TraceletWarning           (UserWarning)        a call did something that you may not expect
    └── DamageWarning                              something of a run was cut, changed or deleted
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable


class TraceletError(Exception):
    """The base of every error that tracelet raises on purpose."""


class ValueTypeError(TraceletError, TypeError):
    """A value has a type that cannot be stored; the message has its key and the right types."""


class InvalidValueError(TraceletError, ValueError):
    """A value has the right type and is not valid, e.g. a fractional iteration or an empty key."""


class KeyCollisionError(InvalidValueError):
    """Two keys of one call become the same flat key.

    Attributes:
        key: the flat key that both become.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class UnsafePathError(InvalidValueError):
    """A destination is absolute, or leaves the run with ``..``."""


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
    """No backend has that name.

    Attributes:
        backend: the name.
    """

    def __init__(self, backend: str, message: str) -> None:
        super().__init__(message)
        self.backend = backend


class MissingPluginError(UnknownBackendError, ImportError):
    """The backend is known, but the package that provides it is not installed."""


class MissingPackageError(TraceletError, ImportError):
    """A package is not installed; the message has the command that installs it."""


class BrokenPluginError(TraceletError, ImportError):
    """An installed plugin, or a ``module:Class`` backend, fails when it is loaded."""


class RunNotFoundError(TraceletError, LookupError):
    """No run has that id, directory, project or name."""


class ConfigurationNotFoundError(TraceletError, KeyError):
    """The run has no configuration object of that name; the message has the most similar name."""

    __str__ = Exception.__str__  # a KeyError's is the repr of its message


class RunBusyError(TraceletError, RuntimeError):
    """Another process is the courier of this run."""


class ForeignRunError(TraceletError, PermissionError):
    """A run was made by another user, or elsewhere: it is read, and nothing is added to it."""


class SweepBusyError(TraceletError, RuntimeError):
    """Another process runs the sweep of this name."""


class SweepNotFoundError(TraceletError, LookupError):
    """No sweep of that name was run."""


class ConfigurationFailedError(TraceletError, RuntimeError):
    """A configuration of a sweep failed in a process whose exception cannot be pickled."""


class WorkerDiedError(ConfigurationFailedError):
    """The process that ran a configuration of a sweep died: killed, or out of memory."""


class NotRunningError(TraceletError, RuntimeError):
    """The experiment is not running: it was not started yet, or it was stopped."""


class JournalError(TraceletError, OSError):
    """The journal cannot be written: the disk is full, or the run's directory is gone."""


class DeliveryError(TraceletError, RuntimeError):
    """``strict=True``: at the end of the run not everything was delivered as given."""


class BackendError(TraceletError):
    """A backend failed. The courier handles it; a training script never gets it."""


class TransientError(BackendError):
    """A later try may succeed: there is no connection, the server is busy, a rate limit holds."""


class CheckpointLostError(BackendError):
    """The tracker has lost what it had stored. The courier delivers the run from the start.

    ``open`` raises it if the checkpoint refers to something that does not exist any more, any other
    call if the tracker died and lost its data.
    """


class TraceletWarning(UserWarning):
    """A call did something that you may not expect; nothing was lost."""


class DamageWarning(TraceletWarning):
    """Something of a run that was read was cut, changed or deleted since the run ended."""


def warn(message: str, kind: type[TraceletWarning] = TraceletWarning) -> None:
    """Warn at the line of the user's code that has called tracelet."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - the documented way
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "tracelet":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, kind, stacklevel=level)


def nearest(name: str, known: Iterable[str], spell: Callable[[str], str] = repr) -> str:
    """Return a hint for the end of a message: the most similar known name, or all of them.

    Args:
        name: the unknown name.
        known: the known names.
        spell: formats a name for the hint.
    """
    from difflib import get_close_matches  # start-up time: only a mistake needs it

    known = sorted(known)
    found = get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    if found:
        return f"; did you mean {spell(found[0])}?"
    return f"; known are {', '.join(known)}"
