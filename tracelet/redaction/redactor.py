"""Secrets, hidden before a value reaches the journal; what is missed here is in every tracker.

- Under a key that names a secret (see :mod:`tracelet.redaction.rules`) every str is hidden, at
  any depth. Numbers are hidden under passwords only: ``token: 3`` is no secret. Bools, None, the
  empty str and unresolved references (``${oc.env:TOKEN}``) never are.
- In every other str, keys included, what is a secret by its shape or by the name before it (see
  :mod:`tracelet.redaction.texts`) is hidden, and the rest of it kept.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tracelet.redaction.rules import (
    EVERYTHING,
    NONE,
    NUMBERS,
    OF_TEXT,
    TEXTS,
    is_folder,
    is_key_of_user,
    secrecy,
)
from tracelet.redaction.texts import (
    NamedSecrets,
    hide_in_command,
    hide_places,
    hide_tokens,
    is_suspect,
    is_suspect_key,
)
from tracelet.wire import REDACTED

_HARMLESS = frozenset({"true", "false", "none", "null", "yes", "no", "on", "off"})
_PLAIN = (str, int, float)
_NUMBERS = frozenset({int, float, bool, type(None)})
_REFERENCE = re.compile(r"\$\{[\w.:${}]+\}")
_SPECIAL = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
_NAME = re.compile(r"[-+~]*[\w./-]+")
_LONG_NUMBER = 8
"""So many digits in a str are no quantity."""
_BYTE_ORDER_MARKS = (
    *((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")),
    *((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")),
)
_NAMED = {"value": ("name", "key"), "Value": ("Name", "Key")}
"""What has the value's name in ``{"name": "api_key", "value": "x"}``."""


