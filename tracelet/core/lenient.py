"""``on_error="warn"``: a mistake in a call becomes a warning, for jobs that must not stop.

A failed call returns what a successful one would, e.g. the object that was connected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tracelet.core.track import Track
from tracelet.errors import TraceletError, warn

_CALLS = (
    "log_metric",
    "log_metrics",
    "log_params",
    "log_param",
    "set_parameters",
    "set_parameter",
    "set_parameters_as_dict",
    "log_artifact",
    "log",
    "set_iteration",
    "set_tags",
    "set_tag",
    "set_user_properties",
    "flush",
)
_causes: set[object] = set()


def make_lenient(exp: Any) -> None:
    """Turn the errors of an experiment's calls into warnings, one for each cause."""
    for name in _CALLS:
        _wrap(exp, name, _return_none)
    _wrap(exp, "connect", lambda obj, *_, **__: obj)
    _wrap(exp, "connect_configuration", lambda configuration, *_, **__: configuration)
    _wrap(exp, "track", lambda name, *_: Track(_return_none, str(name)))
    for name in ("set", "replace_all"):
        _wrap(exp.params, name, lambda *_, **__: exp.params)


def warn_once(cause: object, message: str) -> None:
    """Warn, unless this process has warned of the same cause before."""
    if cause not in _causes:
        _causes.add(cause)
        warn(message)


def _return_none(*_: Any, **__: Any) -> None:
    """Return None for a failed call."""


def _wrap(owner: Any, name: str, otherwise: Callable[..., Any]) -> None:
    """Replace a method by one that warns of errors, and then returns ``otherwise(...)``."""
    call = getattr(owner, name)
    if not hasattr(call, "__wrapped__"):
        setattr(owner, name, _lenient(call, otherwise))


def _lenient(call: Callable[..., Any], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            result = call(*args, **kwargs)
        except TraceletError as error:
            # All bad values of one metric are one cause.
            what = args[0] if args and isinstance(args[0], str) else None
            warn_once((call.__name__, type(error), what), f"not logged: {error}")
            return otherwise(*args, **kwargs)
        if isinstance(result, Track):
            _wrap(result, "append", _return_none)
        return result

    return checked
