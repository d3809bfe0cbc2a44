"""The parameters of a run: a live view of those in the journal.

- Only changes are written; the same value again makes no record.
- A call that raises has written nothing, and changed nothing.
- Values are copied when they are set and when they are read: no other code can change them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import time
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

from tracelet.errors import NotRunningError, ParameterConflictError, ValueTypeError, warn
from tracelet.records import Params, ParamValue
from tracelet.redaction import Redactor
from tracelet.values.equality import same_value
from tracelet.values.flatten import Flat, Foreign, KeyPaths, is_split, path_of, unflatten
from tracelet.values.plain import copy_plain
from tracelet.values.sections import by_section, flatten_call, plain_key

Policy = Literal["overwrite", "keep", "error"]
NOTHING: Mapping[str, Any] = MappingProxyType({})
_alive: weakref.WeakValueDictionary[int, Parameters] = weakref.WeakValueDictionary()


class ParamChange(NamedTuple):
    """A value of a parameter, and when it was set, in seconds since the epoch."""

    value: ParamValue
    time: float


class Parameters(Mapping[str, ParamValue]):
    """The current flat values, as a mapping; ``exp.params`` is one.

    Args:
        write: writes a record to the journal before it counts; None: these are read-only.
        clock: returns seconds since the epoch.
        policy: what happens to a parameter that has another value already: ``overwrite`` it,
            ``keep`` the first value, or raise an ``error``.
        redactor: hides secrets before values are compared or written; None: no secrets are hidden.
        foreign: returns the fields of an object of a foreign type.
        news: returns the records that other processes have written since its last call; called
            before each change, so that it is compared with the present values.
    """

    def __init__(
        self,
        write: Callable[[Params], object] | None = None,
        *,
        clock: Callable[[], float] = time,
        policy: Policy = "overwrite",
        redactor: Redactor | None = None,
        foreign: Foreign | None = None,
        news: Callable[[], Iterable[Params]] = tuple,
    ) -> None:
        self._write = write
        self._clock = clock
        self._policy = policy
        self._redactor = redactor
        self._foreign = foreign
        self._news = news
        self._lock = threading.RLock()
        self._values: dict[str, ParamValue] = {}
        self._paths = KeyPaths()
        self._history: dict[str, list[ParamChange]] = {}
        self._descriptions: dict[str, str] = {}
        _alive[id(self)] = self

    def __setattr__(self, name: str, value: Any) -> None:
        # In other trackers this sets a parameter; here it would be lost.
        if name[0] != "_" and not hasattr(Parameters, name):
            raise AttributeError(f"params.{name} = … sets nothing; params.set({name}=…) does")
        super().__setattr__(name, value)

    # -- writing ------------------------------------------------------------------------------

    def set(self, given: Any = None, /, *, section: str | None = None, **values: Any) -> Self:
        """Merge parameters into the present ones; later values win.

        Args:
            given: a mapping, or any object with named fields. A parameter called ``section`` must
                be in here.
            section: puts the keys under ``section/``; None or ``General``: under no section.
            values: parameters by keyword.

        Returns:
            This object.

        Raises:
            ValueTypeError: ``given`` has no named fields.
            InvalidValueError: a key is empty.
            KeyCollisionError: two keys of the call become the same.
            ParameterConflictError: a parameter would change, and the policy is ``error``.
            NotRunningError: these parameters are read-only.
        """
        self.merge(flatten_call(given, values, section, foreign=self._foreign))
        return self

    def replace_all(self, given: Any = NOTHING, /, **values: Any) -> Self:
        """Set parameters and remove all others; their history stays.

        With the policy ``keep`` no parameter is removed; with ``error`` a removal raises. Arguments
        and errors are those of :meth:`set`; None is a ValueTypeError.
        """
        if given is None:  # probably of a function without ``return``
            raise ValueTypeError("None are no parameters; an empty mapping removes all of them")
        flat, _ = self._without_secrets(flatten_call(given, values, foreign=self._foreign), NOTHING)
        self._commit(flat, NOTHING, replace=True)
        return self

    def merge(
        self,
        flat: Flat,
        descriptions: Mapping[str, str] = NOTHING,
        *,
        may_have_secrets: bool = True,
    ) -> None:
        """Merge parameters that are flat already; see :meth:`set`.

        Args:
            flat: the parameters.
            descriptions: key to help text, for any of the parameters.
            may_have_secrets: False: all secrets are hidden already, also in the descriptions.
        """
        if may_have_secrets:
            flat, descriptions = self._without_secrets(flat, descriptions)
        self._commit(flat, descriptions, replace=False)

    def apply(self, record: Params) -> None:
        """Apply a record of the journal, also of another process; a later record wins."""
        with self._lock:
            self._descriptions.update(record.descriptions)
            for key in record.removed:
                self._drop(key)
            for key, value in record.values.items():
                path = path_of(key, record.paths)
                for other in self._paths.conflicting_keys(key, path):
                    self._drop(other)
                self._paths.put(key, path)
                self._values[key] = value
                self._history.setdefault(key, []).append(ParamChange(value, record.time))

    # -- reading ------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> ParamValue:
        return copy_plain(self._values[plain_key(key)])

    def __contains__(self, key: object) -> bool:
        return plain_key(key) in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Parameters({self._values!r})"

    def flat(self) -> dict[str, ParamValue]:
        """Return the current values under their dotted keys."""
        with self._lock:
            return {key: copy_plain(value) for key, value in self._values.items()}

    def nested(self) -> dict[str, Any]:
        """Return the current values, nested as they were given."""
        with self._lock:
            return unflatten(self.flat(), self._paths)

    def by_section(self) -> dict[str, dict[str, Any]]:
        """Return the current values, nested, below their sections."""
        with self._lock:
            return by_section(Flat(self.flat(), {key: [*p] for key, p in self._paths.items()}))

    def history(self, key: str) -> list[ParamChange]:
        """Return every value that a parameter had, the oldest first.

        Raises:
            KeyError: the run never had this parameter.
        """
        with self._lock:
            changes = self._history[plain_key(key)]
            return [ParamChange(copy_plain(value), when) for value, when in changes]

    def description(self, key: str) -> str | None:
        """Return the help text of a parameter, e.g. of a captured argument; None without one."""
        return self._descriptions.get(plain_key(key))

    # -- inside -------------------------------------------------------------------------------

    def _without_secrets(
        self, flat: Flat, descriptions: Mapping[str, str]
    ) -> tuple[Flat, Mapping[str, str]]:
        """Hide secrets; the description of a secret may contain it, and is left out."""
        redactor = self._redactor
        if redactor is None:
            return flat, descriptions
        values = redactor.params(flat.values)
        texts = {
            key: redactor.text(text)
            for key, text in descriptions.items()
            if same_value(flat.values.get(key), values.get(key))
        }
        return Flat(values, flat.paths), texts

    def _commit(self, flat: Flat, descriptions: Mapping[str, str], *, replace: bool) -> None:
        """Write the changes to the journal, then apply them."""
        if self._write is None:
            raise NotRunningError("these parameters are read-only")
        with self._lock:
            for record in self._news():
                self.apply(record)
            changed: dict[str, ParamValue] = {}
            paths: dict[str, list[str]] = {}
            removed: dict[str, None] = {}
            lost: list[str] = []
            for key, path in self._paths.resolve_paths(flat).items():
                value = flat.values[key]
                known = key in self._values
                same = known and same_value(self._values[key], value)
                if same and self._paths[key] == path:
                    continue
                conflicts = self._paths.conflicting_keys(key, path)
                # An empty mapping was only a branch without parameters.
                reshaped = [other for other in conflicts if self._values[other] != {}]
                if (known and not same) or reshaped:
                    if self._policy == "keep":
                        continue
                    self._allow_change(key, reshaped)
                changed[key] = value
                if not is_split(key, path):
                    paths[key] = list(path)
                removed.update(dict.fromkeys(conflicts))
                lost += [] if value == {} else reshaped
            if replace and self._policy != "keep":
                others = [key for key in self._values if key not in flat.values]
                self._allow_change(None, others)
                removed.update(dict.fromkeys(others))
                lost = []
            gone = [key for key in removed if key not in changed]
            if lost:
                names = ", ".join(map(repr, dict.fromkeys(lost)))
                warn(f"a parameter was a value and is a branch now, or the reverse; gone: {names}")
            if changed or gone:
                texts = {
                    key: text
                    for key, text in descriptions.items()
                    if key in changed and self._descriptions.get(key) != text
                }
                record = Params(self._clock(), changed, gone, paths, texts)
                self._write(record)
                self.apply(record)

    def _allow_change(self, key: str | None, removed: list[str]) -> None:
        """Raise if the policy is ``error``.

        Args:
            key: the parameter that would change, or would remove others; None: there is none.
            removed: the parameters that would be removed.
        """
        if self._policy == "error" and (key is not None or removed):
            name = removed[0] if removed else key or ""
            raise ParameterConflictError(
                name,
                f"parameter {name!r} was logged before, and on_param_conflict='error' forbids that "
                f"it {'vanishes' if removed else 'changes'}",
            )

    def _drop(self, key: str) -> None:
        self._values.pop(key, None)
        self._paths.remove(key)


def _renew_locks() -> None:
    """Replace the locks in a forked child: a thread of the parent may have held one."""
    for parameters in _alive.values():
        parameters._lock = threading.RLock()  # noqa: SLF001 - of this module


os.register_at_fork(after_in_child=_renew_locks)
