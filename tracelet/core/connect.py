"""Connected objects: their fields are parameters, and later changes of them are logged, too.

- An object is read when it is connected, at each ``flush``, and at the end of the run, unless the
  start of another run has ended it: a change since the last reading is meant for that run.
- Each time, the fields that have changed since the last reading are logged. A parameter that was
  set in another way meanwhile keeps that value. A field that was removed stays a parameter.
- If an object cannot be read again, there is one warning; ``flush`` and ``stop`` work all the same.
"""

from __future__ import annotations

import contextlib
import logging
import os
import types
from typing import Any

from tracelet.core.parameters import Parameters
from tracelet.errors import TraceletWarning, warn
from tracelet.values.equality import same_value
from tracelet.values.flatten import Flat, Foreign, flatten, path_of
from tracelet.values.sections import in_section, section_prefix

log = logging.getLogger(__name__)


class Connections:
    """The connected objects of one experiment, kept alive until the run ends.

    Args:
        params: where their fields are logged.
        foreign: returns the fields of an object of a foreign type.
    """

    def __init__(self, params: Parameters, foreign: Foreign) -> None:
        self._params = params
        self._foreign = foreign
        self._objects: dict[tuple[int, str | None], _Connected] = {}

    def add(self, given: Any, section: str | None) -> None:
        """Log the fields of an object, and connect it."""
        flat = in_section(flatten(given, foreign=self._foreign), section_prefix(section))
        self._params.merge(flat)
        self._objects[id(given), section] = _Connected(given, section, self._foreign, flat)

    def read_again(self) -> Reading:
        """Log the changes; the result is a context manager that warns when its block is left."""
        messages = [one.read_again(self._params) for one in list(self._objects.values())]
        return Reading([message for message in messages if message is not None])

    def leave(self) -> Reading:
        """Log no changes: another run starts. The result warns of them when its block is left."""
        messages = [one.left_out() for one in list(self._objects.values())]
        return Reading([message for message in messages if message is not None])

    def read_at_exit(self) -> None:
        """Log the changes while the interpreter shuts down; no warning is raised as an error."""
        with contextlib.suppress(TraceletWarning), self.read_again():
            pass

    def end(self) -> None:
        """Release the objects."""
        self._objects.clear()


class Reading:
    """The messages of a reading. They become warnings when the ``with`` block is left."""

    def __init__(self, messages: list[str]) -> None:
        self._messages = messages

    def __enter__(self) -> None:
        """Do nothing: the objects were read."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        # Where warnings are errors, an error of the block must not be replaced.
        with contextlib.suppress(*([TraceletWarning] if error is not None else [])):
            for message in self._messages:
                warn(message)


class _Connected:
    """One object, and its fields when it was read last."""

    def __init__(self, given: Any, section: str | None, foreign: Foreign, flat: Flat) -> None:
        self._given = given
        self._section = section
        self._foreign = foreign
        self._flat = flat
        self._warned = False
        self._pid = os.getpid()

    def read_again(self, params: Parameters) -> str | None:
        """Log the changes; return the message of a warning, or None."""
        if os.getpid() != self._pid:  # a forked child has a copy, which changes independently
            return None
        messages: list[str] = []
        try:
            flat = self._read(messages)
            params.merge(_changed(self._flat, flat))
        except Exception as error:  # its properties and its mapping are foreign code
            log.debug("a connected %s cannot be read again", type(self._given), exc_info=True)
            cause = error.__cause__ or error
            messages = [f"{type(cause).__name__}: {cause}"]
        else:
            self._flat = flat
        if not messages or self._warned:
            return None
        self._warned = True
        what = type(self._given).__name__
        return f"a connected {what} cannot be read again in full: {'; '.join(messages)}"[:1000]

    def left_out(self) -> str | None:
        """Return the message of a warning if there are changes, which are not logged; or None."""
        if os.getpid() != self._pid:
            return None
        try:
            changed = _changed(self._flat, self._read([]))
        except Exception:  # its properties and its mapping are foreign code
            log.debug("a connected %s cannot be read again", type(self._given), exc_info=True)
            return None
        if not changed.values:
            return None
        return (
            f"a connected {type(self._given).__name__} has changed, and another run has started: "
            f"{', '.join(changed.values)} of the run that this ends stays as it was; flush() or "
            f"stop() before the change is for that run"
        )[:1000]

    def _read(self, messages: list[str]) -> Flat:
        now = flatten(self._given, foreign=self._foreign, on_warning=messages.append)
        return in_section(now, section_prefix(self._section))


def _changed(before: Flat, now: Flat) -> Flat:
    """Return the parameters that are new or changed, without branches that became empty."""
    paths = [path_of(key, before.paths) for key in before.values]
    branches = {path[:depth] for path in paths for depth in range(1, len(path))}
    values = {}
    for key, value in now.values.items():
        known = key in before.values and same_value(before.values[key], value)
        if not known and not (value == {} and path_of(key, now.paths) in branches):
            values[key] = value
    return Flat(values, {key: path for key, path in now.paths.items() if key in values})
