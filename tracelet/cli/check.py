"""``tracelet check``: hold a backend to the contract of all backends, without pytest."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import SpinnerColumn
from rich.text import Text

from tracelet.cli.formatting import clean, many
from tracelet.cli.options import Json
from tracelet.cli.output import TASK, add_row, columns, heading, print_json, progress, results, say
from tracelet.errors import InvalidValueError

if TYPE_CHECKING:
    from tracelet.testing.verdicts import Verdict

_STYLES = {"passed": "green", "failed": "red", "expected": "yellow", "does not apply": "dim"}


def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A backend's name, or the class that reads its tracker: 'module:Class' or "
            "'tests/test_contract.py:Class'.",
        ),
    ],
    *,
    points: Annotated[int, typer.Option(help="How many points are many.")] = 100_000,
    size: Annotated[int, typer.Option(help="How many bytes are a large file.")] = 200_000_000,
    keep: Annotated[
        Path | None, typer.Option(help="A new directory for what is logged; none: a temporary one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a backend keeps the contract. The exit code is 1 if it does not."""
    from tracelet.testing.harnesses import find_harness
    from tracelet.testing.verdicts import verdicts

    harness = find_harness(name)
    found = []
    task = "logging the runs that are looked at"
    bar = progress(task, SpinnerColumn(), TASK, redirect=False)
    with _folder(keep) as folder, bar as show, _quiet():
        for verdict in verdicts(harness, folder, points=points, size=size):
            found.append(verdict)
            show(description=f"{verdict.about}: {verdict.check}, {verdict.courier}")
    failed = [verdict for verdict in found if verdict.result == "failed"]
    if as_json:
        print_json(found)
    else:
        _print(found, failed)
    if failed:
        raise typer.Exit(1)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        try:
            keep = keep.expanduser().absolute()
            keep.mkdir(parents=True)
        except (OSError, RuntimeError) as error:
            raise InvalidValueError(f"--keep is a directory that can be made: {error}") from error
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="tracelet-check-") as path:
        yield Path(path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the lines that runs end with off the terminal."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def _print(found: list[Verdict], failed: list[Verdict]) -> None:
    console = results()
    table = columns("about", "check", "courier", "result", "s", right=["s"], indent=0)
    for one in found:
        add_row(
            table,
            one.about,
            one.check,
            one.courier,
            Text(one.result, _STYLES[one.result]),
            f"{one.seconds:.1f}",
        )
    console.print(table)
    for one in failed:
        console.print()
        console.print(heading(f"{one.check}, delivered by a {one.courier}"))
        for text in (one.reason or "", one.meaning):
            lines = "\n".join(f"  {clean(line.strip())}" for line in text.strip().splitlines())
            console.print(Text(lines), soft_wrap=True)
    passed = sum(one.result == "passed" for one in found)
    say(f"{many(passed, 'check')} passed, {len(failed)} failed")
