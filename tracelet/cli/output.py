"""What the command line writes: results to stdout, messages to stderr, tables and JSON."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tracelet.cli.formatting import clean
from tracelet.wire import json_safe

TASK = TextColumn("{task.description}", markup=False)
STATUS_STYLES = {"running": "cyan", "finished": "green", "failed": "red", "killed": "yellow"}


def results() -> Console:
    """Return the console of stdout: for what the command returns, and nothing else."""
    return Console(highlight=False, markup=False, emoji=False)


def messages() -> Console:
    """Return the console of stderr: for messages."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(message: str) -> None:
    """Write a message to stderr; the terminal wraps it, so that it can be copied whole."""
    messages().print(Text(clean(message)), soft_wrap=True)


@contextlib.contextmanager
def progress(
    task: str, *columns: ProgressColumn, total: float | None = None, redirect: bool = True
) -> Iterator[Callable[..., None]]:
    """Give a function that updates a line of progress on stderr, if somebody is looking.

    Args:
        task: what is done.
        columns: what is shown before the time that it has taken.
        total: the ``completed`` of the end, if that is known.
        redirect: whether what else is written meanwhile goes above the line.
    """
    console = messages()
    if not console.is_terminal:
        yield lambda **_: None
        return
    console.file = sys.stderr  # as it is now: it may go elsewhere meanwhile
    with Progress(
        *(*columns, TimeElapsedColumn()),
        console=console,
        transient=True,
        redirect_stdout=redirect,
        redirect_stderr=redirect,
    ) as shown:
        yield functools.partial(shown.update, shown.add_task(task, total=total))


def print_json(value: Any) -> None:
    """Write one JSON document to stdout; NaN and the infinities are strings in it."""
    plain = json_safe(msgspec.to_builtins(value, enc_hook=str, str_keys=True))
    document = msgspec.json.format(msgspec.json.encode(plain)).decode()
    print("\n".join(map(clean, document.split("\n"))))  # its strings have no other line ends


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))


def heading(text: str) -> Text:
    """Return the heading of a part."""
    return Text(text, style="bold")


def columns(*titles: str, right: Iterable[str] = (), indent: int = 2) -> Table:
    """Return an empty table without lines: two spaces between columns, and long texts wrapped.

    Args:
        titles: of the columns; no heading is shown if all are empty.
        right: the titles of those that are aligned to the right.
        indent: spaces before each line.
    """
    table = Table(
        box=None, show_header=any(titles), header_style="dim", pad_edge=True, padding=(0, 2, 0, 0)
    )
    if indent:
        table.add_column("", width=indent - 2)
    for title in titles:
        table.add_column(
            title, justify="right" if title in right else "left", overflow="fold", no_wrap=False
        )
    return table


def add_row(table: Table, *cells: RenderableType) -> None:
    """Add a row; a str is shown as it is: rich would look for markup in it."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def pairs(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Return names and their values, in two columns."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for width in (2, None, None):
        table.add_column(width=width, overflow="fold")
    for name, value in rows:
        add_row(table, "", Text(name, style="dim"), value)
    return table
