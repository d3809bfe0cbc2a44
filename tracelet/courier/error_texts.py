"""What backends say, without secrets: the one place where their exceptions become texts.

SDKs put addresses with passwords, headers and the values of their own options into messages, and
what they say is kept: in the cursors, in ``rejected/``, in ``courier.log`` and in the report.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from tracelet.redaction import Redactor
from tracelet.wire import REDACTED, clean_text

_LONGEST_LINE = 500
_LONGEST_MESSAGE = 20_000
_SHORTEST_SECRET = 6
"""Of the values known to be secrets; a shorter one is a part of many words."""

_secrets: set[str] = set()


def keep_secret(options: Mapping[str, Any]) -> None:
    """Hide from now on the secrets among a backend's options, wherever this process tells them."""
    _secrets.update(Redactor().whole(options))


def shown(text: str) -> str:
    """Return a text without what is a secret by its shape, its name, or as an option's value.

    Hidden, too, is what the environment has under a secret's name: SDKs find credentials there.
    """
    redactor = Redactor()
    for secret in sorted(_secrets | redactor.whole(os.environ), key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    return clean_text(redactor.text(text))


def one_line(error: BaseException) -> str:
    """Return an error's type and the first 500 characters of its message, on one line of UTF-8."""
    try:
        message = " ".join(str(error)[:_LONGEST_MESSAGE].split())
    except Exception as reason:  # noqa: BLE001 - how it is written is foreign code
        message = f"(what it says cannot be shown: {type(reason).__name__})"
    return shown(f"{type(error).__name__}: {message}")[:_LONGEST_LINE]


def full_text(error: BaseException) -> str:
    """Return an error in one line, and below it its causes and where they were raised."""
    return f"{one_line(error)}\n{shown(''.join(traceback.format_exception(error)).rstrip())}"


class _Shown:
    """A stream of texts that hides secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(shown(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def hide_in_output() -> None:
    """Hide secrets in what Python code of this process logs and prints from now on."""
    sys.stdout, sys.stderr = _Shown(sys.stdout), _Shown(sys.stderr)
