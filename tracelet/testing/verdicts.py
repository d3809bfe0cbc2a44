"""Runs the checks outside of pytest, for ``tracelet check``; what they say is the same."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from tracelet.testing.checks import Check, all_checks, announced
from tracelet.testing.context import Context
from tracelet.testing.harness import Harness
from tracelet.testing.runner import Courier, Runner

Result = Literal["passed", "failed", "expected", "does not apply"]


class Verdict(msgspec.Struct, kw_only=True):
    """What became of a check.

    Attributes:
        check: its name.
        about: what it is about: ``params``, ``metrics``, and so on.
        courier: how the runs were delivered.
        result: ``expected`` is a failure that the harness announces, with a reason.
        reason: what is wrong, or why it was expected, or why it does not apply.
        meaning: what a failure means and where to look.
        seconds: how long it took.
    """

    check: str
    about: str
    courier: Courier
    result: Result
    reason: str | None = None
    meaning: str = ""
    seconds: float = 0.0


def verdicts(
    harness: Harness, folder: Path, *, only: Collection[str] = (), **sizes: Any
) -> Iterator[Verdict]:
    """Run every check of the contract, and yield what became of it.

    Args:
        harness: what is checked, and how to look at it.
        folder: an empty directory.
        only: what the checks are about, e.g. ``endings``; nothing: all of them.
        sizes: ``points``, ``size`` and ``hang_bound`` of the runner.
    """
    with Runner(harness, folder, **sizes) as runner:
        in_process = runner.capabilities.in_process
        if not only or "faults" in only:
            Context(runner, "process").start_faults()
        for check in all_checks().values():
            if only and check.group not in only:
                continue
            for courier in check.couriers_for(in_process=in_process):
                yield _verdict(check, Context(runner, courier))


def _verdict(check: Check, context: Context) -> Verdict:
    about = Verdict(
        check=check.name,
        about=check.group,
        courier=context.courier,
        result="passed",
        meaning=check.function.__doc__ or "",
    )
    if not check.applies(context):
        about.result = "does not apply"
        about.reason = "the backend lives in the process that logs"
        return about
    expected = announced(getattr(context.runner.harness, f"test_{check.name}", None))
    began = time.monotonic()
    try:
        check(context)
    except Exception as error:  # noqa: BLE001 - a reader's or a backend's, it fails this check
        is_answer = isinstance(error, AssertionError)
        about.reason = str(error) if is_answer else f"{type(error).__name__}: {error}"
        about.result = "failed"
        if expected is not None:
            about.result, about.reason = "expected", expected
    else:
        if expected is not None:
            about.result = "failed"
            about.reason = f"it passes, and is announced to fail: {expected}"
    about.seconds = time.monotonic() - began
    return about
