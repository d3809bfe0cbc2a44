"""``tracelet courier``: the delivery process of one run, as training processes start it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracelet.cli.options import Json
from tracelet.cli.output import print_json
from tracelet.core.run import Run
from tracelet.courier import supervisor, worker
from tracelet.courier.messages import LOCKED
from tracelet.errors import RunBusyError
from tracelet.journal.rundir import RunDir


def courier(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The directory of the run.")],
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="X", help="Be the worker of this backend.")
    ] = None,
    reader: Annotated[
        Path | None, typer.Option("--reader", hidden=True, help="Where sync keeps what it writes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Be the courier of a run until it has ended and is delivered.

    Training processes start this themselves. The options of the backends, with their secrets, come
    as one line of JSON on stdin, and the end of stdin means that the training process is gone. By
    hand, tracelet sync does the same and shows how far it is.
    """
    found = RunDir(run_dir.absolute(), reader)
    Run(found)
    if reader is None:
        found.check_own("it is not delivered")
    code = supervisor.main(found) if backend is None else worker.main(found, backend)
    if code == LOCKED:
        raise RunBusyError(f"another courier delivers {run_dir}")
    if as_json:
        print_json(Run(found).report)
    raise typer.Exit(code)
