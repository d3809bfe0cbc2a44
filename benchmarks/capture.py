"""What automatic capture costs: ``parse_args`` with and without it, in turns in one process.

The same parser parses the same ten arguments; without capture through the method as argparse has
it. During a run the values are others each time, so that each parse is also journaled.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import tracelet
from benchmarks.tools import directory, row

CALLS = 500
ROUNDS = 5
BUDGET_US = 50


class Bare(argparse.ArgumentParser):
    """A parser whose methods are argparse's own."""


for method in ("parse_args", "parse_known_args"):
    setattr(Bare, method, getattr(argparse.ArgumentParser, method).__wrapped__)


def parser(cls: type[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Return a parser such as a training script has."""
    made = cls(prog="train.py")
    made.add_argument("--lr", type=float, default=1e-3, help="learning rate (%(default)s)")
    made.add_argument("--epochs", type=int, default=10, help="how often to see all data")
    made.add_argument("--optimizer", choices=["sgd", "adam"], default="adam")
    made.add_argument("--layers", type=int, nargs="+", default=[64, 64])
    made.add_argument("--amp", action="store_true", help="mixed precision")
    for name in ("data", "output", "name", "device", "seed"):
        made.add_argument(f"--{name}", default=name)
    return made


def arguments(number: int) -> list[str]:
    """Return a command line; the learning rate is another for each number."""
    return ["--lr", f"0.{number + 1}", "--layers", "3", "2", "1", "--amp", "--epochs", "7"]


def in_turns(line: Callable[[int], list[str]]) -> dict[str, float]:
    """Return the median of a parse with and without capture, in microseconds."""
    parsers = {"with": parser(argparse.ArgumentParser), "without": parser(Bare)}
    took: dict[str, list[int]] = {"with": [], "without": []}
    for number in range(CALLS):
        for name, made in parsers.items():
            given = line(number)
            began = perf_counter_ns()
            made.parse_args(given)
            took[name].append(perf_counter_ns() - began)
    return {name: statistics.median(values) / 1000 for name, values in took.items()}


def measured(line: Callable[[int], list[str]], *, during_a_run: bool) -> dict[str, float]:
    """Measure several times; the median of each figure."""
    found = []
    for _ in range(ROUNDS):
        with directory() as path:
            if during_a_run:
                tracelet.start_logging("bench", dir=path).flush()  # its start is another figure
            found.append(in_turns(line))
            if during_a_run:
                tracelet.stop_logging(wait=False)
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def main() -> dict[str, Any]:
    rows, details = [], {}
    for what, line, during in (
        ("before a run", lambda _: arguments(0), False),
        ("during a run, the same values", lambda _: arguments(0), True),
        ("during a run, another value", arguments, True),
    ):
        us = details[what] = measured(line, during_a_run=during)
        more = us["with"] - us["without"]
        rows.append(
            row(f"parse_args {what}: more", f"{more:.1f} µs", f"{BUDGET_US} µs", more < BUDGET_US)
        )
        share = f"{us['with'] / us['without']:.2f} x"
        rows.append(row(f"… of {us['without']:.0f} µs without capture", share))
    return {"rows": rows, "details": details}
