"""The space of a search, as Optuna's distributions: between two numbers, or one of some values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.saving import checked_entry
from tracelet.sweep.values import many


def distributions_of(space: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the distributions of the names that vary, and the values of the others.

    Raises:
        InvalidValueError: none varies, or what is given for one cannot be meant.
    """
    from optuna.distributions import BaseDistribution

    if not isinstance(space, Mapping):
        raise ValueTypeError(f"the space is a mapping of names, not a {type(space).__name__}")
    varying: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for name, given in checked_entry(space, "the space").items():
        if isinstance(given, BaseDistribution):
            varying[name] = given
        elif _is_interval(given):
            varying[name] = _interval(name, *given)
        elif isinstance(given, range):
            varying[name] = _interval_of_range(name, given)
        elif (choices := many(given)) is not None:
            varying[name] = _choices(name, choices)
        else:
            fixed[name] = given
    if not varying:
        raise InvalidValueError("there is nothing to search: no name of the space varies")
    return varying, fixed


def _is_interval(given: Any) -> bool:
    return (
        isinstance(given, tuple)
        and (len(given) == 2 or (len(given) == 3 and given[2] == "log"))
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in given[:2])
    )


def _interval(name: str, low: float, high: float, scale: str = "linear") -> Any:
    from optuna.distributions import FloatDistribution, IntDistribution

    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidValueError(f"{name!r} is between two finite numbers, not {low} and {high}")
    try:
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=scale == "log")
        return FloatDistribution(low, high, log=scale == "log")
    except ValueError as error:
        raise InvalidValueError(f"{name!r}: {error}") from error


def _interval_of_range(name: str, given: range) -> Any:
    from optuna.distributions import IntDistribution

    if not given:
        raise InvalidValueError(f"{name!r} has no values; give it at least one, or leave it out")
    low, high = sorted((given[0], given[-1]))
    return IntDistribution(low, high, step=abs(given.step))


def _choices(name: str, choices: Any) -> Any:
    from optuna.distributions import CategoricalDistribution

    if not choices:
        raise InvalidValueError(f"{name!r} has no values; give it at least one, or leave it out")
    wrong = [one for one in choices if not isinstance(one, str | int | float | bool | None)]
    if wrong:
        raise ValueTypeError(
            f"{name!r}: Optuna remembers choices that are texts, numbers, bools or None, "
            f"not {wrong[0]!r:.60}: give it names, and look them up in the training"
        )
    return CategoricalDistribution(choices)
