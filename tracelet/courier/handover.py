"""Hands a group of records to a backend; a record that it cannot take must not cost the others.

A failure that may pass is waited out. Any other is the fault of what was sent: the group is split
until the one bad record is found, and that into its parts, so that one bad parameter is one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from tracelet.courier.attempts import Attempts, Failure, Interrupted
from tracelet.courier.batches import Caller, Group, parts
from tracelet.courier.error_texts import one_line
from tracelet.errors import CheckpointLostError
from tracelet.records import Artifact, Deliverable
from tracelet.wire import to_wire

SLOWEST_UPLOAD = 1_000_000
"""Bytes a second; the time bound of an artifact grows with its size."""


class Refusal(NamedTuple):
    """A record that a backend cannot take: its lines for ``rejected/``, and why."""

    lines: list[bytes]
    error: BaseException


def hand_over(
    group: Group, call: Caller, attempts: Attempts, *, before_waiting: Callable[[], None]
) -> list[Refusal]:
    """Give ``group`` to the backend, and return what of it was refused.

    Args:
        group: the records, in order.
        call: makes the backend's call.
        attempts: makes the tries, and waits between them.
        before_waiting: called before a wait, which may be long or the last.

    Raises:
        Interrupted: asked to stop while waiting, or the run is over and nothing helps.
        CheckpointLostError: the backend has lost what it was given before.
    """
    refused: list[Refusal] = []
    waiting = [group]
    begun = False
    while waiting:
        part = waiting.pop()
        size = part[0].size if isinstance(part[0], Artifact) else 0
        try:
            attempts.once(partial(call, part), extra=size / SLOWEST_UPLOAD)
        except CheckpointLostError:
            raise
        except Failure as error:
            if attempts.may_pass(error):
                waiting.append(part)
                if not begun:  # else the backend's checkpoint would be ahead of the cursor
                    before_waiting()
                attempts.failed(error)
            elif len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                begun = True
                refused += _refusal(part[0], error, call, attempts)
        else:
            begun = True
    return refused


def _refusal(
    record: Deliverable, error: BaseException, call: Caller, attempts: Attempts
) -> list[Refusal]:
    """Deliver what the backend can take of a refused record; return what is left, if any is."""
    refused = [(record, error)]
    if len(pieces := parts(record)) > 1:
        refused = []
        for piece in pieces:
            try:
                attempts.until_it_works(partial(call, [piece]), blame=True)
            except (Interrupted, CheckpointLostError):
                raise
            except Failure as reason:
                refused.append((piece, reason))
    lines = [_explain(piece, reason) for piece, reason in refused]
    return [Refusal(lines, refused[-1][1])] if refused else []


def _explain(record: Deliverable, reason: BaseException) -> bytes:
    line = {"record": msgspec.to_builtins(record), "reason": one_line(reason)}
    return msgspec.json.encode(to_wire(line)) + b"\n"
