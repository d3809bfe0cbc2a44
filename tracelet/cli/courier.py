"""``tracelet courier``: the delivery process of one run, as training processes start it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tracelet
from tracelet.cli.options import Json
from tracelet.cli.output import print_json
from tracelet.courier import supervisor, worker
from tracelet.courier.messages import LOCKED
from tracelet.errors import RunBusyError


def courier(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The directory of the run.")],
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="X", help="Be the worker of this backend.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Be the courier of a run until it has ended and is delivered.

    Training processes start this themselves. The options of the backends, with their secrets, come
    as one line of JSON on stdin, and the end of stdin means that the training process is gone. By
    hand, tracelet sync does the same and shows how far it is.
    """
    tracelet.load_run(run_dir.absolute())
    code = supervisor.main(str(run_dir)) if backend is None else worker.main(str(run_dir), backend)
    if code == LOCKED:
        raise RunBusyError(f"another courier delivers {run_dir}")
    if as_json:
        print_json(tracelet.load_run(run_dir.absolute()).report)
    raise typer.Exit(code)
