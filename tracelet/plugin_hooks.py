"""Calls the hooks of plugins. A plugin that fails never stops the training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tracelet.errors import warn

log = logging.getLogger(__name__)


def foreign_params(value: Any) -> Mapping[str, Any] | None:
    """Return the parameters that a plugin finds in an object of a foreign type.

    Returns:
        The parameters; None if no plugin handles the type, or a plugin has failed.
    """
    from tracelet.backends.registry import plugins  # start-up time: pluggy and all plugins

    try:
        found: Any = plugins().hook.tracelet_as_params(value=value)
    except Exception as error:  # a plugin's mistake is not the training's
        log.debug("a plugin failed in tracelet_as_params", exc_info=True)
        warn(f"a plugin cannot give the parameters of a {type(value).__name__}: {error!r}")
        return None
    if found is not None and not isinstance(found, Mapping):
        warn(
            f"a plugin has to make a {type(value).__name__} a mapping of parameters, and gave a "
            f"{type(found).__name__}"
        )
        return None
    return found


def notify_plugins(hook: str, **values: Any) -> None:
    """Call a hook about a run; errors of the plugins are logged.

    Args:
        hook: the name of the hook.
        values: the arguments of the hook.
    """
    from tracelet.backends.registry import plugins  # start-up time: pluggy and all plugins

    try:
        getattr(plugins().hook, hook)(**values)
    except Exception:  # a plugin's mistake is not the training's
        log.warning("a plugin failed in %s", hook, exc_info=True)
