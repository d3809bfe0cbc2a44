"""What sources of capture have told of arguments: which are secrets, whatever they are called.

An argument has many names: ``--api-key`` may be ``k`` for the program, and come from ``HF_TOKEN``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tracelet.core.command_line import shown
from tracelet.core.parameter_calls import foreign_params
from tracelet.redaction import Redactor, secrecy
from tracelet.values.flatten import flatten, unflatten
from tracelet.wire import REDACTED

_DEEP = 8
"""Lists in lists that can have been typed; a list may contain itself."""


class Told:
    """The secrets among the arguments that one source reports.

    Args:
        redactor: knows which names are secret.

    Attributes:
        secrets: the texts of values that are.
        unwanted: those of arguments that are not to be recorded.
        plain: those of the others.
    """

    def __init__(self, redactor: Redactor) -> None:
        self.secrets: set[str] = set()
        self.unwanted: set[str] = set()
        self.plain: set[str] = set()
        self._redactor = redactor
        self._known: dict[str, bool] = {}

    def note(
        self,
        name: str,
        value: Any,
        aliases: Mapping[str, Collection[str]],
        *,
        hidden: bool,
        wanted: bool,
    ) -> None:
        """Note whether a value, or what a list has, is a secret.

        Args:
            name: the argument.
            value: as the program has it, or as it was typed.
            aliases: name to what else an argument is called.
            hidden: whether it is a secret under any name.
            wanted: whether the argument is recorded.
        """
        names = [name, *self._secret_aliases(name, aliases)]
        leaves = list(_leaves(value))
        found = self._redactor.whole(dict.fromkeys(names, leaves), names if hidden else ())
        self.secrets |= found
        others = self.plain if wanted else self.unwanted
        others |= {str(leaf) for leaf in leaves} - found

    def without_secrets(
        self, name: str, value: Any, aliases: Mapping[str, Collection[str]], *, hidden: bool
    ) -> Any:
        """Return a value without what is a secret under another name of its argument.

        Or under a name within it: several texts can be a command line of others.
        """
        if hidden:
            return self._redactor.hidden(value)
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            texts = shown(value, self._redactor)
            value = value if texts == list(value) else texts
        for alias in self._secret_aliases(name, aliases):
            try:
                flat = flatten({alias: value}, foreign=foreign_params)
            except Exception:  # noqa: BLE001 - it cannot be recorded anyway
                return REDACTED
            value = unflatten(self._redactor.params(flat.values), flat.paths)[alias]
        return value

    def _secret_aliases(self, name: str, aliases: Mapping[str, Collection[str]]) -> Iterable[str]:
        """Return the other names of an argument that name a secret.

        There is none if the user has said that its own, which does, is of no secret.
        """
        others = aliases.get(name, ())
        if not others or (secrecy(name) and not self._is_secret(name)):
            return ()
        return {alias: None for alias in others if alias != name and self._is_secret(alias)}

    def _is_secret(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = bool(self._redactor.whole({name: "x"}))
        return self._known[name]


def _leaves(value: Any, depth: int = 0) -> Iterator[str | int | float]:
    if isinstance(value, list | tuple) and depth < _DEEP:
        for item in value:
            yield from _leaves(item, depth + 1)
    elif isinstance(value, str | int | float):
        yield value
    elif isinstance(value, os.PathLike):
        with contextlib.suppress(Exception):  # the user's code: it cannot be recorded anyway
            yield str(os.fspath(value))
