"""How far a sweep is: a bar for who looks at a terminal, and nothing for who does not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(name: str, count: int, done: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs.

    Args:
        name: the sweep's.
        count: how many configurations it has.
        done: how many are done before.

    Yields:
        A function to be told how many have ended, and how many of those have failed.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=count, completed=done)

        def tell(ended: int, failed: int) -> None:
            told = f"{name}, {failed} failed" if failed else name
            bar.update(task, completed=done + ended, description=told)

        yield tell
