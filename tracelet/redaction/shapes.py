"""What is a secret by its shape, under any name: private keys, passwords of addresses, tokens.

Every repetition before a literal is bounded, or begins where a word does: a text of a megabyte,
such as a diff, must not take quadratic time.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final

NAMES: Final = (
    *("pass", "pwd", "pin", "secret", "token", "key", "auth", "cred", "bearer", "jwt", "cookie"),
)
"""One of these, in small letters, is in every name of a secret."""

_MARKS = (
    *("akia", "asia", "gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat", "glpat-", "sk-"),
    *("k_live", "k_test", "hf_", "xox", "eyj", "aiza", "ya29", "npm_", "pypi-"),
    *("gsk_", "r8_", "lsv2_", "nvapi-", "hooks.slack"),
)
"""One of these, in small letters, is in every token of a well-known service."""

_SHORTEST_TOKEN = 20

_TOKENS = (
    r"A(?:KIA|SIA)[0-9A-Z]{16}",
    r"gh[opsur]_[A-Za-z0-9]{16,}",
    r"github_pat_\w{16,}",
    r"glpat-[\w-]{16,}",
    r"sk-(?:(?:ant|proj|svcacct|or-v1)-[\w-]{16,}|(?:[a-z]{1,9}-)?[A-Za-z0-9]{16}[\w-]*)",
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"hf_[A-Za-z0-9]{16,}",
    r"xox[a-z]-[A-Za-z0-9-]{10,}",
    r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?",
    r"AIza[\w-]{30,}",
    r"ya29\.[\w-]{16,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[\w-]{30,}",
    r"(?:gsk|r8)_[A-Za-z0-9]{30,}",
    r"lsv2_[ps]t_\w{30,}",
    r"nvapi-[\w-]{30,}",
    r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/]{20,}",
)

Hide = Callable[[re.Match[str]], str]
"""What stands for a secret: the match has groups ``before`` and ``after``, which are none."""


def is_suspect(text: str) -> bool:
    """Tell, quickly, a text that can hold a secret; most cannot."""
    if len(text) < _SHORTEST_TOKEN and text.isalnum():
        return False
    small = text.lower()
    return _has(small, NAMES) or _has(small, _MARKS) or ("@" in text and "://" in text)


is_suspect_key = functools.lru_cache(maxsize=4096)(is_suspect)
"""The same of a key, which is asked often."""


def hide_long(text: str, hide: Hide) -> str:
    """Hide what would be torn apart if names were looked for first: private keys, addresses."""
    private_key, user_info, _, _ = _patterns()
    return user_info.sub(hide, private_key.sub(hide, text))


def hide_tokens(text: str, hide: Hide) -> str:
    """Hide tokens, those of well-known services and those that a ``Bearer`` shows."""
    _, _, bearer, token = _patterns()
    small = text.lower()
    if "bearer" in small:
        text = bearer.sub(hide, text)
    return token.sub(hide, text) if _has(small, _MARKS) else text


def _has(small: str, marks: tuple[str, ...]) -> bool:
    for mark in marks:  # noqa: SIM110 - faster than any() and far faster than a pattern
        if mark in small:
            return True
    return False


@functools.cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return (
        re.compile(
            r"(?P<before>)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)(?P<after>)",
            re.DOTALL,
        ),
        re.compile(
            # A port is no password, but a password can have a slash.
            r"(?P<before>://[^\s/:@]*+:)(?!\[redacted\]@)"
            r"(?:[^\s/]+|(?!\d{1,5}[/?#])[^\s@\"'<>]{1,99})(?P<after>@)"
        ),
        re.compile(r"(?P<before>\b[Bb]earer\s+)[\w.~+/=-]{8,}(?P<after>)"),
        re.compile(rf"(?P<before>(?<![A-Za-z0-9]))(?:{'|'.join(_TOKENS)})(?P<after>)"),
    )
