"""The checks of the contract, as plain functions: pytest and ``tracelet check`` run the same.

A check takes a context, returns nothing, and raises an ``AssertionError`` that says what is wrong.
Its docstring says what a failure means and where to look.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tracelet.testing.context import Context
from tracelet.testing.runner import Courier

CheckFunction: TypeAlias = Callable[[Context], None]

MODULES = ("params", "metrics", "artifacts", "descriptions", "endings", "faults", "packaging")


class Check(msgspec.Struct, frozen=True):
    """One check.

    Attributes:
        function: the check.
        couriers: how the runs it looks at are delivered.
        alone: whether it is about processes that end or hang, so that a backend that lives in the
            process that logs (``Capabilities.in_process``) has nothing to do with it.
    """

    function: CheckFunction
    couriers: tuple[Courier, ...] = ("process",)
    alone: bool = False

    @property
    def name(self) -> str:
        """Its name, that of the function."""
        return self.function.__name__

    @property
    def group(self) -> str:
        """What it is about: the end of its module's name."""
        return self.function.__module__.rpartition("_")[2]

    def couriers_for(self, *, in_process: bool) -> tuple[Courier, ...]:
        """Return how the runs of a backend are delivered for this check."""
        return ("thread",) if in_process else self.couriers

    def applies(self, context: Context) -> bool:
        """Return whether the backend has anything to do with it."""
        return not (self.alone and context.runner.capabilities.in_process)

    def __call__(self, context: Context) -> None:
        """Run it.

        Raises:
            AssertionError: the backend does not keep the contract.
        """
        __tracebackhide__ = True
        if self.applies(context):
            self.function(context)


_found: dict[str, Check] = {}


def check(*, thread: bool = False, alone: bool = False) -> Callable[[CheckFunction], CheckFunction]:
    """Make a function a check of the contract.

    Args:
        thread: it is made through the thread as well.
        alone: see :class:`Check`.
    """

    def register(function: CheckFunction) -> CheckFunction:
        couriers: tuple[Courier, ...] = ("process", "thread") if thread else ("process",)
        _found[function.__name__] = Check(function, couriers, alone)
        return function

    return register


def announced(test: object) -> str | None:
    """Return the reason of an override with ``xfail(reason=…, strict=True)``, if there is one."""
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "xfail" and mark.kwargs.get("strict") is True:
            return mark.kwargs.get("reason") or None
    return None


def all_checks() -> dict[str, Check]:
    """Return every check by its name, in the order in which they are best read."""
    for name in MODULES:
        importlib.import_module(f"tracelet.testing.checks_{name}")
    return dict(_found)
