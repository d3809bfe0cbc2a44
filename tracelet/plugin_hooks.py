"""The hooks that are called for objects and runs; a plugin that fails never stops the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.errors import warn


def foreign_params(value: Any) -> Mapping[str, Any] | None:
    """Ask the plugins for the parameters in an object of a foreign type.

    Returns:
        The parameters; None if no plugin knows the type, or the one that does has failed.
    """
    from tracelet.backends.registry import plugins  # start-up time: pluggy and all plugins

    try:
        found: Any = plugins().hook.tracelet_as_params(value=value)
    except Exception as error:  # a plugin's mistake is not the training's
        import logging  # start-up time

        log = logging.getLogger(__name__)
        log.debug("a plugin failed in tracelet_as_params", exc_info=True)
        warn(f"a plugin cannot say what the parameters of a {type(value).__name__} are: {error!r}")
        return None
    if found is not None and not isinstance(found, Mapping):
        warn(
            f"a plugin has to make a {type(value).__name__} a mapping of parameters, and gave a "
            f"{type(found).__name__}"
        )
        return None
    return found


def tell_plugins(hook: str, **values: Any) -> None:
    """Call a hook that tells plugins of a run; what they raise is logged.

    Args:
        hook: its name.
        values: its arguments.
    """
    from tracelet.backends.registry import plugins  # start-up time: pluggy and all plugins

    try:
        getattr(plugins().hook, hook)(**values)
    except Exception:  # a plugin's mistake is not the training's
        import logging  # start-up time

        logging.getLogger(__name__).warning("a plugin failed in %s", hook, exc_info=True)
