"""How an experiment begins and ends: which directory, which backends, which rank, which ending."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from time import time as clock
from typing import TYPE_CHECKING, Any

from tracelet.backends.registry import plugins
from tracelet.core import drain
from tracelet.core.active import RUN_DIR_VARIABLE, activate, deactivate, make_way, running_in
from tracelet.core.capturing import Capture
from tracelet.core.endings import ending_of, handled, note_handled
from tracelet.core.exiting import end_at_exit, end_now, forget, is_exiting
from tracelet.core.facts import run_facts
from tracelet.core.lenient import make_lenient
from tracelet.core.names import name_of
from tracelet.core.placing import directory, place
from tracelet.core.preparing import (
    backends_of,
    check_first,
    only_checks,
    say_what_is_kept,
    take_over,
)
from tracelet.core.session import Session
from tracelet.courier.reconcile import reconcile, view_of
from tracelet.courier.report import DeliveryReport
from tracelet.courier.view import RunView, read_view
from tracelet.errors import DeliveryError, InvalidValueError
from tracelet.journal.process import is_alive
from tracelet.journal.rundir import RunDir
from tracelet.records import Params, RunInfo, Status
from tracelet.settings import Settings, resolve
from tracelet.values.scalars import seconds_value

if TYPE_CHECKING:
    from tracelet.core.experiment import Experiment

log = logging.getLogger(__name__)

_stopping = threading.RLock()


def check(exp: Experiment) -> None:
    """Raise what a start would raise for a mistake; write nothing."""
    check_first(exp)
    if not exp.settings.disabled:  # whoever switches it off may not have the backends at all
        backends_of(exp)
    if not only_checks(exp):
        place(exp.settings, exp._run, resume=exp._resume, run_id=exp._wanted_id)


def start(exp: Experiment, *, instead_of: Experiment | None = None) -> None:
    """Begin a run, resume one, join the parent process's, or do nothing, as a rank above 0.

    Args:
        exp: the experiment.
        instead_of: one that is stopped first, as late as possible: not for a start that is refused.
    """
    settings = exp.settings
    if only_checks(exp):
        check(exp)
        make_way(instead_of)
        _accept(exp, None)
        _log_first(exp)
        return
    inherited = _inherited() if exp._run is None else None
    wanted = exp._wanted_id or exp._resume or None
    if inherited is not None and wanted in (None, True, inherited[1].run_id):
        check_first(exp)
        run_dir, view = inherited
        say_what_is_kept(exp, view.info(run_dir), view.backends)
        make_way(instead_of)
        _join(exp, *inherited)
        _log_first(exp)
        return
    backends = backends_of(exp)
    run_dir, exists = place(settings, exp._run, resume=exp._resume, run_id=exp._wanted_id)
    if exists and instead_of is not None and instead_of.dir == run_dir.path:
        check_first(exp)
        make_way(instead_of)
        instead_of = None
    if exists:
        take_over(exp, run_dir)
    check_first(exp)
    with directory(settings, run_dir, exists=exists, may_rename=exp._wanted_id is None) as run_dir:
        make_way(instead_of)
    stored = {
        found.name: {key: exp._redactor.value(key, value) for key, value in options.items()}
        for found, options in backends
    }
    exp._capture = Capture(exp, run_dir.path)
    with exp._capture as facts:
        exp._run = exp._run or RunInfo(
            run_id=run_dir.path.name,
            name=name_of(settings),
            project=settings.project,
            dir=str(run_dir.path),
            started=clock(),
            group=settings.group,
            facts={**run_facts(exp._redactor, exp._capture.secrets), **facts},
        )
        session = Session(
            run_dir,
            exp._run,
            backends,
            courier=settings.courier,
            stored_options=stored,
            system_metrics=settings.system_metrics,
        )
        _accept(exp, session)
    _log_first(exp)
    _tell_plugins("tracelet_run_started", run=exp._run)


def _log_first(exp: Experiment) -> None:
    """Log the tags and parameters that were given to the start."""
    if exp._first_tags:
        exp.set_tags(exp._first_tags)
    if exp._first_params is not None:
        exp.log_params(exp._first_params)


def stop(
    exp: Experiment,
    status: Status | None,
    *,
    reason: str | None = None,
    timeout: float | None = None,
    wait: bool = True,
    raises: bool = True,
    shows: bool = True,
) -> DeliveryReport:
    """End a run: the ending goes to the journal, then its backends get what they lack.

    Args:
        exp: the experiment.
        status: the ending; None: as the exception says that is being handled.
        reason: why, unless it was stopped.
        timeout: the seconds to wait for delivery; None: the setting.
        wait: whether to wait.
        raises: whether a strict experiment may raise.
        shows: whether a report that is complete is written to stderr, too.
    """
    if status not in (None, "finished", "failed", "killed"):
        raise InvalidValueError(f"the ending of a run is finished, failed or killed: {status!r}")
    timeout = exp.settings.drain_timeout if timeout is None else timeout
    timeout = seconds_value("stop: timeout", timeout)
    if status is None and exp.owns_run and is_exiting():  # how it ends, only its exit code says
        forget(exp)
        return end_now(exp, timeout if wait else None)
    if status is None:
        status, reason = ending_of(handled(exp.dir), exp._redactor)
    with _stopping:  # of two threads, one stops the run, and the other is told that it was
        exp._check_running()
        session = exp._session
        if exp._capture is not None:
            exp._capture.stop()
        deactivate(exp)
        exp._append = exp._not_running
        exp._status = status
    forget(exp)
    if session is None:
        exp._report = DeliveryReport()
        return exp._report
    try:
        session.end(status, reason, redacted=exp._redactor.count)
        if wait:
            drain.wait(session, timeout)
    finally:  # Ctrl-C ends the waiting, too
        exp._report = session.release(redacted=exp._redactor.count)
    exp._redactor.count = 0
    if session.owner and session.is_ours:
        if shows or not exp._report.complete:
            drain.show(exp._report, goes_on=not session.delivers_here)
        _tell_plugins("tracelet_run_finished", run=exp._run, status=status)
        if exp._capture is not None:
            exp._capture.complain()
        told = [exp._report[name] for name in session.names]  # of a moved run, none is closed
        complete = all(one.complete and one.closed and one.health == "ok" for one in told)
        if exp.settings.strict and raises and wait and not (complete and not exp._report.lost):
            raise DeliveryError(f"not everything was delivered as given:\n{exp._report}")
    return exp._report


def attach(path: str | None, settings: Settings | None = None) -> Experiment:
    """Return an experiment that adds to a run that another process began.

    Args:
        path: the run's directory; None: an experiment that writes nothing.
        settings: those of the other process; None: they are looked for here.

    Raises:
        RunNotFoundError: the run is not there, or not on this machine.
    """
    from tracelet.core.experiment import Experiment

    if path is not None and (known := running_in(path)) is not None:
        return known
    exp = Experiment._of(settings or resolve())
    if path is None:
        _accept(exp, None)
        return exp
    run_dir = RunDir(Path(path))
    view = view_of(run_dir)
    if view.process is not None and is_alive(view.process) is False:  # killed, and nobody looked
        reconcile(run_dir)
        view = view_of(run_dir)
    if view.status != "running":  # it has ended since this was pickled
        return ended(exp.settings, view.info(run_dir), view.status, view.report, {})
    _join(exp, run_dir, view)
    return exp


def ended(
    settings: Settings,
    run: RunInfo | None,
    status: Status,
    report: DeliveryReport | None,
    params: Mapping[str, Any],
) -> Experiment:
    """Return an experiment that was stopped elsewhere; ``start()`` goes on with its run."""
    from tracelet.core.experiment import Experiment

    exp = Experiment._of(settings)
    exp._run, exp._status, exp._report = run, status, report
    exp.params.apply(Params(0.0, dict(params)))
    if settings.on_error == "warn":
        make_lenient(exp)
    return exp


def inherited_experiment() -> Experiment | None:
    """Return an experiment that adds to the parent process's run, if there is one that lives."""
    inherited = _inherited()
    return attach(str(inherited[0].path)) if inherited is not None else None


