"""The cursor of one backend on disk: how far the backend has come in the journal.

A cursor must never be ahead of the tracker, or records would be lost. So a cursor that was damaged
is not believed: the backend gets the run from its start, under the link that it had.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from tracelet.inner_path import InnerPath, is_no_file
from tracelet.journal.checked import decode_checked, with_check
from tracelet.journal.reader import Position
from tracelet.records import RunLink, Status, safe_link
from tracelet.wire import clean_text

log = logging.getLogger(__name__)

Health: TypeAlias = Literal["starting", "ok", "degraded", "hung", "broken", "gave up"]
"""``degraded``: calls keep failing, the records stay in the journal and are tried again; or the
tracker refuses every record. ``broken``: the adapter, or its SDK, has a bug."""

_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Cursor(msgspec.Struct):
    """The durable state of one backend of one run.

    Attributes:
        position: the place in the journal of the next record to deliver.
        delivered: how many records the backend has taken.
        adjusted: how many of these it could not store as given.
        rejected: how many records it has rejected; they are in ``rejected/<backend>.jsonl``.
        link: where the run is in the tracker.
        checkpoint: the value that the backend's ``flush`` returned for this position.
        ended: the status of the run's ending before ``position``; None if there is none, or the run
            was resumed after it.
        closed: the status with which the backend was closed last; None while it is open.
        health: see :data:`Health`.
        last_error: the last failure, in one line.
        failures: how many calls in a row have failed.
        skipped: how many lines before ``position`` were no records.
        side_files: the size of each side file at ``position``; None if it is not known. See
            :mod:`tracelet.courier.progress`.
        starting_since: when the backend began to open the run, in seconds since the epoch; None
            once it has.
        moved: when the position was moved last, in seconds since the epoch.
        cut: the segments that were found to end before the position.
    """

    position: Position = {}
    delivered: _Count = 0
    adjusted: _Count = 0
    rejected: _Count = 0
    link: RunLink | None = None
    checkpoint: Any = None
    ended: Status | None = None
    closed: Status | None = None
    health: Health = "starting"
    last_error: str | None = None
    failures: _Count = 0
    skipped: _Count = 0
    side_files: dict[str, _Count] | None = msgspec.field(default=None, name="kept")
    starting_since: float | None = None
    moved: float = 0.0
    cut: list[str] = []


class CursorFile:
    """The file of one backend's cursor. During a delivery, only the delivery writes it."""

    def __init__(self, directory: Path | InnerPath, backend: str) -> None:
        self.file = InnerPath.of(directory) / f"{backend}.json"

    def load(self) -> Cursor:
        """Return the saved cursor; a new one if there is no file, or it is damaged, or a link."""
        try:
            return self._read()
        except OSError as error:
            if not is_no_file(error):
                raise
            return Cursor()
        except ValueError as error:
            return Cursor(
                link=self._damaged_link(), last_error=f"the cursor {self.file} is damaged: {error}"
            )

    @property
    def is_damaged(self) -> bool:
        """Whether there is a file that is no cursor, or was changed since it was saved."""
        try:
            self._read()
        except OSError:
            return self.file.exists()
        except ValueError:
            return True
        return False

    def _read(self) -> Cursor:
        cursor = decode_checked(self.file.read_bytes(), Cursor)
        if any(offset < 0 or done < 0 for offset, done in cursor.position.values()):
            raise ValueError("a position is negative")
        cursor.link = safe_link(cursor.link)
        return cursor

    def _damaged_link(self) -> RunLink | None:
        """Return the link in a damaged file, so that the tracker gets no second run."""
        try:
            found = msgspec.json.decode(self.file.read_bytes(), type=dict[str, msgspec.Raw])
            return safe_link(msgspec.json.decode(found["link"], type=RunLink | None))
        except (OSError, ValueError, KeyError, RecursionError):
            return None

    def save(self, cursor: Cursor) -> None:
        """Save a cursor in place of the last one."""
        self.file.replace(with_check(msgspec.json.encode(cursor)))

    def note(self, health: Health, error: str) -> None:
        """Save health and error of a delivery that cannot save it itself, e.g. a killed worker."""
        cursor = self.load()
        cursor.health, cursor.last_error = health, clean_text(error)
        cursor.failures += 1
        try:
            self.save(cursor)
        except OSError as reason:  # the disk is full
            log.warning("%s cannot be saved: %s", self.file, reason)
