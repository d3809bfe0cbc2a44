"""Starts a run: first makes a plan, which writes nothing, then carries the plan out.

A start begins a new run, resumes one that has ended, joins the run of the parent process, or only
checks the arguments of calls, as in a rank above 0. A start that raises leaves no files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from time import time as clock
from typing import Any, Literal

import msgspec

from tracelet.backends.registry import CORE, OFFICIAL, ResolvedBackend, installed, resolve
from tracelet.capture import registry as capture_sources
from tracelet.capture.session import CaptureSession
from tracelet.core.active import RUN_DIR_VARIABLE
from tracelet.core.connect import Connections
from tracelet.core.lenient import warn_once
from tracelet.core.parameters import Parameters
from tracelet.core.run_directories import check_ids, choose_directory, new_directory
from tracelet.core.run_facts import process_rank, run_facts
from tracelet.core.run_name import run_name
from tracelet.core.session import Session
from tracelet.core.tags import tag_values
from tracelet.courier.exit_status import write_missing_ending
from tracelet.courier.reconcile import reconcile, view_of
from tracelet.courier.run_delivery import RunDelivery
from tracelet.courier.view import RunView, read_view
from tracelet.errors import InvalidValueError, RunBusyError, SettingsError, TraceletError, warn
from tracelet.journal.current_run import current_run
from tracelet.journal.membership import Membership
from tracelet.journal.process import ancestors, is_alive
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.plugin_hooks import foreign_params
from tracelet.records import Artifact, Metric, Params, Properties, RunInfo, Status
from tracelet.redaction import Redactor
from tracelet.settings import Settings

Backends = list[tuple[ResolvedBackend, dict[str, Any]]]
"""The backends of a run, each with its options."""


class StartRequest(msgspec.Struct, kw_only=True):
    """The arguments of a start.

    Attributes:
        settings: the settings of the experiment.
        redactor: hides its secrets.
        connections: its connected objects.
        params_now: its present parameters.
        first_tags: tags that are logged at the start.
        first_params: parameters that are logged at the start.
        run: the run of an experiment that was stopped, and starts again.
        resume: the id of a run to resume, or True: see ``choose_directory``.
        run_id: the id of a new run; None: an id is made up.
    """

    settings: Settings
    redactor: Redactor
    connections: Connections
    params_now: Mapping[str, Any]
    first_tags: Mapping[str, Any]
    first_params: Any = None
    run: RunInfo | None = None
    resume: str | bool | None = None
    run_id: str | None = None


class Plan(msgspec.Struct, kw_only=True):
    """The decisions about a start.

    Attributes:
        kind: ``check``: only check the arguments of calls, write nothing; ``join``: add to the run
            of the parent process; ``resume``: go on with a run that has ended; ``new``: begin one.
        backends: the backends of the run, for ``resume`` and ``new``.
        run_dir: the run's directory; that of a new run is not made yet.
        view: the run to join.
    """

    kind: Literal["check", "join", "resume", "new"]
    backends: Backends = []
    run_dir: RunDir | None = None
    view: RunView | None = None


class EarlierRecords(msgspec.Struct):
    """The earlier records of a resumed run, as far as its next calls depend on them.

    Attributes:
        params: the records of its parameters.
        iterations: ``(metric, axis)`` to the iteration of the last point.
        destinations: the destinations of its artifacts.
        properties: the fields of each property.
    """

    params: list[Params] = []
    iterations: dict[tuple[str, str], int] = {}
    destinations: set[str] = set()
    properties: dict[str, dict[str, Any]] = {}


class StartResult(msgspec.Struct):
    """A start that was carried out.

    Attributes:
        session: the session of the run.
        capture: its automatic capture, started; None if nothing is captured.
        earlier: the earlier records of a resumed run; None for any other.
    """

    session: Session
    capture: CaptureSession | None = None
    earlier: EarlierRecords | None = None


def make_plan(request: StartRequest, *, may_join: bool = True) -> Plan:
    """Return the plan of a start; nothing is written, and no run is changed.

    Args:
        request: what is asked for.
        may_join: whether a child process of a run joins that run.

    Raises:
        TraceletError: an argument is wrong.
    """
    settings = request.settings
    if settings.disabled or (settings.ranks != "all" and process_rank() > 0):
        _check_request(request)
        # Where logging is disabled, the backends may not be installed.
        return Plan(kind="check", backends=[] if settings.disabled else _backends_of(settings))
    inherited = inherited_run() if may_join and request.run is None else None
    wanted = request.run_id or request.resume or None
    if inherited is not None and wanted in (None, True, inherited[1].run_id):
        _check_request(request)
        if _is_given(settings, "backend"):
            _backends_of(settings)
        return Plan(kind="join", run_dir=inherited[0], view=inherited[1])
    backends = _backends_of(settings)
    run_dir, exists = choose_directory(
        settings, request.run, resume=request.resume, run_id=request.run_id
    )
    _check_request(request)
    return Plan(kind="resume" if exists else "new", backends=backends, run_dir=run_dir)


def carry_out(
    plan: Plan,
    request: StartRequest,
    *,
    previous_dir: Path | None = None,
    stop_previous: Callable[[], object] = lambda: None,
) -> StartResult:
    """Start as planned.

    Args:
        plan: the plan.
        request: the arguments that the plan was made for.
        previous_dir: the directory of the run that is stopped first.
        stop_previous: stops that run; called once all arguments are checked.

    Raises:
        TraceletError: the run cannot be started; nothing was written.
    """
    if plan.kind == "check":
        stop_previous()
        return StartResult(_session(request, request.run, None, None))
    assert plan.run_dir is not None
    if plan.kind == "join":
        assert plan.view is not None
        parent_run = plan.view.info(plan.run_dir)
        _warn_unused(request.settings, parent_run, plan.view.backends)
        stop_previous()
        return StartResult(
            _session(request, parent_run, RunDelivery(plan.run_dir, parent_run), None)
        )
    run, earlier = request.run, None
    if plan.kind == "resume":
        if previous_dir == plan.run_dir.path:
            stop_previous()
            stop_previous = lambda: None  # noqa: E731
        run, earlier = _run_to_resume(plan.run_dir, request.settings)
        _check_request(request, earlier.params)
    with new_directory(
        request.settings,
        plan.run_dir,
        exists=plan.kind == "resume",
        may_rename=request.run_id is None,
    ) as run_dir:
        stop_previous()
        capture = CaptureSession(request.settings, run_dir.path, request.redactor)
        with contextlib.ExitStack() as on_error:
            on_error.callback(capture.stop)
            capture.start()
            run = run or _new_run(request.settings, run_dir, capture)
            delivery = _begin_delivery(request, run_dir, run, plan.backends)
            on_error.pop_all()
    return StartResult(_session(request, run, delivery, capture), capture, earlier)


def join_run(request: StartRequest, path: str | None) -> Session:
    """Return a session that adds to a run which another process began.

    Args:
        request: the arguments of the start.
        path: the run's directory; None: the session writes nothing.

    Returns:
        The session; it accepts no calls if the run has ended meanwhile.

    Raises:
        RunNotFoundError: the run does not exist, at least not on this machine.
    """
    if path is None:
        return _session(request, None, None, None)
    run_dir = RunDir(Path(path))
    if run_dir.exists and not run_dir.is_of_user:
        run_dir.check_own("nothing is added to it")
    view = view_of(run_dir)
    if view.process is not None and is_alive(view.process) is False:  # killed, without an ending
        reconcile(run_dir)
        view = view_of(run_dir)
    run = view.info(run_dir)
    status = _ended_status(run_dir) or view.status
    if status == "running":
        return _session(request, run, RunDelivery(run_dir, run), None)
    return Session(
        run.name,
        request.settings,
        request.redactor,
        request.connections,
        status=status,
        run=run,
        report=view.report,
    )


def inherited_run() -> tuple[RunDir, RunView] | None:
    """Return the run that a parent process has now, and its view; None if it has none."""
    path = inherited_directory()
    return _running(path) if path is not None else None


def inherited_directory() -> Path | None:
    """Return the directory of the run that a parent process has now; None if it has none.

    The nearest process above this one that has a run says which it is. Where none does, or the
    variable names the run of a process that is not above this one, e.g. of another machine, it is
    that of the variable. An empty variable says that this process is to join no run.
    """
    given = os.environ.get(RUN_DIR_VARIABLE)
    if given == "":
        return None
    above = ancestors()
    present = current_run(above)
    if given is None or str(present) == given:
        return present
    named = _running(Path(given))
    if named is not None and (present is None or named[1].process not in above):
        return Path(given)
    return present


def _running(path: Path) -> tuple[RunDir, RunView] | None:
    """Return a run of another process, if it goes on, and this user has begun it."""
    run_dir = RunDir(path)
    if not (run_dir.is_own or run_dir.is_of_user):
        if run_dir.exists:
            text = f"{path} in {RUN_DIR_VARIABLE} is a run {run_dir.whose}: nothing is added to it"
            warn_once(text, text)
        return None
    try:
        view = read_view(run_dir)
    except (OSError, ValueError):
        return None
    if view.status != "running" or view.process is None or view.process["pid"] == os.getpid():
        return None
    if is_alive(view.process) is False or _ended_status(run_dir) is not None:
        return None
    return run_dir, view


def _ended_status(run_dir: RunDir) -> Status | None:
    """Return how its process has ended a run, also before its files say so; None if it goes on."""
    membership = Membership(run_dir.membership)
    status = membership.status()
    membership.close()
    return status if status != "running" else None


# -- making the plan ------------------------------------------------------------------------------


def _check_request(request: StartRequest, earlier: Collection[Params] = ()) -> None:
    """Check ids, the setting ``capture``, and the first tags and parameters.

    Args:
        request: the arguments of the start.
        earlier: the parameters of a resumed run.

    Raises:
        TraceletError: an argument is wrong.
    """
    settings, redactor = request.settings, request.redactor
    check_ids(request.resume, request.run_id)
    capture_sources.check(settings)
    if settings.on_error == "warn":
        return
    tag_values(request.first_tags)
    if request.first_params is None:
        return
    policy = settings.on_param_conflict
    counted = redactor.count
    trial = Parameters(lambda _: None, policy=policy, redactor=redactor, foreign=foreign_params)
    if policy == "error":
        trial.apply(Params(0.0, dict(request.params_now)))
        for record in earlier:
            trial.apply(record)
    trial.set(request.first_params)
    redactor.count = counted


def _backends_of(settings: Settings) -> Backends:
    """Return the backends of the settings, each with its options.

    Raises:
        TraceletError: a backend is unknown, or does not accept its options; or there are options
            for a misspelt backend.
    """
    found: dict[str, tuple[ResolvedBackend, dict[str, Any]]] = {}
    for spec in settings.backend:
        try:
            one = resolve(spec)
            if one.name in found:
                raise InvalidValueError(f"two backends of one run are called {one.name!r}")
            options = _options_of(one, settings)
        except TraceletError as error:
            if settings.on_error != "warn":
                raise
            warn_once(str(error), f"this backend is left out: {error}")
            continue
        found[one.name] = one, options
    if not found:
        found["local"] = resolve("local"), {}
    misspelt = _misspelt(settings, found)
    if misspelt is not None:
        if settings.on_error != "warn":
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
    """Return an error if there are options for an unknown backend with a similar name to a known.

    Other unknown names may be those of the user's own classes, which this run does not use.
    """
    others = settings.backends.keys() - used - CORE.keys() - OFFICIAL.keys()
    if not others:
        return None
    import difflib  # start-up time: few runs need it

    known = {*used, *CORE, *OFFICIAL, *installed()}
    for name in sorted(others - known):
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
        if near and near[0] not in name:  # mlflow2 is no mistake
            option = next(iter(settings.backends[name]))
            place = settings.origins[f"backends.{name}.{option}"]
            return SettingsError(
                f"unknown backend 'backends.{name}' ({place}); did you mean 'backends.{near[0]}'?"
            )
    return None


# -- carrying it out ------------------------------------------------------------------------------


def _session(
    request: StartRequest,
    run: RunInfo | None,
    delivery: RunDelivery | None,
    capture: CaptureSession | None,
) -> Session:
    return Session(
        run.name if run is not None else run_name(request.settings),
        request.settings,
        request.redactor,
        request.connections,
        status="running",
        run=run,
        delivery=delivery,
        capture=capture,
    )


def _new_run(settings: Settings, run_dir: RunDir, capture: CaptureSession) -> RunInfo:
    return RunInfo(
        run_id=run_dir.path.name,
        name=run_name(settings),
        project=settings.project,
        dir=str(run_dir.path),
        started=clock(),
        group=settings.group,
        facts={**run_facts(capture.command_line()), **capture.facts},
    )


def _begin_delivery(
    request: StartRequest, run_dir: RunDir, run: RunInfo, backends: Backends
) -> RunDelivery:
    """Write the start of the run into its journal, and start its courier."""
    settings = request.settings
    stored = {
        found.name: {key: request.redactor.value(key, value) for key, value in options.items()}
        for found, options in backends
    }
    return RunDelivery(
        run_dir,
        run,
        backends,
        courier=settings.courier,
        stored_options=stored,
        system_metrics=settings.system_metrics,
        start_timeout=settings.start_timeout,
    )


def _run_to_resume(run_dir: RunDir, settings: Settings) -> tuple[RunInfo, EarlierRecords]:
    """Return the identity of a run to resume, and its earlier records.

    Raises:
        RunBusyError: the run is still running.
        RunNotFoundError: the run has no journal any more.
    """
    state = RunState.read(run_dir)
    status, run_start = write_missing_ending(run_dir, state), state.start
    assert run_start is not None
    if status == "running":
        who = "process {pid} of host {host}".format_map(run_start.process)
        raise RunBusyError(f"the run {run_dir.path.name} is still running: {who}")
    _warn_unused(settings, run_start.run)
    earlier = EarlierRecords()
    with contextlib.closing(run_dir.reader()) as reader:
        for record in reader.records():
            if type(record) is Params:
                earlier.params.append(record)
            elif type(record) is Metric:
                earlier.iterations[record.name, record.axis] = record.iteration
            elif type(record) is Artifact:
                earlier.destinations.add(record.path)
            elif type(record) is Properties:
                earlier.properties.update(record.values)
    return run_start.run, earlier


def _warn_unused(settings: Settings, run: RunInfo, backends: list[str] | None = None) -> None:
    """Warn of settings in the call that a run which exists already does not use.

    Args:
        settings: the settings of the call.
        run: the identity of the run.
        backends: the backends of the run to join; None: the run is resumed.

    Raises:
        TraceletError: a backend in the settings is unknown.
    """
    unused = list(_unused(settings, run, backends))
    if not unused:
        return
    given = " and ".join(f"{name}=" for name in unused)
    if backends is None:
        warn(f"the run {run.run_id} goes on under its name {run.name!r}: {given} is not used")
    else:
        warn(
            f"this process adds to the run {run.run_id} of its parent process, so {given} "
            "is not used; run_id=... begins a run of its own"
        )


def _unused(settings: Settings, run: RunInfo, backends: list[str] | None) -> Iterator[str]:
    values: dict[str, tuple[object, object]] = {"name": (settings.name, run.name)}
    if backends is not None:
        values["project"] = settings.project, run.project
        values["dir"] = str(settings.dir), str(Path(run.dir).parents[1])
        if _is_given(settings, "backend"):
            values["backend"] = {one.name for one, _ in _backends_of(settings)}, set(backends)
    for key, (given, used) in values.items():
        if _is_given(settings, key) and given != used:
            yield "exp_name" if key == "name" else key


def _is_given(settings: Settings, key: str) -> bool:
    """Return whether a setting was given in the call, and not by a file or a variable."""
    return settings.origins[key] in ("argument", "config=")
