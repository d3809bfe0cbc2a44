"""The cursor of one backend on disk: how far the backend has come in the journal.

A cursor that runs ahead of what the tracker has stored would lose records.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from tracelet.journal.files import replace_file
from tracelet.journal.reader import Position
from tracelet.records import RunLink, Status
from tracelet.wire import clean_text

log = logging.getLogger(__name__)

Health: TypeAlias = Literal["starting", "ok", "degraded", "hung", "gave up"]
"""``degraded``: calls keep failing, the backlog waits in the journal and is tried now and then."""


class Cursor(msgspec.Struct):
    """The durable state of one backend of one run.

    Attributes:
        position: the place in the journal from which on records are still to be delivered.
        delivered: records that the backend has taken.
        adjusted: of those, how many it could not hold as given.
        rejected: records that it did not take; they are in ``rejected/<backend>.jsonl``.
        link: where the run is in the tracker.
        checkpoint: what the backend's ``flush`` returned for this position.
        ended: the status with which the run ended before ``position``, if it was not resumed since.
        closed: the status with which the backend was closed last; None while it is open.
        health: see :data:`Health`.
        last_error: the last failure, in one line.
        failures: how many calls in a row have failed.
        skipped: lines before ``position`` that were no records.
        side_files: the size of each side file at ``position``; None if that is not known. See
            :mod:`tracelet.courier.progress`.
    """

    position: Position = {}
    delivered: int = 0
    adjusted: int = 0
    rejected: int = 0
    link: RunLink | None = None
    checkpoint: Any = None
    ended: Status | None = None
    closed: Status | None = None
    health: Health = "starting"
    last_error: str | None = None
    failures: int = 0
    skipped: int = 0
    side_files: dict[str, int] | None = msgspec.field(default=None, name="kept")


class CursorFile:
    """The file of one backend's cursor. While there is a delivery, nobody else writes it."""

    def __init__(self, directory: Path, backend: str) -> None:
        self.path = directory / f"{backend}.json"

    def load(self) -> Cursor:
        """Return the cursor that was saved last; a new one if there is none, or it is damaged."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Cursor)
        except (FileNotFoundError, ValueError):
            return Cursor()

    def save(self, cursor: Cursor) -> None:
        """Replace what was saved."""
        replace_file(self.path, msgspec.json.encode(cursor))

    def note(self, health: Health, error: str) -> None:
        """Note an error, in place of a delivery that is not there to do it."""
        cursor = self.load()
        cursor.health, cursor.last_error = health, clean_text(error)
        cursor.failures += 1
        try:
            self.save(cursor)
        except OSError as reason:  # the disk is full
            log.warning("%s cannot be saved: %s", self.path, reason)
