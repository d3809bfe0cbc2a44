"""Finds secrets within a ``str``: by the name before them, by their place, and by their shape.

By name: ``NAME=VALUE``, ``"NAME": "VALUE"``, ``--NAME VALUE`` and the like, on one line. What a
name has in the lines below it is not looked for. What a secret is, :mod:`tracelet.redaction.rules`
says.

No pattern may take quadratic time, whatever the ``str`` is: a repetition is possessive, or bounded,
or ends at a place from which no other begins.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tracelet.redaction.rules import (
    EVERYTHING,
    LONG_RUN,
    MARKS,
    PLACES,
    SEPARATOR,
    TOKEN,
    is_folder,
)
from tracelet.wire import REDACTED

_SHORTEST_TOKEN = 20

_PLACE_MARKS = tuple(dict.fromkeys(mark for mark, _ in PLACES))

Hide = Callable[[re.Match[str]], str]
"""Returns what stands for a secret, with the groups ``before`` and ``after`` of the match kept."""
Levels = Callable[[str], int]
"""Returns what is secret under a key; 0: nothing."""
HideValue = Callable[[str, int], str]
"""Hides the value of a key of that level, or returns it as it is, if it says nothing."""


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first used: start-up time."""
    return re.compile(pattern)


# -- by shape and place ------------------------------------------------------------------------


def is_suspect(text: str) -> bool:
    """Tell, quickly, a ``str`` that can hold a secret; most cannot."""
    if len(text) < _SHORTEST_TOKEN and text.isalnum():
        return False
    small = text.lower()
    return _has(small, MARKS) or _has(small, _PLACE_MARKS) or _has_long_run(text)


is_suspect_key = functools.lru_cache(maxsize=4096)(is_suspect)
"""The same of a key, which are few and come often."""


def hide_places(text: str, hide: Hide) -> str:
    """Hide what is a secret by what is around it: a password in an address, behind ``curl -u``."""
    small = text.lower()
    for mark, pattern in PLACES:
        if mark in small:
            text = _compiled(pattern).sub(hide, text)
    return text


def hide_in_command(items: Sequence[str], hide: Hide) -> Sequence[str]:
    """Hide what is a secret by the command that it is given to, one item or several before it."""
    redacted = hide_places(SEPARATOR.join(items), hide).split(SEPARATOR)
    return redacted if len(redacted) == len(items) else items


def hide_tokens(text: str, hide: Hide) -> str:
    """Hide tokens of well-known services."""
    return _compiled(TOKEN).sub(hide, text) if _has_long_run(text) else text


def _has_long_run(text: str) -> bool:
    return len(text) >= _SHORTEST_TOKEN and _compiled(LONG_RUN).search(text) is not None


def _has(small: str, marks: tuple[str, ...]) -> bool:
    for mark in marks:  # noqa: SIM110 - faster than any() and far faster than a pattern
        if mark in small:
            return True
    return False


# -- by name -----------------------------------------------------------------------------------

_LONGEST_NAME = 200
_OWNED = 400
"""How far behind a brace the name before it counts."""
_FREE_HEADERS = ("authorization", "cookie")

_STRING = r"\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|'[^'\\]*+(?:\\.[^'\\]*+)*+'"
_ASSIGNED = r"[\w.*-]{1,99}\\{0,9}[\"']?\s{0,9}(?:=|:(?=[\s\"'{\[]))"
_IN_QUOTES = (
    r"(?P<open>\\++[\"']|\"\"\"|''')(?P<inner>.*?)(?<!\\)(?P=open)"
    rf"|(?P<plain>{_STRING})(?P<glued>(?:{_STRING}|[^\s,;&)}}\]:\"'<>|\\])*+)"
)

