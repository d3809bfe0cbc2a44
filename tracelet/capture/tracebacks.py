"""Removes the wrappers of observed functions from the tracebacks that the program sees."""

from __future__ import annotations

import types


class _WrapperFrame:
    """A context for the call that a wrapper makes: its frame is in no traceback of an error."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if error is not None:
            remove_first_frame(error)


def remove_first_frame(error: BaseException) -> None:
    """Remove from the traceback the frame that has caught the error."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


wrapper_frame = _WrapperFrame()
"""``with wrapper_frame: return method(...)``; it has no state, so all wrappers share it."""
