"""``run.json``: a summary of a run, made from the journal, for people and ``tracelet runs``."""

from __future__ import annotations

from typing import Any

import msgspec

from tracelet.courier.cursor import CursorFile
from tracelet.courier.report import DeliveryReport, make_report
from tracelet.destinations import check_backend_name, check_run_id
from tracelet.journal.checked import decode_checked, with_check
from tracelet.journal.process import ProcessId, check_process
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import RunInfo, RunLink, Status, check_time, safe_link


class RunView(msgspec.Struct, kw_only=True):
    """The content of ``run.json``.

    Attributes:
        run_id, name, project, group, started, facts: as in :class:`RunInfo`.
        status: the status of the run when the file was written.
        ended: seconds since the epoch, or None.
        reason: why the run ended; None after ``stop()``.
        tags: the tags.
        backends: the names of the backends.
        links: the run's link in each backend that has opened it.
        report: the delivery report; None while the run runs.
        process: the process that logs the run, or has logged it.
    """

    run_id: str
    name: str
    project: str
    status: Status
    started: float
    ended: float | None = None
    reason: str | None = None
    group: str | None = None
    tags: dict[str, str] = {}
    backends: list[str] = []
    links: dict[str, RunLink] = {}
    report: DeliveryReport | None = None
    facts: dict[str, Any] = {}
    process: ProcessId | None = None

    def info(self, run_dir: RunDir) -> RunInfo:
        """Return the identity of the run in ``run_dir``."""
        names = set(RunInfo.__struct_fields__) & set(self.__struct_fields__)
        return RunInfo(dir=str(run_dir.path), **{name: getattr(self, name) for name in names})


def write_view(run_dir: RunDir, state: RunState, report: DeliveryReport | None) -> None:
    """Write ``run.json`` from the state of the run and its report; None: there is no report yet."""
    if state.start is not None:
        save_view(run_dir, view_from(run_dir, state, report))


def save_view(run_dir: RunDir, view: RunView) -> None:
    """Write ``run.json``.

    Raises:
        OSError: it cannot be written.
    """
    run_dir.run_json.replace(with_check(msgspec.json.format(msgspec.json.encode(view))))


def view_from(run_dir: RunDir, state: RunState, report: DeliveryReport | None) -> RunView:
    """Return the view of a run that was started, with a report; None: there is none yet."""
    start = state.start
    assert start is not None
    run = start.run
    names = [backend["name"] for backend in start.backends]
    links = {name: CursorFile(run_dir.cursors, name).load().link for name in names}
    return RunView(
        run_id=run.run_id,
        name=run.name,
        project=run.project,
        status=state.status,
        started=run.started,
        ended=state.ended,
        reason=state.reason,
        group=run.group,
        tags=state.tags,
        backends=names,
        links={name: link for name, link in links.items() if link is not None},
        report=report,
        facts=run.facts,
        process=start.process,
    )


def refresh_view(run_dir: RunDir, state: RunState, *, redacted: int = 0) -> DeliveryReport:
    """Write ``run.json`` with a new report, and return the report; see :func:`make_view`.

    Raises:
        OSError: it cannot be written.
    """
    view = make_view(run_dir, state, redacted=redacted)
    save_view(run_dir, view)
    assert view.report is not None
    return view.report


def make_view(run_dir: RunDir, state: RunState, *, redacted: int = 0) -> RunView:
    """Return the view of a run that was started, with a new report.

    Counts of the training process are taken from the present file.

    Args:
        run_dir: the run.
        state: the state of the run, up to date.
        redacted: in how many values a secret was replaced since the run ended.
    """
    try:
        before = read_view(run_dir).report
    except (OSError, ValueError):
        before = None
    report = make_report(
        run_dir,
        [entry["name"] for entry in state.start.backends] if state.start is not None else [],
        # A full disk may have kept the ending, which has these counts, out of the journal.
        lost=max(state.lost, before.lost if before is not None else 0),
        redacted=max(state.redacted, before.redacted if before is not None else 0) + redacted,
    )
    return view_from(run_dir, state, report)


def read_view(run_dir: RunDir) -> RunView:
    """Read ``run.json``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged, or was changed.
    """
    view = decode_checked(run_dir.run_json.read_bytes(), RunView)
    check_run_id(view.run_id)
    for seconds in (view.started, view.ended):
        if seconds is not None:
            check_time(seconds)
    for name in (*view.backends, *(view.report or ())):
        check_backend_name(name)
    if view.process is not None:
        check_process(view.process)
    view.links = {name: link for name, one in view.links.items() if (link := safe_link(one))}
    if view.report is not None:
        backends = {
            name: msgspec.structs.replace(one, link=safe_link(one.link))
            for name, one in view.report.items()
        }
        view.report = msgspec.structs.replace(view.report, backends=backends)
    return view
