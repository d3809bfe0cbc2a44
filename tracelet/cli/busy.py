"""Which process delivers a run now, and how to end it."""

from __future__ import annotations

import psutil

from tracelet.courier.report import DeliveryReport
from tracelet.journal.rundir import RunDir


def who_delivers(run_dir: RunDir, report: DeliveryReport) -> str:
    """Say which process is the courier of a run, what it waits for, and how to end that.

    Args:
        run_dir: a run whose courier is at work.
        report: what its backends lack.
    """
    failing = [
        f"{name} ({one.health}: {one.last_error})"
        for name, one in report.items()
        if one.pending and one.health not in ("ok", "starting")
    ]
    pid = _courier(run_dir)
    who = "another process" if pid is None else f"process {pid}"
    if not failing:
        return who
    end = "" if pid is None else f"; kill {pid} ends that, and what is pending stays so"
    return f"{who}, which tries {', '.join(failing)} again and again{end}"


def _courier(run_dir: RunDir) -> int | None:
    ending = ["tracelet", "courier", str(run_dir.path)]
    if run_dir.reader_dir is not None:
        ending += ["--reader", str(run_dir.reader_dir)]
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-len(ending) :] == ending:
            return int(process.pid)
    return None
