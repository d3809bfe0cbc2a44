"""``tracelet replay``: deliver a run to a backend that it did not have."""

from __future__ import annotations

import time
from typing import Annotated

import typer

import tracelet
from tracelet.backends import registry
from tracelet.cli import find
from tracelet.cli.busy import who_delivers
from tracelet.cli.options import Directory, Json, Project, Timeout
from tracelet.cli.output import print_json, say
from tracelet.cli.sync import as_builtins, as_reader, deliver_and_print, is_pending
from tracelet.core.run import Run, files_of
from tracelet.courier.view import refresh_view
from tracelet.errors import InvalidValueError, RunBusyError
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import BackendAdded
from tracelet.redaction import Redactor
from tracelet.settings import Settings, resolve


def replay(
    run_name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run id, its directory, or its name.")
    ],
    backend: Annotated[
        str,
        typer.Option(
            "--backend", "-b", metavar="X", help="The backend: a name, or 'package.module:Class'."
        ),
    ],
    *,
    timeout: Timeout = None,
    project: Project = None,
    directory: Directory = None,
    as_json: Json = False,
) -> None:
    """Deliver a finished run to a backend it did not have.

    The backend belongs to the run from then on: what cannot be delivered now, sync delivers later.
    Options of the backend are those of the settings. The exit code is 1 if something is pending.
    """
    settings = resolve()
    run = find.one(run_name, directory, project)
    found = registry.resolve(backend)
    if not files_of(run).is_own:
        run = as_reader(run, settings, backend)
    elif _has(run, found):
        say(f"{run.run_id} has {found.name!r} already; it gets only what is pending")
    else:
        add_backend(run, found, settings)
        run = tracelet.load_run(run.dir)
    done = deliver_and_print(run, settings, found.name, timeout, as_json=as_json)
    if as_json:
        print_json(as_builtins(run, done))
    if is_pending(done, found.name):
        raise typer.Exit(1)


def add_backend(run: Run, found: registry.ResolvedBackend, settings: Settings) -> None:
    """Write into a run's journal that it has another backend from now on.

    Raises:
        InvalidValueError: the backend lives in the process of the training.
        SettingsError: it does not take the options of the settings.
        BrokenPluginError: no object of it can be made.
        MissingPluginError: its SDK is not installed.
        RunBusyError: the run is running, or another courier delivers it.
    """
    if found.needs_this_process:
        raise InvalidValueError(
            f"the backend {found.name!r} lives in the process of the training: "
            "there is nothing to replay a run to"
        )
    options = settings.backends.get(found.name, {})
    found.check(options)
    run_dir = RunDir(run.dir)
    lock = run_dir.lock()
    if run.status == "running":
        raise RunBusyError(f"{run.run_id} is running; replay it when it has ended")
    if not lock.acquire():
        raise RunBusyError(
            f"{run.run_id} is being delivered; replay it afterwards. Its courier is "
            f"{who_delivers(run_dir, run.report)}"
        )
    try:
        redactor = Redactor()
        stored = {key: redactor.value(key, value) for key, value in options.items()}
        entry = {"name": found.name, "target": found.target, "options": stored}
        writer = run_dir.writer()
        writer.append(BackendAdded(time.time(), entry))
        writer.close()
        refresh_view(run_dir, RunState(run_dir).update())
    finally:
        lock.release()


def _has(run: Run, found: registry.ResolvedBackend) -> bool:
    """Return whether a run has a backend.

    Raises:
        InvalidValueError: it has another one of the same name.
    """
    start = RunState(files_of(run)).update().start
    for entry in start.backends if start is not None else ():
        if entry["name"] == found.name:
            if entry["target"] == found.target:
                return True
            raise InvalidValueError(
                f"{run.run_id} has another backend called {found.name!r} ({entry['target']})"
            )
    return False
