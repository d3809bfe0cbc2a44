"""``on_error="warn"``: a mistake in a call becomes one warning, for jobs that must not stop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracelet.errors import TraceletError, warn

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment

_CALLS = (
    "log_metric",
    "log_metrics",
    "log_params",
    "log_param",
    "log_artifact",
    "log",
    "set_iteration",
    "set_tags",
    "set_tag",
    "set_user_properties",
    "connect_configuration",
    "flush",
)
_said: set[object] = set()


def make_lenient(exp: Experiment) -> None:
    """Turn the errors of an experiment's calls into warnings, one for each cause."""
    for name in _CALLS:
        call = getattr(exp, name)
        if not hasattr(call, "__wrapped__"):
            setattr(exp, name, _lenient(call))


def warn_once(cause: object, text: str) -> None:
    """Warn, unless a warning with this cause was given before in this process."""
    if cause not in _said:
        _said.add(cause)
        warn(text)


def _lenient(call: Callable[..., Any]) -> Callable[..., Any]:
    gives_back = call.__name__ == "connect_configuration"

    @functools.wraps(call)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except TraceletError as error:
            # A bad value of one metric is one cause, however often and with what number it comes.
            what = args[0] if args and isinstance(args[0], str) else None
            warn_once((call.__name__, type(error), what), f"not logged: {error}")
        return (args[0] if args else kwargs["configuration"]) if gives_back else None

    return checked
