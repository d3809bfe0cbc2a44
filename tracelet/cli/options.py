"""Options that several commands have, so that they are called and explained the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Project = Annotated[
    str | None, typer.Option("--project", "-p", metavar="P", help="Only runs of this project.")
]
Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir", "-d", metavar="D", help="Where runs are kept, if not where the settings say."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        "-t",
        metavar="S",
        min=0,
        help="Seconds after which to give up; none: a minute after a backend began to fail.",
    ),
]
OptionalRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="A run id, its directory, or its name; none: the latest run."
    ),
]
