"""Removes the wrappers of observed functions from the tracebacks that the program sees."""

from __future__ import annotations


def drop_wrapper_frame(error: BaseException) -> None:
    """Remove the wrapper's frame from the traceback of an error.

    Call it in the ``except`` clause of the wrapper, before a bare ``raise``, which does not add the
    frame again.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
