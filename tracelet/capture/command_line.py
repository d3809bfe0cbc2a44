"""The command line without secrets. Only a parser knows that ``-p`` is a password.

A short number is taken for one, and is no key; one with six digits, or a zero in front, can be.
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
"""An option of one letter and its value; letters alone are options, as ``-xvf``."""
_NAMED = re.compile(r"\A[A-Za-z_]*=")
"""What is no value in ``-lr=0.1``, if that is no option of one letter."""
_LETTERS = re.compile(r"[-+/][A-Za-z]+")
_NUMBER = re.compile(r"(?![-+]?(?:0\d|\d{6}))[-+]?[\d.][\d._eE+-]*")
_SHORT = re.compile(r"0|[1-9]\d{0,4}")
_WORD = re.compile(r"true|false|yes|no|on|off|none|null", re.IGNORECASE)
SECTION = "Args"
_NAMES = (
    *("password", "passphrase", "passwd", "secret", "token", "key", "credentials", "auth"),
    *("api_key", "apikey", "access_key", "access_token", "private_key"),
)
"""How a name can go on that was cut short, as parsers allow: ``--api-k``, ``--hf-tok``."""


def command_line() -> list[str]:
    """Return the command line; a Python that is embedded in another program may have none."""
    return [str(argument) for argument in getattr(sys, "argv", None) or ()]


def guess_secret_values(
    argv: Sequence[str],
    redactor: Redactor,
    chosen: bool | Mapping[str, bool] = True,
    plain: Collection[str] = (),
) -> set[str]:
    """Return what may be a secret, as long as no parser has said what it is.

    Secrets can be behind an option with one dash, in ``-p X`` and ``-pX``, or behind one whose
    name is a secret's or can be short for it. Short numbers, words such as ``true`` and the paths
    of what there is are none.

    Args:
        argv: the command line.
        redactor: knows which names are secret.
        chosen: which arguments are recorded, as the setting ``capture_arguments`` says.
        plain: what parsers have said can be shown.
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


def as_typed(text: str) -> str | int:
    """Return what was typed for an argument; a short number as one."""
    return int(text) if _SHORT.fullmatch(text) else text


def redacted(argv: Sequence[str], redactor: Redactor, secrets: Collection[str] = ()) -> list[str]:
    """Return a command line without secrets: ``--password X`` and ``--password=X`` too.

    Args:
        argv: the command line.
        redactor: hides them.
        secrets: what is one under any name, or none: in ``-p X``, ``-pX``, ``-vpX``, ``--pw=X``.
    """
    return redactor.argv([_without(secrets, item, redactor) for item in argv])


def _without(secrets: Collection[str], item: str, redactor: Redactor) -> str:
    if assigned := _ASSIGNED.fullmatch(item):
        value = assigned["value"]
        if value in secrets or redactor.whole({assigned["name"]: as_typed(value.strip("[]"))}):
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
        The names of the option before it, and of secrets that these can be short for; whether that
        option has one dash; the value; the value without a name that it may begin with.
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
            dashed = False  # the second value behind -v can be anything


def _completed(name: str) -> list[str]:
    """Return a name, and those of secrets that it can be short for."""
    last = re.split(r"[-_.]", name)[-1]
    head = name.removesuffix(last)
    return [name, *(head + word for word in _NAMES if last and word.startswith(last.lower()))]


def is_word(text: str) -> bool:
    """Tell a value that says nothing: ``true``, ``off``, ``none``."""
    return _WORD.fullmatch(text) is not None


def _is_harmless(value: str) -> bool:
    if not value or _NUMBER.fullmatch(value) or is_word(value):
        return True
    return os.path.exists(value)  # noqa: PTH110 - False for what is too long for one, too
