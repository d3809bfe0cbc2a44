"""Objects whose fields are parameters for as long as the run lives: what changes is logged later.

- An object is read when it is connected, at each ``flush``, and at the end of the run.
- What is logged then is what has changed in the object since it was read last. A parameter that was
  set otherwise meanwhile keeps that value; one that the object has no more stays.
- An object that cannot be read again is one warning. It never keeps ``flush`` or ``stop`` from
  doing what they are for.
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
    """The connected objects of one experiment.

    They are held until the run ends, even if nobody else holds them: an object that was changed
    and then forgotten has changed all the same.

    Args:
        params: where their fields are logged.
        foreign: asked for the fields of objects of a foreign type.
    """

    def __init__(self, params: Parameters, foreign: Foreign) -> None:
        self._params = params
        self._foreign = foreign
        self._objects: dict[tuple[int, str | None], _Connected] = {}

    def add(self, given: Any, section: str | None) -> None:
        """Log the fields of an object, and read it again later."""
        flat = in_section(flatten(given, foreign=self._foreign), section_prefix(section))
        self._params.merge(flat)
        self._objects[id(given), section] = _Connected(given, section, self._foreign, flat)

    def read_again(self) -> Reading:
        """Log what has changed; the result, used with ``with``, warns when its block is left."""
        connected = list(self._objects.values())
        return Reading([text for one in connected if (text := one.read_again(self._params))])

    def read_at_exit(self) -> None:
        """Log what has changed while the interpreter shuts down, where no warning may be an error.

        What goes wrong is warned of all the same.
        """
        with contextlib.suppress(TraceletWarning), self.read_again():
            pass

    def end(self) -> None:
        """Let go of the objects."""
        self._objects.clear()


class Reading:
    """What went wrong in a reading; warned of when that can do no harm any more."""

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
        # Where warnings are errors, what leaves the block counts more.
        with contextlib.suppress(*([TraceletWarning] if error is not None else [])):
            for text in self._messages:
                warn(text)


class _Connected:
    """One object, and what was in it when it was read last."""

    def __init__(self, given: Any, section: str | None, foreign: Foreign, flat: Flat) -> None:
        self._given = given
        self._section = section
        self._foreign = foreign
        self._flat = flat
        self._warned = False
        self._pid = os.getpid()

    def read_again(self, params: Parameters) -> str | None:
        """Log what has changed; return what there is to warn of."""
        if os.getpid() != self._pid:  # in a forked child it is a copy, and of another life
            return None
        messages: list[str] = []
        try:
            now = flatten(self._given, foreign=self._foreign, on_warning=messages.append)
            flat = in_section(now, section_prefix(self._section))
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


def _changed(before: Flat, now: Flat) -> Flat:
    """Return what is new or another value; a branch that was emptied has lost its parameters."""
    paths = [path_of(key, before.paths) for key in before.values]
    branches = {path[:depth] for path in paths for depth in range(1, len(path))}
    values = {}
    for key, value in now.values.items():
        known = key in before.values and same_value(before.values[key], value)
        if not known and not (value == {} and path_of(key, now.paths) in branches):
            values[key] = value
    return Flat(values, {key: path for key, path in now.paths.items() if key in values})
