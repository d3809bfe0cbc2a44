"""Small JSON files that show their own damage: the last field is a checksum of all before it.

A file without the field is one of an older version; it is read without the check.
"""

from __future__ import annotations

import re
import zlib
from typing import TypeVar

import msgspec

_T = TypeVar("_T")
_CHECK = re.compile(rb',\s*"check":\s*"([0-9a-f]{8})"\s*\}\s*\Z')
_LONGEST_CHECK = 80
"""Bytes; the field and the whitespace around it are shorter."""


def with_check(content: bytes) -> bytes:
    """Return a JSON object, which has a field, with the checksum as one more field at its end."""
    body = content.rstrip().removesuffix(b"}").rstrip()
    lines = b"\n" in body
    field = b'"check": "%08x"\n}\n' if lines else b'"check":"%08x"}'
    return body + (b",\n  " if lines else b",") + field % zlib.crc32(body)


def decode_checked(content: bytes, kind: type[_T]) -> _T:
    """Decode a JSON object.

    Raises:
        ValueError: it was damaged: its checksum is wrong, or it is no such object.
    """
    end = content[-_LONGEST_CHECK:]
    if (found := _CHECK.search(end)) is not None:
        body = content[: len(content) - len(end) + found.start()]
        if zlib.crc32(body) != int(found[1], 16):
            raise ValueError("it was changed: its checksum is that of another content")
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
