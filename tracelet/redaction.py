"""Secrets, hidden before a value reaches the journal; what is missed here is in every tracker.

- Under a key that names a secret (see :mod:`tracelet.secret_names`) every text is hidden, at
  any depth. Numbers are hidden under passwords only: ``token: 3`` is no secret. Bools, None, the
  empty text and unresolved references (``${oc.env:TOKEN}``) never are.
- In every other text, what is a secret by its shape is hidden, and the rest of the text kept.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tracelet.secret_names import EVERYTHING, NONE, NUMBERS, TEXTS, is_folder, secrecy
from tracelet.wire import REDACTED

_HARMLESS = frozenset({"true", "false", "none", "null", "yes", "no", "on", "off"})
_PLAIN = (str, int, float)
_NUMBERS = frozenset({int, float, bool, type(None)})
_SHORTEST_TOKEN = 20


class Redactor:
    """Hides secrets, and counts them.

    Args:
        extra: more globs of keys to hide whatever their value is, in any case of letters; with
            ``!`` in front: keys that are no secret. A glob is for the whole key or its last name.
        enabled: False hides nothing.

    Attributes:
        count: how many values, or parts of texts, were hidden.
    """

    def __init__(self, extra: Sequence[str] = (), *, enabled: bool = True) -> None:
        self.count = 0
        self._enabled = enabled
        self._shown = _globs(glob[1:] for glob in extra if glob.startswith("!"))
        self._hidden = _globs(glob for glob in extra if not glob.startswith("!"))
        self._secrecy = self._with_globs if extra else secrecy

    @classmethod
    def of(cls, setting: bool | Sequence[str]) -> Redactor:
        """Return what the setting ``redact`` asks for."""
        return cls(() if isinstance(setting, bool) else setting, enabled=setting is not False)

    def params(self, flat: Mapping[str, Any]) -> dict[str, Any]:
        """Return flat parameters without secrets; what was given is left as it is."""
        if not self._enabled:
            return dict(flat)
        return {key: self.value(key, value) for key, value in flat.items()}

    def value(self, key: str, value: Any) -> Any:
        """Return the value of a key without secrets, in lists and mappings at any depth too."""
        if not self._enabled:
            return value
        level = self._secrecy(key)
        if level and isinstance(value, str) and is_folder(key, value):
            return value
        if level < NUMBERS and type(value) in _NUMBERS:  # most parameters are
            return value
        return self._without_secrets(value, level)

    def hidden(self, value: Any) -> Any:
        """Return what stands for a value that is a secret whatever its name: one typed unseen."""
        return self._without_secrets(value, EVERYTHING) if self._enabled else value

    def text(self, text: str) -> str:
        """Return a text without what is a secret by its shape, or by the name before it."""
        if not self._enabled or not _is_suspect(text):
            return text
        patterns = _patterns()
        text = patterns.private_key.sub(self._hide, text)
        text = patterns.user_info.sub(self._hide, text)
        text = self._assigned(patterns.assignment, text)
        text = self._assigned(patterns.flag, text)
        text = patterns.bearer.sub(self._hide, text)
        return patterns.token.sub(self._hide, text)

    def whole(self, values: Mapping[str, Any], unseen: Collection[str] = ()) -> set[str]:
        """Return the values, as texts, of which nothing is shown; in lists too. Counts none.

        Args:
            values: name to value.
            unseen: names whose values are secrets, whatever they are called.
        """
        counted = self.count
        found: set[str] = set()
        for name, value in values.items():
            given = value if isinstance(value, list | tuple) else [value]
            given = [one for one in given if type(one) in _PLAIN]
            shown = [self.hidden(one) if name in unseen else self.value(name, one) for one in given]
            pairs = zip(given, shown, strict=True)
            found |= {str(one) for one, left in pairs if left == REDACTED}
        self.count = counted
        return {text for text in found if text and text.lower() not in _HARMLESS}

    def argv(self, argv: Sequence[str], secrets: Collection[str] = ()) -> list[str]:
        """Return a command line without secrets: ``--password X`` and ``--password=X`` too.

        Args:
            argv: the command line.
            secrets: what is one under any name, or none: in ``-p X``, ``-pX`` and ``--pw=X``.
        """
        if not self._enabled:
            return list(argv)
        argv = [self._without(secrets, item) for item in argv] if secrets else argv
        shown = []
        flag = NONE
        for item in argv:
            if flag and not item.startswith("--"):
                shown.append(self._hidden_text(item, flag, harmless=True))
            else:
                shown.append(self.text(item))
            is_flag = item.startswith("-") and "=" not in item
            flag = self._secrecy(item.lstrip("-")) if is_flag else NONE
        return shown

    # -- inside -------------------------------------------------------------------------------

    def _without(self, secrets: Collection[str], item: str) -> str:
        before, equals, value = item.partition("=")
        if item in secrets:
            return self._hide()
        if equals and value in secrets:
            return f"{before}={self._hide()}"
        if item[:1] == "-" and item[2:] in secrets:
            return f"{item[:2]}{self._hide()}"
        return item

    def _with_globs(self, key: str) -> int:
        """Return what is secret under a key, where the user has said more of keys."""
        names = (key.lower(), re.split(r"[./]", key.lower())[-1])
        if self._shown is not None and any(map(self._shown.match, names)):
            return NONE
        if self._hidden is not None and any(map(self._hidden.match, names)):
            return EVERYTHING
        return secrecy(key)

    def _without_secrets(self, value: Any, level: int) -> Any:
        if isinstance(value, str):
            return self._hidden_text(value, level) if level else self.text(value)
        if isinstance(value, list | tuple):
            return [self._without_secrets(item, level) for item in value]
        if isinstance(value, Mapping):
            return {
                key: self._without_secrets(item, max(level, self._secrecy(str(key))))
                for key, item in value.items()
            }
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if (level >= NUMBERS and numeric) or (level == EVERYTHING and value is not None):
            return self._hide()
        return value

    def _hidden_text(self, text: str, level: int, *, harmless: bool = False) -> str:
        """Hide a text under a secret's name, unless it says nothing.

        Args:
            text: the text.
            level: of the name.
            harmless: whether a number or a word such as ``true`` says nothing: where there are
                only texts.
        """
        if level < EVERYTHING:
            if not text or text == REDACTED or _patterns().reference.fullmatch(text):
                return text
            if level == TEXTS and _patterns().special.fullmatch(text):
                return text
            if harmless and (text.lower() in _HARMLESS or (level == TEXTS and _is_number(text))):
                return text
        return text if text == REDACTED else self._hide()

    def _assigned(self, pattern: re.Pattern[str], text: str) -> str:
        """Hide what follows the name of a secret: ``name=X``, ``"name": "X"``, ``--name X``."""
        parts = []
        done = start = 0
        while match := pattern.search(text, start):
            level = self._secrecy(match["key"].lstrip("-"))
            if not level:
                start = match.end("gap")  # what follows can be another name
                continue
            value = match["value"]
            quote = value[0] if value[0] in "\"'" else ""
            value = value[1:-1] if quote else value
            hidden = self._hidden_text(value, level, harmless=True)
            parts += [text[done : match.start("value")], quote, hidden, quote]
            done = start = match.end("value")
        return "".join([*parts, text[done:]])

    def _hide(self, match: re.Match[str] | None = None) -> str:
        self.count += 1
        if match is None or match.lastgroup is None:
            return REDACTED
        return f"{match['before']}{REDACTED}{match['after']}"


class _Patterns(NamedTuple):
    private_key: re.Pattern[str]
    user_info: re.Pattern[str]
    assignment: re.Pattern[str]
    flag: re.Pattern[str]
    bearer: re.Pattern[str]
    token: re.Pattern[str]
    reference: re.Pattern[str]
    special: re.Pattern[str]


_SHAPES = (
    r"A(?:KIA|SIA)[0-9A-Z]{16}",
    r"gh[opsur]_[A-Za-z0-9]{16,}",
    r"github_pat_\w{16,}",
    r"glpat-[\w-]{16,}",
    r"sk-(?:(?:ant|proj|svcacct|or-v1)-[\w-]{16,}|\w{16,}[\w-]*)",
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"hf_[A-Za-z0-9]{16,}",
    r"xox[a-z]-[A-Za-z0-9-]{10,}",
    r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?",
    r"AIza[\w-]{30,}",
    r"ya29\.[\w-]{16,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[\w-]{30,}",
)


_NAMES = ("pass", "pwd", "secret", "token", "key", "auth", "cred", "bearer", "jwt", "cookie")
_MARKS = (
    *_NAMES,
    *("akia", "asia", "gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat", "glpat-", "sk-"),
    *("k_live", "k_test", "hf_", "xox", "eyj", "aiza", "ya29", "npm_", "pypi-"),
)
"""One of these, in small letters, is in every text that holds a secret, but for an address."""


def _is_suspect(text: str) -> bool:
    """Tell, quickly, a text that can hold a secret; most cannot."""
    if len(text) < _SHORTEST_TOKEN and text.isalnum():
        return False
    small = text.lower()
    for mark in _MARKS:  # faster than any() and far faster than a pattern
        if mark in small:
            return True
    return "@" in text and "://" in text


# Every repetition before a literal is bounded, or begins where a word does: a text of a megabyte,
# such as a diff, must not take quadratic time.
@functools.cache
def _patterns() -> _Patterns:
    name = f"(?:{'|'.join(_NAMES)})"
    value = (
        r"(?![\"']?\[redacted\])"
        r"(?P<value>\"[^\"]*\"|'[^']*'|(?:(?:bearer|basic|token|digest)\s+)?[^\s\"',;&)}\]]+)"
    )
    return _Patterns(
        private_key=re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        user_info=re.compile(
            r"(?P<before>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/:@]*:)"
            r"(?!\[redacted\]@)[^\s/]+(?P<after>@)"
        ),
        assignment=re.compile(
            # A dot is part of a name before "=" only: the host in "auth.example.com:443" is none.
            rf"(?P<key>(?<![\w.-])[\w.-]{{0,99}}?{name}[\w.-]{{0,99}}(?=[\"']?\s{{0,9}}=)"
            rf"|(?<![\w-])[\w-]{{0,99}}?{name}[\w-]{{0,99}}(?=[\"']?\s{{0,9}}:(?!//)))"
            rf"(?P<gap>[\"']?\s*[=:]\s*){value}",
            re.IGNORECASE,
        ),
        flag=re.compile(
            rf"(?P<key>(?<!-)--[\w.-]{{0,99}}?{name}[\w.-]{{0,99}})(?P<gap>\s+)(?!--){value}",
            re.IGNORECASE,
        ),
        bearer=re.compile(r"(?P<before>\b[Bb]earer\s+)[\w.~+/=-]{8,}(?P<after>)"),
        token=re.compile(rf"(?P<before>(?<![A-Za-z0-9]))(?:{'|'.join(_SHAPES)})(?P<after>)"),
        reference=re.compile(r"\$\{(?:(?:oc\.)?env:)?[\w.]+\}"),
        special=re.compile(r"<[^<>]*>|\[[^\[\]]*\]"),
    )


def _globs(globs: Iterable[str]) -> re.Pattern[str] | None:
    lowered = [glob.lower() for glob in globs]
    if not lowered:
        return None
    from fnmatch import translate

    return re.compile("|".join(map(translate, lowered)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
