"""``start_logging``, ``stop_logging`` and ``get_active_experiment``: short for an Experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracelet.core.active import active, found, previous_run, running_in
from tracelet.core.experiment import Experiment
from tracelet.errors import NotRunningError, RunNotFoundError, ValueTypeError
from tracelet.records import Status
from tracelet.settings import ExperimentConfig

if TYPE_CHECKING:
    from tracelet.core.artifacts import PathLike
    from tracelet.courier.report import DeliveryReport


def start_logging(
    exp_name: str | None = None,
    project: str | None = None,
    backend: Any = None,
    *,
    config: ExperimentConfig | Mapping[str, Any] | PathLike | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Any = None,
    resume: str | bool | None = None,
    run_id: str | None = None,
    **settings: Any,
) -> Experiment:
    """Start a run and make it the active one.

    A run that this thread, or this task of asyncio, has started before is stopped, once all
    arguments are checked. So is a run whose thread or task has ended. A run of another thread or
    task goes on, and stays the active one there.

    In a child process of a run, the call joins the parent's run, unless you give it a ``run_id``.
    In a process of a rank above 0 it returns an experiment that checks its arguments and writes
    nothing.

    Args:
        exp_name: the run's name.
        project: the project it belongs to.
        backend: a backend's name, ``"module:Class"``, a class, an instance, or a list of such;
            None: the settings, then ``local``.
        config: settings, as an object, a mapping, or the path of a TOML, YAML or JSON file.
        tags: tags to begin with.
        params: parameters to begin with.
        resume: a run id to go on with; True: the run called ``run_id`` if it is there, or without
            that the latest run of this name that has not finished, and else a new one.
        run_id: the id of the new run; None: an id is made up.
        settings: any other setting, e.g. ``dir``, ``courier`` or ``strict``.

    Returns:
        The running experiment; also a context manager.

    Raises:
        SettingsError: a setting is unknown or has the wrong type.
        UnknownBackendError: a backend is unknown or not installed; the message has the remedy.
        RunNotFoundError: there is no run to resume.
        RunBusyError: the run to resume is still running.
        InvalidValueError: there is a run with this ``run_id``.
        JournalError: the run's directory cannot be made.
    """
    if "name" in settings:
        raise ValueTypeError("start_logging() takes the name of the run as exp_name=, not as name=")
    if project is not None:
        settings["project"] = project
    experiment = Experiment(
        exp_name,
        config,
        backend,
        tags=tags,
        params=params,
        resume=resume,
        run_id=run_id,
        **settings,
    )
    return experiment.start(instead_of=previous_run())


def stop_logging(
    status: Status | None = None, *, timeout: float | None = None, wait: bool = True
) -> DeliveryReport:
    """Stop the active run; see :meth:`Experiment.stop`.

    Raises:
        NotRunningError: no run is active.
    """
    current: Experiment | None = active()
    if current is None:
        raise NotRunningError("no run is active; start_logging() begins one")
    return current.stop(status, timeout=timeout, wait=wait)


def get_active_experiment() -> Experiment | None:
    """Return the active experiment of this context or process, the parent's run, or None.

    A thread or task has the run that it has started itself, or that was active where it was
    created. Any other has the run of the process: the latest one of the thread or task that was the
    first to start a run. A child process that has started none has the one that its parent has now.
    """
    current: Experiment | None = active()
    if current is not None:
        return current
    from tracelet.core.start import inherited_directory  # start-up time: the courier's side

    path = inherited_directory()
    if path is None:
        return None
    known: Experiment | None = running_in(str(path))
    if known is not None:
        return known
    try:
        experiment = Experiment.joined(str(path))
    except RunNotFoundError:  # the directory was deleted
        return None
    found(experiment)
    return experiment if experiment.is_running else None