def _inherited() -> tuple[RunDir, RunView] | None:
    path = os.environ.get(RUN_DIR_VARIABLE)
    if not path:
        return None
    run_dir = RunDir(Path(path))
    try:
        view = read_view(run_dir)
    except (OSError, ValueError):
        return None
    if view.status != "running" or view.process is None or view.process["pid"] == os.getpid():
        return None
    return (run_dir, view) if is_alive(view.process) is not False else None


def _join(exp: Experiment, run_dir: RunDir, view: RunView) -> None:
    exp._run = view.info(run_dir)
    _accept(exp, Session(run_dir, exp._run))


def _accept(exp: Experiment, session: Session | None) -> None:
    """Let the experiment take calls; without a session it only checks their arguments."""
    exp._session = session
    exp._append = session.writer.append_lines if session is not None else _ignore
    exp._status, exp._report = "running", None
    if session is not None:
        note_handled(session.run_dir.path)
    if exp.settings.on_error == "warn":
        make_lenient(exp)
    end_at_exit(exp)
    activate(exp)


def _ignore(*_: Any) -> None:
    """Take a call whose arguments are fine, in a process that writes nothing."""


def _tell_plugins(hook: str, **values: Any) -> None:
    try:
        getattr(plugins().hook, hook)(**values)
    except Exception:  # a plugin's mistake is not the training's
        log.warning("a plugin failed in %s", hook, exc_info=True)


def _renew_lock() -> None:
    """A lock that another thread held at the time of a fork is never released in the child."""
    global _stopping  # noqa: PLW0603
    _stopping = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