# A name, and what joins it to a value.
_SITE = (
    r"(?i)(?<![\w.-])(?P<key>[\w.-]++)(?P<quote>\\*+[\"'])?"
    r"(?:\]?[ \t]*+(?P<sign>=>|:=|={1,3}|:(?!:|//))"
    r"(?:[ \t]*+\w[\w.\[\]|, ]{0,60} =(?=[ \t]*[\"']))?[ \t]*+"  # its type
    r"|(?:,\s*+|\s++)\\*+[\"']?value\\*+[\"']?[ \t]*+[:=][ \t]*+"  # name: KEY, value: …
    r"|(?P<next>,\s*+|\s++)(?!\\*+[\"']?--))"
)
# What is before a name that is the first of its line.
_FIRST = r"(?i)[\ufeff\s>#+*;-]*(?:(?:export|setx?|setenv|env|arg)[ \t]+)?\\*[\"']?"
# The forms of a value: in quotes, a list (but not a token of a text, such as [MASK]) and its
# items, without quotes, the same between braces (it may have spaces), and behind a flag.
_QUOTED = rf"(?s){_IN_QUOTES}"
_LISTED = (
    r"(?!\[[A-Z][A-Z0-9_]{0,15}\])"
    rf"[\[(](?:(?<![\w\\])(?:{_STRING})|\[redacted\]|[^\[\](){{}}])*+[\])]"
)
_ITEM = rf"(?s)\[redacted\]|{_IN_QUOTES}|[^\s,;\[\]()\"'\\][^,;\[\]()\n]*+"
_BARE = (
    r"(?i)(?:(?:bearer|basic|token|digest)[ \t]++(?=\w))?"
    rf"(?:[bruf]{{1,2}}(?:{_STRING})"
    r"|(?:\$\{[^{}\n]*+\}|\([^()\n]*+\)|\[[^\[\]\n]*+\]|\\(?![\"'])"
    rf"|[,;&](?=[^\s\"'\])}},;&])(?!{_ASSIGNED})"
    r"|[\"'](?=[^\s\"',;&)}\]:])|[^\s\"',;&)}\]\\])*+)"
)
_BRACED = r"\{([^{}\n:=\"']++)\}"
"""A value between braces, which is no mapping."""
_FLOW = r"(?:\$\{[^{}\n]*+\}|[^,}\]\n])*+"
_ARGUMENT = r"[^\s\"']*+"
# What ends a value without quotes that would else take the rest of its line.
_STOP = rf"[\s,;&|]\s{{0,9}}[\"']?{_ASSIGNED}|\s(?:#|--\w)"


class _Owner(NamedTuple):
    """The name before a brace that is not closed yet, what is secret under it, and where it is."""

    name: str
    level: int
    at: int


