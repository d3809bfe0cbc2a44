"""What the references in an OmegaConf configuration lead to, as far as each leads somewhere."""

from __future__ import annotations

import sys
from typing import Any


def resolved(config: Any) -> Any:
    """Return a configuration of OmegaConf as plain containers, with what its ``${...}`` stand for.

    What refers to something that is not there stays as it is written, and so does what is missing.

    Args:
        config: a ``DictConfig`` or ``ListConfig``.
    """
    omegaconf = sys.modules["omegaconf"]  # whoever has a configuration has imported it
    conf, unresolvable = omegaconf.OmegaConf, omegaconf.errors.OmegaConfBaseException
    try:
        return conf.to_container(config, resolve=True)
    except unresolvable:
        raw = conf.to_container(config, resolve=False)
    if not isinstance(raw, dict | list):
        return raw
    made = {}
    for key in raw if isinstance(raw, dict) else range(len(raw)):
        try:
            value = config[key]
        except unresolvable:
            made[key] = raw[key]
        else:
            made[key] = resolved(value) if conf.is_config(value) else value
    return made if isinstance(raw, dict) else list(made.values())
