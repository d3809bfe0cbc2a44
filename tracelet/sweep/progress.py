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


def say_what_is_kept(name: str, count: int, kept: int, failed: int) -> None:
    """Say on stderr what is not run again, or results of another day would look like new ones.

    Args:
        name: the sweep's.
        count: how many configurations it has.
        kept: how many have ended before.
        failed: how many of those have failed.
    """
    if sys.stderr is None or not kept:
        return
    again = f"; {failed} failed, which retry_failed=True runs again" if failed else ""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(
            f"tracelet: the sweep {name!r} goes on: {kept} of {count} configurations were run "
            f"before and are kept{again}; another name= runs all of them\n"
        )