class NamedSecrets:
    """A ``str`` and the names in it; :meth:`hidden` returns it without what stands behind them."""

    def __init__(self, text: str, levels: Levels, hide: HideValue) -> None:
        self._text = text
        self._levels = levels
        self._hide = hide
        self._parts: list[str] = []
        self._done = 0
        self._owners: list[_Owner] = []
        self._line_end = -1

    def hidden(self) -> str:
        at = 0
        while site := _compiled(_SITE).search(self._text, at):
            if "{" in (gap := self._text[at : site.start()]) or "}" in gap:
                self._pass_braces(gap, site.start())
            at = site.end("key")
            key, level = self._key(site)
            braces = _compiled(_BRACED).match(self._text, site.end()) if level else None
            if braces is not None:  # as in ODBC
                at = self._put(braces.start(1), braces.end(1), self._hide(braces[1], level))
            elif self._text.startswith("{", site.end()):
                at = site.end() + 1
                self._owners.append(_Owner(site["key"].lstrip("-"), level, at))
            elif level:
                at = max(at, self._hide_after(site, key, level))
        return "".join([*self._parts, self._text[self._done :]])

    def _pass_braces(self, gap: str, at: int) -> None:
        for brace in re.findall(r"[{}]", gap):
            if brace == "{":
                self._owners.append(_Owner("", 0, at))
            elif self._owners:
                self._owners.pop()

    def _key(self, site: re.Match[str]) -> tuple[str, int]:
        """Return the key that a name stands for, with what is above it, and what is secret."""
        key, start = site["key"][-_LONGEST_NAME:], site.start("key")
        if site["next"] is not None and not key.startswith("--"):
            return key, 0
        if site["sign"] == ":":
            # A dot is part of a name before "=" only: the host of "auth.example.com:443" is none.
            key = key.rpartition(".")[2]
        key = key.lstrip("-")
        owners = [one for one in self._owners[-2:] if start - one.at < _OWNED]
        if any(one.level == EVERYTHING for one in owners):
            return key, EVERYTHING
        above = [one.name for one in owners if one.name]
        if key.lower() in ("key", "keys", "tokens"):
            before = self._text[max(0, start - _LONGEST_NAME) : start][::-1]
            above += [word[0].strip()[::-1] for word in [re.match(r" \w+", before)] if word]
        key = ".".join([*above, key])
        return key, self._levels(key)

    def _hide_after(self, site: re.Match[str], key: str, level: int) -> int:
        """Hide the value after a name; return where it ends."""
        text, at = self._text, site.end()
        opened = self._opened(site)
        if level < EVERYTHING and is_folder(key, text[at : at + 1]):
            return at
        if text.startswith(REDACTED, at) or (opened and text.startswith(opened, at)):
            return at
        if listed := _compiled(_LISTED).match(text, at):
            return self._put(at, listed.end(), self._items(listed[0], level))
        if quoted := _compiled(_QUOTED).match(text, at):
            return self._put(at, quoted.end(), self._unquoted(quoted, level))
        value = text[at : self._bare_end(site, at, opened)].rstrip("\\ \t\r,;")
        if not value.strip("|>-+"):  # it is in the lines below
            return at
        quote = (site["quote"] or "") if site["sign"] == ":" else ""
        redacted = self._hide(value, level)
        return self._put(
            at, at + len(value), value if redacted == value else f"{quote}{redacted}{quote}"
        )

    def _opened(self, site: re.Match[str]) -> str:
        """Return the quote of a string that begins with a name, not that of the name itself."""
        before = self._text[max(0, site.start("key") - 1) : site.start("key")]
        return before if before in ("'", '"') and not site["quote"] else ""

    def _bare_end(self, site: re.Match[str], at: int, opened: str) -> int:
        """Return where a value without quotes ends."""
        text, key = self._text, site["key"].lower()
        pattern = _ARGUMENT
        if not key.startswith("--"):
            end = self._end_of_line(at)
            close = text.find(opened, at, end) if opened else -1
            if close >= 0 or self._is_first(site):
                end = end if close < 0 else close
                if site["sign"] == ":" and any(header in key for header in _FREE_HEADERS):
                    return end
                stop = _compiled(_STOP).search(text, at, end)
                return stop.start() if stop else end
            is_inside = bool(self._owners) and at - self._owners[-1].at < _OWNED
            pattern = _FLOW if is_inside and site["sign"] in (":", None) else _BARE
        found = _compiled(pattern).match(text, at)
        return found.end() if found else at

    def _is_first(self, site: re.Match[str]) -> bool:
        """Tell whether a name, or the word ``value`` behind it, is the first thing of its line."""
        if site["sign"] is None:
            return "\n" in site[0]
        start = site.start("key")
        begin = self._text.rfind("\n", max(0, start - _LONGEST_NAME), start) + 1
        if site["quote"] or not (begin or start < _LONGEST_NAME):
            return False
        return _compiled(_FIRST).fullmatch(self._text, begin, start) is not None

    def _end_of_line(self, at: int) -> int:
        if at > self._line_end:
            end = self._text.find("\n", at)
            self._line_end = len(self._text) if end < 0 else end
        return self._line_end

    def _items(self, listed: str, level: int) -> str:
        """Return a list without its items."""

        def item(match: re.Match[str]) -> str:
            if match["plain"] or match["open"]:
                return self._unquoted(match, level)
            found = match[0].rstrip("\\ ")
            if found == REDACTED:
                return match[0]
            return self._hide(found, level) + match[0][len(found) :]

        return _compiled(_ITEM).sub(item, listed)

    def _unquoted(self, quoted: re.Match[str], level: int) -> str:
        """Return a value in quotes without what is in them."""
        plain = quoted["plain"]
        quote, inner = (plain[0], plain[1:-1]) if plain else (quoted["open"], quoted["inner"])
        redacted = self._hide(inner, level)
        return quoted[0] if redacted == inner else f"{quote}{redacted}{quote}"

    def _put(self, start: int, end: int, redacted: str) -> int:
        self._parts += [self._text[self._done : start], redacted]
        self._done = end
        return end
