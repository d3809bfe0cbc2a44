"""The command ``tracelet``: its commands, and errors as one line without a traceback."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tracelet.cli import (
    backends,
    check,
    compare,
    config,
    courier,
    keep,
    replay,
    runs,
    show,
    sweep,
    sync,
)
from tracelet.cli.formatting import clean
from tracelet.cli.output import messages
from tracelet.errors import TraceletError

ERROR = 2
"""The exit code of a mistake; 1 means that not everything is delivered."""

app = typer.Typer(
    name="tracelet",
    help="Look at the runs that tracelet has logged, and deliver them to experiment trackers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    runs.runs,
    show.show,
    compare.compare,
    sync.sync,
    replay.replay,
    keep.du,
    keep.rm,
    keep.prune,
    backends.backends,
    check.check,
    config.config,
    courier.courier,
):
    app.command()(command)
app.add_typer(sweep.app)


class _CleanFormatter(logging.Formatter):
    """Escapes control characters: a name in a run may come from anybody."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(clean, super().format(record).split("\n")))


def _print_version(wanted: bool) -> None:
    if wanted:
        import tracelet

        print(f"tracelet {tracelet.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning in one line, without the place in the code that it is about."""
    line = " ".join(clean(str(message)).split())
    messages().print(Text(f"tracelet: {line}", style="yellow"), soft_wrap=True)


def run() -> int:
    """Run the command line of this process.

    Returns:
        The exit code: 0, 1 if something is not delivered, 2 after a mistake.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_CleanFormatter("tracelet: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    for refusing in ("tracelet.settings_sources", "tracelet.journal.reader"):
        logging.getLogger(refusing).setLevel(logging.WARNING)
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with contextlib.suppress(OSError):  # for backends of the user's own, as in their scripts
        sys.path.append(str(Path.cwd()))
    try:
        app(prog_name="tracelet")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (TraceletError, OSError) as error:
        line = " ".join(clean(str(error)).split())
        messages().print(Text(f"tracelet: {line}", style="red"), soft_wrap=True)
        return ERROR
    return 0
