"""Hides the secrets among captured arguments, in their values and on the command line.

An argument has many names: ``--api-key`` may be ``k`` in the program, and come from ``HF_TOKEN``.
Its value is a secret if any of these is the name of a secret.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from tracelet.capture.command_line import is_word, redacted
from tracelet.plugin_hooks import foreign_params
from tracelet.redaction import Redactor, secrecy
from tracelet.values.flatten import Flat, flatten
from tracelet.wire import REDACTED

_MAX_DEPTH = 8
"""Levels of lists that are searched; a list may contain itself."""


class ArgumentSecrets:
    """The secrets among the arguments that one source reports.

    Args:
        redactor: decides which names are those of secrets.

    Attributes:
        secrets: the secret values, each as a ``str``.
        unwanted: the values of arguments that are not recorded.
        plain: the values of all other arguments.
    """

    def __init__(self, redactor: Redactor) -> None:
        self.secrets: set[str] = set()
        self.unwanted: set[str] = set()
        self.plain: set[str] = set()
        self._redactor = redactor
        self._is_secret_name: dict[str, bool] = {}

    def hide(
        self, name: str, key: str, value: Any, *, aliases: Collection[str] = (), hidden: bool
    ) -> tuple[Flat, bool]:
        """Return the parameters of an argument without secrets.

        Args:
            name: the argument.
            key: the key of its parameter.
            value: its value in the program.
            aliases: its other names.
            hidden: whether it is a secret in any case.

        Returns:
            The parameters, flat and plain, and whether no secret was hidden.

        Raises:
            TraceletError: the value cannot be a parameter.
        """
        flat = flatten({key: value}, foreign=foreign_params)
        if hidden:
            values = {at: self._redactor.hidden(plain) for at, plain in flat.values.items()}
            return Flat(values, flat.paths), False
        values = self._redactor.params(flat.values)
        for at, plain in values.items():
            if type(plain) is list and plain and all(type(item) is str for item in plain):
                values[at] = redacted(plain, self._redactor)  # perhaps a command line
        for alias in self._secret_names(name, aliases):
            for at, plain in values.items():
                values[at] = self._redactor.value(alias + at[len(key) :], plain)
        return Flat(values, flat.paths), values == flat.values

    def note(self, value: Any, shown: Any, *, recorded: bool) -> None:
        """Note what the command line may show of an argument.

        Args:
            value: its value in the program, or on the command line.
            shown: the same value without secrets.
            recorded: whether the argument is recorded.
        """
        others = self.plain if recorded else self.unwanted
        for text, is_hidden in _texts(value, shown):
            if is_hidden and text and not is_word(text):
                self.secrets.add(text)
            else:
                others.add(text)

    def _secret_names(self, name: str, aliases: Collection[str]) -> Iterable[str]:
        """Return the aliases of an argument that name a secret.

        There are none if ``name`` looks like a secret's, and the setting ``redact`` excludes it.
        """
        if not aliases or (secrecy(name) and not self._names_secret(name)):
            return ()
        return {alias: None for alias in aliases if alias != name and self._names_secret(alias)}

    def _names_secret(self, name: str) -> bool:
        if name not in self._is_secret_name:
            self._is_secret_name[name] = bool(self._redactor.whole({name: "x"}))
        return self._is_secret_name[name]


def _texts(value: Any, shown: Any, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Yield each value in nested lists as a ``str``, and whether it is hidden."""
    if isinstance(value, list | tuple):
        if depth < _MAX_DEPTH:
            items_shown = shown if isinstance(shown, list) else [shown] * len(value)
            for item, item_shown in zip(value, items_shown, strict=False):
                yield from _texts(item, item_shown, depth + 1)
    elif isinstance(value, str | int | float):
        yield str(value), shown == REDACTED
    elif isinstance(value, os.PathLike):
        yield str(shown), shown == REDACTED
