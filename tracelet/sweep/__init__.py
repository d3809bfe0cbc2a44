"""Sweeps: many configurations of one training, described, saved, run, compared and searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracelet.sweep.search import optimize

__all__ = ["optimize"]


def __getattr__(name: str) -> Any:
    if name == "optimize":  # imports Optuna when it is called
        from tracelet.sweep.search import optimize

        return optimize
    raise AttributeError(f"module 'tracelet.sweep' has no attribute {name!r}")
