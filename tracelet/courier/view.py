"""``run.json``: a summary of a run, made from the journal, for people and ``tracelet runs``."""

from __future__ import annotations

from typing import Any

import msgspec

from tracelet.courier.cursor import CursorFile
from tracelet.courier.report import DeliveryReport, make_report
from tracelet.journal.checked import decode_checked, with_check
from tracelet.journal.files import replace_file
from tracelet.journal.process import ProcessId
from tracelet.journal.run_state import RunState
from tracelet.journal.rundir import RunDir
from tracelet.records import RunInfo, RunLink, Status


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


def make_view(run_dir: RunDir, state: RunState, report: DeliveryReport | None) -> RunView:
    """Return the view of a run from its state, which has a start, and its report."""
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


def write_view(run_dir: RunDir, state: RunState, report: DeliveryReport | None) -> None:
    """Write ``run.json`` from the state of the run and its report; None: there is no report yet."""
    if state.start is not None:
        view = msgspec.json.encode(make_view(run_dir, state, report))
        replace_file(run_dir.run_json, with_check(msgspec.json.format(view)))


def refresh_view(run_dir: RunDir, state: RunState, *, redacted: int = 0) -> DeliveryReport:
    """Write ``run.json`` with a new report, and return the report.

    Counts of the training process are taken from the present file.

    Args:
        run_dir: the run.
        state: the state of the run, up to date.
        redacted: in how many values a secret was replaced since the run ended.
    """
    report = report_again(run_dir, state, redacted=redacted)
    write_view(run_dir, state, report)
    return report


def report_again(run_dir: RunDir, state: RunState, *, redacted: int = 0) -> DeliveryReport:
    """Return a new report, with the counts of the training process that ``run.json`` has."""
    try:
        before = read_view(run_dir).report
    except (OSError, ValueError):
        before = None
    return make_report(
        run_dir,
        [entry["name"] for entry in state.start.backends] if state.start is not None else [],
        # A full disk may have kept the ending, which has these counts, out of the journal.
        lost=max(state.lost, before.lost if before is not None else 0),
        redacted=max(state.redacted, before.redacted if before is not None else 0) + redacted,
    )


def read_view(run_dir: RunDir) -> RunView:
    """Read ``run.json``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged, or was changed.
    """
    try:
        return decode_checked(run_dir.run_json.read_bytes(), RunView)
    except IsADirectoryError as error:
        raise ValueError(str(error)) from error
