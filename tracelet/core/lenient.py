"""``on_error="warn"``: a mistake in a call becomes one warning, for jobs that must not stop.

A call that gives something back gives back what it would have, such as the object it was given.
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


def warn_once(cause: object, text: str) -> None:
    """Warn, unless a warning with this cause was given before in this process."""
    if cause not in _causes:
        _causes.add(cause)
        warn(text)


def _return_none(*_: Any, **__: Any) -> None:
    """Give nothing back."""


def _wrap(owner: Any, name: str, otherwise: Callable[..., Any]) -> None:
    """Make a method give warnings, and something else instead of its result."""
    call = getattr(owner, name)
    if not hasattr(call, "__wrapped__"):
        setattr(owner, name, _lenient(call, otherwise))


def _lenient(call: Callable[..., Any], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            result = call(*args, **kwargs)
        except TraceletError as error:
            # A bad value of one metric is one cause, however often and with what number it comes.
            what = args[0] if args and isinstance(args[0], str) else None
            warn_once((call.__name__, type(error), what), f"not logged: {error}")
            return otherwise(*args, **kwargs)
        if isinstance(result, Track):
            _wrap(result, "append", _return_none)
        return result

    return checked
