"""Wraps the functions that are observed such that their program notices nothing of it."""

from __future__ import annotations


def without_our_frame(error: BaseException) -> None:
    """Take the calling frame out of the traceback of an error that it is about to raise again.

    To be called in the ``except`` clause of a wrapper, before a bare ``raise``: that adds no entry
    for the frame a second time, so the traceback is what it is without the wrapper.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
