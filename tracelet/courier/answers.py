"""What a backend gives back is kept in the cursor: what could not be read from there is refused."""

from __future__ import annotations

from typing import Any

import msgspec

from tracelet.records import RunLink
from tracelet.redaction import Redactor


class WrongAnswerError(Exception):
    """A backend's method returned what it must not; to call it again would not help."""


def checked_link(name: str, link: object) -> RunLink | None:
    """Return what a backend's ``open`` returned.

    Raises:
        WrongAnswerError: it is neither a RunLink of texts nor None.
    """
    if link is None:
        return None
    try:
        if isinstance(link, RunLink):
            text = msgspec.json.encode(link)
            link = msgspec.json.decode(text, type=RunLink)
            return msgspec.structs.replace(link, url=link.url and Redactor().text(link.url))
    except (TypeError, ValueError):  # a number where a text belongs, a text that UTF-8 cannot hold
        pass
    given = type(link).__name__
    if isinstance(link, RunLink):
        given += f"({type(link.id).__name__}, {type(link.url).__name__})"
    raise WrongAnswerError(
        f"open() of the backend {name!r} must return a tracelet.RunLink, whose id and url are "
        f"texts, or None, not {given}"
    )


def checked_checkpoint(name: str, checkpoint: Any) -> Any:
    """Return what a backend's ``flush`` returned.

    Raises:
        WrongAnswerError: JSON cannot hold it.
    """
    try:
        msgspec.json.encode(checkpoint)
    except (TypeError, ValueError, RecursionError) as error:
        raise WrongAnswerError(
            f"flush() of the backend {name!r} must return None or a checkpoint that JSON can "
            f"hold, not this {type(checkpoint).__name__}: {error}"
        ) from error
    return checkpoint
