"""Converts a backend's exception to a ``str`` without secrets. No other module does.

SDKs put URLs with passwords, headers and the values of their options into messages. These messages
are stored in the cursors, in ``rejected/``, in ``courier.log`` and in the report.
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
"""Shorter values are not hidden everywhere: many words contain them."""

_secrets: set[str] = set()


def remember_secrets(options: Mapping[str, Any]) -> None:
    """Hide the secrets among a backend's options in all later output of this process."""
    _secrets.update(Redactor().whole(options))


def redacted(text: str) -> str:
    """Return ``text`` without secrets: these have a secret's form or name, or are known values.

    Known values are the secrets of the options, and environment variables with a secret's name,
    where SDKs find their credentials.
    """
    redactor = Redactor()
    # Another thread may change the environment meanwhile.
    environment = {name: os.environ.get(name, "") for name in list(os.environ)}
    for secret in sorted(_secrets | redactor.whole(environment), key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    return clean_text(redactor.text(text))


def one_line(error: BaseException) -> str:
    """Return an error's type and the first 500 characters of its message, on one line of UTF-8."""
    try:
        message = " ".join(str(error)[:_LONGEST_MESSAGE].split())
    except Exception as reason:  # noqa: BLE001 - __str__ is foreign code
        message = f"(its message cannot be shown: {type(reason).__name__})"
    return redacted(f"{type(error).__name__}: {message}")[:_LONGEST_LINE]


def full_text(error: BaseException) -> str:
    """Return an error in one line, and below it the traceback with its causes."""
    return f"{one_line(error)}\n{redacted(''.join(traceback.format_exception(error)).rstrip())}"


class _RedactedStream:
    """Writes to another stream, without secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redacted(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_output() -> None:
    """Hide secrets in all that Python code of this process logs and prints from now on."""
    sys.stdout, sys.stderr = _RedactedStream(sys.stdout), _RedactedStream(sys.stderr)
