"""Secrets in a text, told by the names before them, in the forms that people and programs write.

``name=X``, ``"name": "X"``, ``--name X``, ``[["name", "X"]]``, ``{"name": "name", "value": "X"}``,
blocks of YAML, sections of INI and TOML files. Promises:

- What was read as a value is not read again, and every look back or ahead is bounded: a text takes
  time in proportion to its length.
- A list, a mapping or a block under the name of a secret keeps its form, without what is in it.
- A value without quotes ends where another can begin; that of a name at the beginning of a line
  ends with the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tracelet.redaction.forms import forms
from tracelet.redaction.names import EVERYTHING, TEXTS, is_folder
from tracelet.wire import REDACTED

Levels = Callable[[str], int]
"""Tells what is secret under a key; 0: nothing."""
Hide = Callable[[str, int], str]
"""Hides a text under a key of that level, or returns it as it is, if it says nothing."""

_LONGEST_NAME = 200
_ABOVE = 400
_LINES_ABOVE = 12
"""How far above a name such as ``key`` is looked for what it is the key of."""
_AROUND_NAMES = "\"'\\ \t\n:="
_SIGNS = frozenset({"-", "=", ":", "|", ">", "|-", ">-"})
_FREE_HEADERS = ("authorization", "cookie")


class NamedSecrets:
    """What follows the names of secrets in a text.

    Args:
        text: the text.
        names: one of these, in small letters, is in every name of a secret; of none: any can be.
        levels: tells which names are those of secrets.
        hide: hides a value.
    """

    def __init__(self, text: str, names: Sequence[str], levels: Levels, hide: Hide) -> None:
        self._text = text
        self._names = names
        self._levels = levels
        self._hide = hide
        self._forms = forms()
        self._shown: list[str] = []
        self._done = 0
        self._line_end = -1
        self._looks = 2 * len(text)  # how many characters may be read for brackets in vain

    def hidden(self) -> str:
        """Return the text without them."""
        at = 0
        for place in self._places():
            if place < at:
                continue
            before = self._text[max(at, place - _LONGEST_NAME) : place]
            site = self._forms.site.match(self._text, place - _end(self._forms.tail, before[::-1]))
            assert site is not None  # there is a name
            at = site.end("key")
            key = self._key(site)
            if key and (level := self._levels(key)):
                at = max(at, self._hide_after(site, key, level))
        return "".join([*self._shown, self._text[self._done :]])

    # -- names --------------------------------------------------------------------------------

    def _places(self) -> list[int]:
        """Return where there is something that is in the names of secrets, in order."""
        if not self._names:
            return [name.start() for name in self._forms.name.finditer(self._text)]
        small = self._text.replace("\u0130", "i").lower()  # the one letter that would become two
        found = []
        for name in self._names:  # faster than a pattern
            at = small.find(name)
            while at >= 0:
                found.append(at)
                at = small.find(name, at + len(name))
        return sorted(found)

    def _key(self, site: re.Match[str]) -> str:
        """Return the key that a name stands for, with what is above it; none if no value can be."""
        key, start = site["key"][-_LONGEST_NAME:], site.start("key")
        if site["joint"] is None:
            return ""
        if site["next"] is not None and not key.startswith("--"):
            before = self._text[max(0, start - 9) : start]
            return key if site["quote"] and self._forms.pair.search(before) else ""
        if site["heading"] is not None:
            return key if self._forms.opens.fullmatch(self._before(start)) else ""
        if site["sign"] == ":":
            # A dot is part of a name before "=" only: the host of "auth.example.com:443" is none.
            key = key.rpartition(".")[2]
        key = key.lstrip("-")
        return f"{self._owner(start)}.{key}" if key.lower() in ("key", "keys", "tokens") else key

    def _before(self, start: int) -> str:
        """Return what is before a place in its line; if that is much, something of no meaning."""
        begin = self._text.rfind("\n", max(0, start - _LONGEST_NAME), start) + 1
        return self._text[begin:start] if begin or start < _LONGEST_NAME else "…"

    def _owner(self, start: int) -> str:
        """Return the name that another one, such as ``key``, is below, or comes after."""
        above = self._text[max(0, start - _ABOVE) : start]
        if inline := self._forms.owner.match(above[::-1]):
            return (inline[1] or inline[2])[::-1]
        *lines, line = above.split("\n")[-_LINES_ABOVE:]
        if line.strip(" \t-\"'"):
            return ""
        indent = len(line) - len(line.lstrip())
        for upper in reversed(lines):
            content = upper.lstrip()
            if content and (len(upper) - len(content) < indent or content[0] == "["):
                name = self._forms.begins.match(content)
                return name[1] if name else ""
        return ""

    def _opened(self, site: re.Match[str]) -> str:
        """Return the quote of a text that begins with a name, not that of the name itself."""
        before = self._text[max(0, site.start("key") - 1) : site.start("key")]
        return before if before in ("'", '"') and not site["quote"] else ""

    # -- values -------------------------------------------------------------------------------

    def _hide_after(self, site: re.Match[str], key: str, level: int) -> int:
        """Hide the value after a name; return where it ends."""
        text, at = self._text, site.end()
        if level < EVERYTHING and is_folder(key, text[at : at + 1]):
            return at
        if site["heading"] is not None:
            return self._hide_section(at, key, level)
        before = self._before(site.start("key"))
        first = self._forms.first.fullmatch(before) is not None
        if site["sign"] is None:
            first = "\n" in site["joint"]  # it is ``value`` that is the first name of its line
        elif first and (below := self._forms.below.match(text, at)):
            column = len(before.rstrip("\"'\\"))
            return self._hide_block(below, column, key, level, site["quote"] or "")
        end = self._hide_one(site, at, key, level, first=first)
        if site["sign"] == ":" and (default := self._forms.default.match(text, end)):
            return self._hide_one(site, default.end(), key, level, first=first)
        return end

    def _hide_one(self, site: re.Match[str], at: int, key: str, level: int, *, first: bool) -> int:
        text, opened, quote = self._text, self._opened(site), site["quote"] or ""
        if opened and text.startswith(opened, at):
            return at
        if text.startswith(REDACTED, at):
            return at + len(REDACTED)
        is_special = level == TEXTS and self._forms.special.match(text, at)
        if text.startswith(("[", "{", "("), at) and not is_special:
            end = self._closed(at)
            return self._put(
                at, end, self._leaves(self._forms.leaf, text[at:end], key, level, quote)
            )
        if quoted := self._forms.quoted.match(text, at):
            end = quoted.end()
            is_pair = site["next"] is not None and not key.startswith("--")
            if is_pair and not self._forms.closes.match(text, end):
                return at
            shown = self._without(quoted, level)
            glued = end if shown == quoted[0] else _end(self._forms.glued, text, end)
            return self._put(at, glued, shown)
        value = text[at : self._bare_end(site, at, first=first)].rstrip("\\ \t\r,;")
        shown = self._hide(value, level)
        return self._put(at, at + len(value), value if shown == value else f"{quote}{shown}{quote}")

    def _bare_end(self, site: re.Match[str], at: int, *, first: bool) -> int:
        """Return where a value without quotes ends."""
        text, key, opened = self._text, site["key"].lower(), self._opened(site)
        if key.startswith("--"):
            return _end(self._forms.argument, text, at)
        end = self._end_of_line(at)
        close = text.find(opened, at, end) if opened else -1
        if close < 0 and (not first or site["quote"]):
            before = text[max(0, at - _LONGEST_NAME) : at]
            is_flow = site["sign"] in (":", None) and self._forms.flows.search(before)
            return _end(self._forms.flow if is_flow else self._forms.word, text, at)
        end = end if close < 0 else close
        if site["sign"] == ":" and any(header in key for header in _FREE_HEADERS):
            return end
        stop = self._forms.stop.search(text, at, end)
        return stop.start() if stop else end

    def _end_of_line(self, at: int) -> int:
        if at > self._line_end:
            end = self._text.find("\n", at)
            self._line_end = len(self._text) if end < 0 else end
        return self._line_end

    def _closed(self, at: int) -> int:
        """Return where a bracket is closed; where it never is, the end of its line."""
        depth = 0
        for token in self._forms.bracket.finditer(self._text, at) if self._looks > 0 else ():
            depth += (token[0] in ("[", "{", "(")) - (token[0] in ("]", "}", ")"))
            if depth == 0:
                return token.end()
        self._looks -= len(self._text) - at
        return self._end_of_line(at)

    def _hide_section(self, at: int, key: str, level: int) -> int:
        """Hide the settings of a section; return where it ends."""
        following = self._forms.next_heading.search(self._text, at)
        end = following.start() if following else len(self._text)
        shown = self._forms.setting.sub(
            lambda line: (
                line[1] + self._leaves(self._forms.block, line[3], f"{key}.{line[2]}", level, "")
            ),
            self._text[at:end],
        )
        others = NamedSecrets(shown, self._names, self._levels, self._hide)
        return self._put(at, end, others.hidden())

    def _hide_block(
        self, below: re.Match[str], column: int, key: str, level: int, quote: str
    ) -> int:
        """Hide the lines below a name, which are deeper than it is; return where they end."""
        text = self._text
        begin = at = end = below.end()
        while at < len(text) and (line := self._forms.line.match(text, at)):
            if line[3] and len(line[1]) <= column and not (line[2] and len(line[1]) == column):
                break
            at = line.end()
            end = at if line[3] else end
        block = text[begin:end]
        if below["scalar"] is None:
            return self._put(begin, end, self._leaves(self._forms.block, block, key, level, quote))
        shown = self._forms.content.sub(lambda line: self._hide(line[0], level), block)
        return self._put(begin, end, shown)

    def _leaves(self, pattern: re.Pattern[str], text: str, key: str, level: int, quote: str) -> str:
        """Return a list, a mapping or a block without its values; names stay."""
        now = level

        def leaf(match: re.Match[str]) -> str:
            nonlocal now
            if match["name"] is not None and level < EVERYTHING:
                now = self._levels(f"{key}.{match['name'].strip(_AROUND_NAMES)}")
            if match["name"] is not None or match["shown"] is not None or not now:
                return match[0]
            if match["bare"] is None:
                return self._without(match, now)
            shown = match[0] if match[0] in _SIGNS else self._hide(match[0], now)
            return shown if shown == match[0] else f"{quote}{shown}{quote}"

        return pattern.sub(leaf, text)

    def _without(self, quoted: re.Match[str], level: int) -> str:
        """Return a value in quotes without what is in them."""
        quote = quoted["open"] or quoted[0][0]
        inner = quoted["inner"] if quoted["plain"] is None else quoted[0][1:-1]
        return f"{quote}{self._hide(inner, level)}{quote}"

    def _put(self, start: int, end: int, shown: str) -> int:
        self._shown += [self._text[self._done : start], shown]
        self._done = end
        return end


def _end(pattern: re.Pattern[str], text: str, at: int = 0) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
