"""Calls the hooks of plugins. A plugin that fails never stops the training, nor another plugin."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tracelet.errors import warn

log = logging.getLogger(__name__)


def foreign_params(value: Any) -> Mapping[str, Any] | None:
    """Return the parameters that a plugin finds in an object of a foreign type.

    Returns:
        The parameters; None if no plugin handles the type, or those that do have failed.
    """
    from tracelet.backends.registry import call_plugins  # start-up time: pluggy and all plugins

    kind = type(value).__name__

    def failed(plugin: str, error: BaseException) -> None:
        log.debug("the plugin %s failed in tracelet_as_params", plugin, exc_info=error)
        warn(f"the plugin {plugin} cannot give the parameters of a {kind}: {error!r}")

    for plugin, found in call_plugins("tracelet_as_params", failed, value=value):
        if isinstance(found, Mapping):
            return found
        if found is not None:
            warn(
                f"the plugin {plugin} has to make a {kind} a mapping of parameters, and gave a "
                f"{type(found).__name__}"
            )
    return None


def notify_plugins(hook: str, **values: Any) -> None:
    """Call a hook about a run; errors of the plugins are logged, each with the plugin's name.

    Args:
        hook: the name of the hook.
        values: the arguments of the hook.
    """
    from tracelet.backends.registry import call_plugins  # start-up time: pluggy and all plugins

    def failed(plugin: str, error: BaseException) -> None:
        log.warning("the plugin %s failed in %s", plugin, hook, exc_info=error)

    for _ in call_plugins(hook, failed, **values):
        pass