class Redactor:
    """Hides secrets, and counts them.

    Args:
        extra: more globs of keys to hide whatever their value is, in any case of letters; with
            ``!`` in front: keys that are no secret. A glob is for the whole key or its last name.
        enabled: False hides nothing.

    Attributes:
        count: how many values, or parts of strings, were hidden.
    """

    def __init__(self, extra: Sequence[str] = (), *, enabled: bool = True) -> None:
        self.count = 0
        self._enabled = enabled
        self._exempt = _globs(glob[1:] for glob in extra if glob.startswith("!"))
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
        return _all(
            [(self._key(key), self.value(key, value, beside=flat)) for key, value in flat.items()]
        )

    def value(self, key: str, value: Any, *, beside: Container[str] = ()) -> Any:
        """Return the value of a key without secrets, in lists and mappings at any depth too.

        Args:
            key: its flat key.
            value: a plain value.
            beside: the keys of the same parameters.
        """
        if not self._enabled:
            return value
        level = self._secrecy(key)
        if level < NUMBERS and type(value) in _NUMBERS:  # most parameters are
            return value
        if is_key_of_user(key, value, beside):
            level = max(level, TEXTS)
        return self._without_secrets(value, level, key)

    def hidden(self, value: Any) -> Any:
        """Return what stands for a value that is a secret whatever its name: one typed unseen."""
        return self._without_secrets(value, EVERYTHING, "") if self._enabled else value

    def text(self, text: str) -> str:
        """Return a str without what is a secret by its shape, or by the name before it."""
        if not self._enabled or (self._hidden is None and not is_suspect(text)):
            return text
        text = hide_places(text, self._hide)
        text = NamedSecrets(text, self._secrecy, self._hidden_word).hidden()
        return hide_tokens(text, self._hide)

    def content(self, content: bytes) -> bytes:
        """Return a file's content without secrets, otherwise byte for byte; what is no text whole.

        A text is UTF-16 or UTF-32 by its first bytes, or in any encoding that has ASCII's letters.
        """
        encoding, width = _encoding(content)
        if width == 1 and b"\0" in content:
            return content
        end = len(content) // width * width
        errors = "surrogateescape" if width == 1 else "surrogatepass"
        try:
            text = content[:end].decode(encoding, errors)
        except UnicodeDecodeError:
            return content
        redacted = self.text(text)
        return content if redacted == text else redacted.encode(encoding, errors) + content[end:]

    def whole(self, values: Mapping[str, Any], unseen: Collection[str] = ()) -> set[str]:
        """Return, as strings, the values that are hidden whole, in lists too. Counts none.

        Args:
            values: name to value.
            unseen: names whose values are secrets, whatever they are called.
        """
        counted = self.count
        found: set[str] = set()
        for name, value in values.items():
            given = value if isinstance(value, list | tuple) else [value]
            given = [one for one in given if type(one) in _PLAIN]
            redacted = [
                self.hidden(one) if name in unseen else self.value(name, one) for one in given
            ]
            pairs = zip(given, redacted, strict=True)
            found |= {str(one) for one, left in pairs if left == REDACTED}
        self.count = counted
        return {text for text in found if text and text.lower() not in _HARMLESS}

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Return a command line without secrets: ``--password X`` and ``--password=X`` too."""
        if not self._enabled:
            return list(argv)
        redacted = []
        flag = NONE
        for item in hide_in_command(argv, self._hide):
            name, equals, given = item.partition("=")
            if flag and not item.startswith("--"):
                redacted.append(self._hidden_word(item, flag))
            elif equals and (level := self._argument(name, given)):
                redacted.append(f"{name}={self._hidden_word(given, level)}")
            else:
                redacted.append(self.text(item))
            flag = self._secrecy(item.lstrip("-")) if item[:1] == "-" and not equals else NONE
        return redacted

    # -- inside -------------------------------------------------------------------------------

    def _argument(self, name: str, given: str) -> int:
        """Return what is secret in ``name=given``, if that is one argument and not a sentence."""
        is_one = _NAME.fullmatch(name) and (name[0] == "-" or not any(map(str.isspace, given)))
        return self._secrecy(name.lstrip("-+~")) if is_one else NONE

    def _with_globs(self, key: str) -> int:
        """Return what is secret under a key, with the globs of the user."""
        names = (key.lower(), re.split(r"[./]", key.lower())[-1])
        if self._exempt is not None and any(map(self._exempt.match, names)):
            return NONE
        if self._hidden is not None and any(map(self._hidden.match, names)):
            return EVERYTHING
        return secrecy(key)

    def _without_secrets(self, value: Any, level: int, path: str) -> Any:
        if isinstance(value, str):
            is_kept = level == NONE or (level < EVERYTHING and is_folder(path, value))
            return self.text(value) if is_kept else self._hidden_text(value, level)
        if isinstance(value, Mapping):
            return _all([*self._pairs(value.items(), value, level, path)])
        if isinstance(value, list | tuple):
            if level == NONE and value and all(map(_is_pair, value)):
                return [[*pair] for pair in self._pairs(value, {}, level, path)]
            return self._items(value, level, path)
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if (level >= NUMBERS and numeric) or (level == EVERYTHING and value is not None):
            return self._hide()
        return value

    def _pairs(
        self, pairs: Iterable[Any], siblings: Mapping[Any, Any], level: int, path: str
    ) -> Iterator[tuple[Any, Any]]:
        for key, item in pairs:
            names = [siblings[name] for name in _NAMED.get(key, ()) if name in siblings]
            if isinstance(key, str) and is_key_of_user(key, item, siblings):
                yield key, self._hidden_text(item, max(level, TEXTS))
                continue
            yield self._key(key), self._below(item, level, ".".join(map(str, [path, *names, key])))

    def _items(self, items: Sequence[Any], level: int, path: str) -> list[Any]:
        redacted = []
        flag = ""
        if len(items) > 1 and all(isinstance(item, str) for item in items):
            items = hide_in_command(items, self._hide)
        for item in items:
            is_flag = isinstance(item, str) and item.startswith("--")
            if flag and not is_flag:
                redacted.append(self._below(item, level, f"{path}.{flag}"))
            else:
                redacted.append(self._without_secrets(item, level, path))
            flag = item.lstrip("-") if is_flag else ""
        return redacted

    def _below(self, value: Any, level: int, path: str) -> Any:
        own = EVERYTHING if level == EVERYTHING else self._secrecy(path)
        return self._without_secrets(value, own, path)

    def _hidden_text(self, text: str, level: int) -> str:
        """Hide a str under a secret's name, unless it is empty or a reference."""
        if level < EVERYTHING and (not text or _REFERENCE.fullmatch(text)):
            return text
        if level == TEXTS and (_SPECIAL.fullmatch(text) or text in OF_TEXT):
            return text
        is_hidden = REDACTED in text and not text.replace(REDACTED, "").strip()
        return text if is_hidden else self._hide()

    def _hidden_word(self, text: str, level: int) -> str:
        """Hide the value of a name in a str, but no number and no ``true``."""
        harmless = text.lower() in _HARMLESS or (level == TEXTS and _is_quantity(text))
        return text if harmless and level < EVERYTHING else self._hidden_text(text, level)

    def _key(self, key: Any) -> Any:
        if not isinstance(key, str) or not is_suspect_key(key):
            return key
        return hide_tokens(hide_places(key, self._hide), self._hide)

    def _hide(self, match: re.Match[str] | None = None) -> str:
        self.count += 1
        if match is None or match.lastgroup is None:
            return REDACTED
        return f"{match['before']}{REDACTED}{match['after']}"


def _all(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a mapping of all, also of those whose keys only differed in what is hidden."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    found.clear()
    for key, value in pairs:
        name, number = key, 1
        while name in found:
            number += 1
            name = f"{key} {number}"
        found[name] = value
    return found


def _globs(globs: Iterable[str]) -> re.Pattern[str] | None:
    lowered = [glob.lower() for glob in globs]
    if not lowered:
        return None
    from fnmatch import translate

    return re.compile("|".join(map(translate, lowered)))


def _encoding(content: bytes) -> tuple[str, int]:
    """Return how a text is encoded, and how many bytes its units have."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return encoding, 4 if "32" in encoding else 2
    if len(content) > 1 and (content[0] == 0) != (content[1] == 0):
        return ("utf-16-be" if content[0] == 0 else "utf-16-le"), 2
    return "utf-8", 1


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str)


def _is_quantity(text: str) -> bool:
    if text.isdigit() and len(text) >= _LONG_NUMBER:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
