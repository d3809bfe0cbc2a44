"""The delivery report: how many records each backend has delivered, rejected, or pending."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import msgspec

from tracelet.courier.cursor import Cursor, CursorFile, Health
from tracelet.journal.rundir import RunDir
from tracelet.journal.segments import segment_names
from tracelet.records import DELIVERABLE, RunLink, Status


class BackendReport(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a run's records in one backend.

    A metric point is one record; so is each call that logs parameters, an artifact, and so on.
    ``accepted == delivered + rejected + pending``, always.

    Attributes:
        accepted: records in the journal.
        delivered: records that the backend has taken.
        adjusted: how many of these it could not store as given; an artifact has the exact values.
        rejected: records that it has rejected; ``rejected/<backend>.jsonl`` has the reasons.
        pending: records that are not delivered yet; ``tracelet sync`` delivers them.
        link: where the run is in the tracker; None until the backend has opened it.
        closed: the status with which the backend was closed; None while it is open there.
        health: ``ok``, ``degraded`` …
        last_error: the last failure, in one line, or None.
        starting_since: when the backend began to open the run, in seconds since the epoch; None
            once it has.
    """

    accepted: int
    delivered: int
    adjusted: int
    rejected: int
    pending: int
    link: RunLink | None = None
    closed: Status | None = None
    health: Health = "starting"
    last_error: str | None = None
    starting_since: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the backend has taken every record."""
        return self.pending == 0 and self.rejected == 0

    def __str__(self) -> str:
        text = f"{self.delivered:,} of {self.accepted:,} delivered"
        for what in ("adjusted", "rejected", "pending"):
            if count := getattr(self, what):
                text += f", {count:,} {what}"
        if self.link is not None and self.link.url:
            text += f"  {self.link.url}"
        if (not self.complete or self.health == "degraded") and self.last_error:
            text += f"  ({self.last_error})"
        if self.pending and self.starting_since is not None:
            seconds = time.time() - self.starting_since
            text += f"  (starting: its import and open took {seconds:.0f} s so far)"
        return text


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery report of a run: a :class:`BackendReport` for each backend.

    ``report["mlflow"]`` is the report of one backend; iteration yields the names.

    Attributes:
        backends: the reports by backend.
        lost: records that could not be written to the journal.
        redacted: values in which a secret was replaced.
        skipped: lines of the journal that are no records.
        damaged: the files of the run that were cut, changed or deleted, each in one line.
    """

    backends: dict[str, BackendReport] = {}
    lost: int = 0
    redacted: int = 0
    skipped: int = 0
    damaged: list[str] = []

    def __getitem__(self, backend: str) -> BackendReport:
        return self.backends[backend]

    def __iter__(self) -> Iterator[str]:
        return iter(self.backends)

    def __len__(self) -> int:
        return len(self.backends)

    def items(self) -> Iterator[tuple[str, BackendReport]]:
        """Iterate over names and reports."""
        return iter(self.backends.items())

    @property
    def complete(self) -> bool:
        """Whether nothing was lost or damaged, and every backend has taken every record."""
        return not (self.lost or self.damaged) and all(
            report.complete for report in self.backends.values()
        )

    def lines(self) -> list[str]:
        """Return the report as lines for people, one for each backend."""
        width = max(map(len, self.backends), default=0)
        lines = [f"{name:{width}}  {report}" for name, report in self.backends.items()]
        if self.lost:
            lines.append(f"{self.lost:,} records could not be written to the journal and are lost")
        lines += [f"damaged: {one}" for one in self.damaged]
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


def make_report(
    run_dir: RunDir,
    backends: list[str],
    *,
    lost: int = 0,
    redacted: int = 0,
    damaged: list[str] | None = None,
) -> DeliveryReport:
    """Return the report of a run, from its journal and the cursors of ``backends``.

    Args:
        run_dir: the run.
        backends: the names of its backends.
        lost: records that could not be written.
        redacted: values in which a secret was replaced.
        damaged: what the seals show; None: their sizes are compared, and no content is read.
    """
    reports: dict[str, BackendReport] = {}
    skipped = 0
    damaged = [*(run_dir.seals.damage(contents=False) if damaged is None else damaged)]
    there, sealed = segment_names(run_dir.journal), " ".join(damaged)
    for name in backends:
        file = CursorFile(run_dir.cursors, name)
        cursor = file.load()
        if file.is_damaged:
            damaged.append(str(cursor.last_error))
        pending, torn, beyond = _pending(run_dir, cursor)
        missing = sorted(set(cursor.position) - there)
        damaged += [
            f"{run_dir.journal.name}/{one}.jsonl {what} {name} has had {more} of it"
            for what, more, names in (
                ("is missing:", "records", missing),
                ("was cut:", "more", sorted({*beyond, *cursor.cut})),
            )
            for one in names
            if f"/{one}.jsonl" not in sealed
        ]
        skipped = max(skipped, cursor.skipped + torn)
        reports[name] = BackendReport(
            accepted=cursor.delivered + cursor.rejected + pending,
            delivered=cursor.delivered,
            adjusted=cursor.adjusted,
            rejected=cursor.rejected,
            pending=pending,
            link=cursor.link,
            closed=cursor.closed,
            health=cursor.health,
            last_error=cursor.last_error,
            starting_since=cursor.starting_since,
        )
    return DeliveryReport(
        backends=reports, lost=lost, redacted=redacted, skipped=skipped, damaged=damaged
    )


def is_delivered(run_dir: RunDir, backend: str, upto: Mapping[str, int]) -> bool:
    """Return whether a backend has everything before ``upto``, an offset for each segment."""
    position = CursorFile(run_dir.cursors, backend).load().position
    return all(position.get(name, (0, 0))[0] >= offset for name, offset in upto.items())


def _pending(run_dir: RunDir, cursor: Cursor) -> tuple[int, int, list[str]]:
    """Count the records behind a cursor.

    Returns:
        The number of records, that of lines there that are no records, and the segments that end
        before the cursor.
    """
    reader = run_dir.reader()
    reader.position_time = cursor.moved
    position, count = dict(cursor.position), 0
    while (chunk := reader.read(position)) is not None:
        count += sum(isinstance(record, DELIVERABLE) for record in chunk.records)
        position = chunk.advance(position, len(chunk.records))
    reader.close()
    return count, reader.skipped, reader.beyond
