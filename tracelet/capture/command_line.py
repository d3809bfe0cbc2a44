"""Hides the secrets on the command line, also where no parser is captured.

Without a parser any value behind ``-p`` may be a password. A number of up to five digits is no
secret; a longer one, or one that begins with 0, may be.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from tracelet.capture.names import wanted
from tracelet.redaction import Redactor

_OPTION = re.compile(
    r"(?P<dashes>--?|\+\+?|/)(?P<name>[A-Za-z][\w.-]*)(?:=(?P<value>.*))?", re.DOTALL
)
_ASSIGNED = re.compile(r"(?P<before>[-+~/]*+(?P<name>[\w.@/-]+)=)(?P<value>.*)", re.DOTALL)
_JOINED = re.compile(r"-[A-Za-z](?P<value>[A-Za-z_]*[^A-Za-z_].*)", re.DOTALL)
"""An option of one letter and its value; letters alone, e.g. ``-xvf``, are options."""
_NAMED = re.compile(r"\A[A-Za-z_]*=")
"""The part of ``-lr=0.1`` that is no value, unless ``-l`` is an option."""
_LETTERS = re.compile(r"[-+/][A-Za-z]+")
_NUMBER = re.compile(r"(?![-+]?(?:0\d|\d{6}))[-+]?[\d.][\d._eE+-]*")
_SHORT = re.compile(r"0|[1-9]\d{0,4}")
_WORD = re.compile(r"true|false|yes|no|on|off|none|null", re.IGNORECASE)
SECTION = "Args"
_NAMES = (
    *("password", "passphrase", "passwd", "secret", "token", "key", "credentials", "auth"),
    *("api_key", "apikey", "access_key", "access_token", "private_key"),
)
"""The secret names that an abbreviated option can stand for: ``--api-k``, ``--hf-tok``."""


def command_line() -> list[str]:
    """Return the command line; ``[]`` in a Python that is embedded in another program."""
    return [str(argument) for argument in getattr(sys, "argv", None) or ()]


def guess_secret_values(
    argv: Sequence[str],
    redactor: Redactor,
    chosen: bool | Mapping[str, bool] = True,
    plain: Collection[str] = (),
) -> set[str]:
    """Return the values on a command line that may be secrets.

    A secret can be behind an option with one dash, in ``-p X`` and ``-pX``, or behind an option
    with a secret's name or an abbreviation of it. Short numbers, words like ``true`` and existing
    paths are no secrets. Values of arguments that are not recorded are returned, too.

    Args:
        argv: the command line.
        redactor: decides which names are those of secrets.
        chosen: which arguments are recorded; the setting ``capture_arguments``.
        plain: values that parsers have reported as no secrets.
    """
    found = set()
    for names, dashed, value, bare in _values(argv):
        if value in plain or bare in plain:
            continue
        if names and not wanted({names[0].replace("-", "_"): value}, chosen, SECTION):
            found.add(value)
        elif dashed or redactor.whole(dict.fromkeys(names, value)):
            found |= set() if _is_harmless(bare) else {value}
    return found


def parse_short_number(text: str) -> str | int:
    """Return a value on the command line; a short integer as an ``int``."""
    return int(text) if _SHORT.fullmatch(text) else text


def redacted(argv: Sequence[str], redactor: Redactor, secrets: Collection[str] = ()) -> list[str]:
    """Return a command line without secrets: ``--password X`` and ``--password=X`` too.

    Args:
        argv: the command line.
        redactor: hides them.
        secrets: values that are hidden everywhere: in ``-p X``, ``-pX``, ``-vpX``, ``--pw=X``.
    """
    return redactor.argv([_without(secrets, item, redactor) for item in argv])


def _without(secrets: Collection[str], item: str, redactor: Redactor) -> str:
    if assigned := _ASSIGNED.fullmatch(item):
        value = assigned["value"]
        if value in secrets or redactor.whole(
            {assigned["name"]: parse_short_number(value.strip("[]"))}
        ):
            return f"{assigned['before']}{redactor.hidden(value)}"
    if item in secrets:
        return str(redactor.hidden(item))
    for secret in sorted(secrets, key=len, reverse=True):
        if item.endswith(secret) and _LETTERS.fullmatch(before := item.removesuffix(secret)):
            return f"{before}{redactor.hidden(secret)}"
    return item


def _values(argv: Sequence[str]) -> Iterator[tuple[list[str], bool, str, str]]:
    """Yield the values on a command line.

    Yields:
        The name of the option before the value, and the secret names that it can stand for; whether
        the option has one dash; the value; the value without a name at its start.
    """
    names: list[str] = []
    dashed = False
    for item in argv[1:]:
        option = _OPTION.fullmatch(item)
        if joined := _JOINED.fullmatch(item):
            yield [item[1]], True, joined["value"], _NAMED.sub("", joined["value"])
            names, dashed = [], False
        elif option:
            names, dashed = _completed(option["name"]), option["dashes"] == "-"
            if (value := option["value"]) is not None:
                yield names, dashed, value, value
                names, dashed = [], False
        elif item == "--":
            names, dashed = [], False
        else:
            yield names, dashed, item, item
            dashed = False  # the second value behind -v is of no option


def _completed(name: str) -> list[str]:
    """Return a name, and the secret names that it can be an abbreviation of."""
    last = re.split(r"[-_.]", name)[-1]
    head = name.removesuffix(last)
    return [name, *(head + word for word in _NAMES if last and word.startswith(last.lower()))]


def is_word(text: str) -> bool:
    """Return whether a value is a common word: ``true``, ``off``, ``none``."""
    return _WORD.fullmatch(text) is not None


def _is_harmless(value: str) -> bool:
    if not value or _NUMBER.fullmatch(value) or is_word(value):
        return True
    return os.path.exists(value)  # noqa: PTH110 - False for a name that is too long, too
