"""What is settled before a run begins: mistakes in its start, its backends, its earlier state."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.backends.registry import CORE, OFFICIAL, ResolvedBackend, installed, resolve
from tracelet.capture import registry
from tracelet.core.content_calls import tag_values
from tracelet.core.facts import process_rank
from tracelet.core.lenient import warn_once
from tracelet.core.parameter_calls import foreign_params
from tracelet.core.parameters import Parameters
from tracelet.core.placing import check_ids
from tracelet.courier.exit_status import write_missing_ending
from tracelet.errors import InvalidValueError, RunBusyError, SettingsError, TraceletError, warn
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import Artifact, Metric, Params, RunInfo
from tracelet.settings import Settings

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment


def check_first(exp: Experiment) -> None:
    """Raise for what is no id, or cannot be captured or logged, while nothing is begun yet."""
    check_ids(exp._resume, exp._wanted_id)
    registry.check(exp.settings)
    if exp.settings.on_error == "warn":
        return
    tag_values(exp._first_tags)
    if exp._first_params is not None:
        policy, redactor = exp.settings.on_param_conflict, exp._redactor
        counted = redactor.count
        trial = Parameters(lambda _: None, policy=policy, redactor=redactor, foreign=foreign_params)
        if policy == "error":
            trial.apply(Params(0.0, exp.params.flat()))
        trial.set(exp._first_params)
        redactor.count = counted


def backends_of(exp: Experiment) -> list[tuple[ResolvedBackend, dict[str, Any]]]:
    """Return the backends that the settings ask for, each with its options.

    Raises:
        TraceletError: one is not there, or does not take its options; or there are options of one
            whose name is misspelt.
    """
    found: dict[str, tuple[ResolvedBackend, dict[str, Any]]] = {}
    for spec in exp.settings.backend:
        try:
            one = resolve(spec)
            if one.name in found:
                raise InvalidValueError(f"two backends of one run are called {one.name!r}")
            options = _options_of(one, exp.settings)
        except TraceletError as error:
            if exp.settings.on_error != "warn":
                raise
            warn_once(str(error), f"this backend is left out: {error}")
            continue
        found[one.name] = one, options
    if not found:
        found["local"] = resolve("local"), {}
    misspelt = _misspelt(exp.settings, found)
    if misspelt is not None:
        if exp.settings.on_error != "warn":
            raise misspelt
        warn_once(str(misspelt), f"not used: {misspelt}")
    return list(found.values())


def _options_of(found: ResolvedBackend, settings: Settings) -> dict[str, Any]:
    options = dict(settings.backends.get(found.name, {}))
    try:
        found.check(options)
    except SettingsError as error:
        if not options:
            raise
        places = {settings.origins[f"backends.{found.name}.{option}"] for option in options}
        raise SettingsError(f"{error} ({', '.join(sorted(places))})") from error
    return options


def _misspelt(settings: Settings, used: Collection[str]) -> SettingsError | None:
    """Return what is wrong if options are for a backend that nobody has, and that looks like one.

    A class of the user's own that is not used here is not known by its name, and no mistake.
    """
    others = settings.backends.keys() - used - CORE.keys() - OFFICIAL.keys()
    if not others:
        return None
    import difflib  # 3 ms that others need not pay

    known = {*used, *CORE, *OFFICIAL, *installed()}
    for name in sorted(others - known):
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
        if near and near[0] not in name:  # mlflow2 is meant so
            option = next(iter(settings.backends[name]))
            place = settings.origins[f"backends.{name}.{option}"]
            return SettingsError(
                f"unknown backend 'backends.{name}' ({place}); did you mean 'backends.{near[0]}'?"
            )
    return None


def only_checks(exp: Experiment) -> bool:
    """Return whether calls are checked in this process, and nothing is written."""
    settings = exp.settings
    return settings.disabled or (settings.ranks != "all" and process_rank() > 0)


def say_what_is_kept(exp: Experiment, run: RunInfo, backends: list[str] | None = None) -> None:
    """Warn of what the call gives that a run which was begun before does not take from it.

    Args:
        exp: the experiment that is to log to the run.
        run: who the run is.
        backends: where the process goes that began it; None: this one is going on with the run.

    Raises:
        TraceletError: a backend that is given is not there.
    """
    settings = exp.settings
    wanted: dict[str, tuple[object, object]] = {"name": (settings.name, run.name)}
    if backends is not None:
        directory = str(Path(run.dir).parents[1])
        wanted |= {
            "project": (settings.project, run.project),
            "dir": (str(settings.dir), directory),
        }
        if _is_given(settings, "backend"):
            wanted["backend"] = {one.name for one, _ in backends_of(exp)}, set(backends)
    ignored = [
        "exp_name" if key == "name" else key
        for key, (mine, its) in wanted.items()
        if _is_given(settings, key) and mine != its
    ]
    if not ignored:
        return
    given = " and ".join(f"{name}=" for name in ignored)
    if backends is None:
        warn(f"the run {run.run_id} goes on under its name {run.name!r}: {given} is not used")
    else:
        warn(
            f"this process adds to the run {run.run_id} of its parent process, so {given} "
            "is not used; run_id=... begins a run of its own"
        )


def _is_given(settings: Settings, key: str) -> bool:
    """Return whether the call itself has a setting, and not what it finds around it."""
    return settings.origins[key] in ("argument", "config=")


def take_over(exp: Experiment, run_dir: RunDir) -> None:
    """Take over the state of an earlier run: its identity, parameters and counters.

    Raises:
        RunBusyError: it is still running.
        RunNotFoundError: it has no journal any more.
    """
    life = RunState.read(run_dir)
    status, launch = write_missing_ending(run_dir, life), life.start
    assert launch is not None
    if status == "running":
        who = "process {pid} of host {host}".format_map(launch.process)
        raise RunBusyError(f"the run {run_dir.path.name} is still running: {who}")
    exp._run = launch.run
    say_what_is_kept(exp, exp._run)
    exp._current = None  # as for a process that has not set it
    reader = run_dir.reader()
    for record in reader.records():
        if type(record) is Params:
            exp.params.apply(record)
        elif type(record) is Metric:
            exp._note_last(record)
        elif type(record) is Artifact:
            exp._destinations.add(record.path)
    reader.close()
