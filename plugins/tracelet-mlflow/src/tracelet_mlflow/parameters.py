"""What becomes of parameters in MLflow, which refuses to change one, and keeps them as text.

A parameter keeps its first text. The tag ``param.<key>`` has the text of one that was changed, and
the artifact ``parameters.json`` the typed values of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tracelet.records import ParamValue
from tracelet_mlflow.names import name_tag, stored_name

PARAM_LENGTH = 6000
TAG_LENGTH = 8000
MANIFEST = "parameters.json"
TAG = "param."
NAME_TAG = "tracelet.param."
REMOVED = "(removed)"


class Change(NamedTuple):
    """What a call means for MLflow: parameters, tags, and why a key cannot be kept as given."""

    params: dict[str, str]
    tags: dict[str, str]
    adjusted: dict[str, str]


class Parameters:
    """The parameters of one run.

    Args:
        params: the parameters that the run has in MLflow.
        tags: the tags that it has.
    """

    def __init__(self, params: Mapping[str, str], tags: Iterable[str]) -> None:
        self._first = dict(params)
        self._tagged = {tag for tag in tags if tag.startswith(TAG)}

    def change(self, given: Mapping[str, ParamValue]) -> Change:
        """Decide what to send; nothing is remembered until :meth:`done`."""
        change = Change({}, {}, {})
        for key, value in given.items():
            stored, tag = stored_name(key), stored_name(TAG + key)
            text, reason = shorten(value, PARAM_LENGTH, MANIFEST)
            if stored not in self._first:
                change.params[stored] = text
                if stored != key:
                    change.tags.update(name_tag(NAME_TAG, stored, {"param": key[:2000]}))
            elif text != self._first[stored] or tag in self._tagged:
                change.tags[tag], reason = shorten(value, TAG_LENGTH, MANIFEST)
            if reason is not None:
                change.adjusted[key] = reason
        return change

    def removal(self, keys: Iterable[str]) -> Change:
        """Decide what to send of parameters that ceased to exist."""
        return Change({}, {stored_name(TAG + key): REMOVED for key in keys}, {})

    def done(self, change: Change) -> None:
        """Remember what MLflow has now."""
        self._first.update(change.params)
        self._tagged.update(tag for tag in change.tags if tag.startswith(TAG))


def shorten(value: Any, limit: int, full_text: str) -> tuple[str, str | None]:
    """Return the text of a value, and the reason if that is not all of it.

    Args:
        value: a parameter's, tag's or property's value.
        limit: the most characters that MLflow keeps.
        full_text: where the rest is, for the mark at the end of what is cut.
    """
    text = value if isinstance(value, str) else str(value)
    reason = None
    if "\0" in text:
        text, reason = text.replace("\0", "\N{SYMBOL FOR NULL}"), "databases refuse the character 0"
    if len(text) > limit:
        mark = f" [cut: {len(text):,} characters, all of them in {full_text}]"
        text, reason = text[: limit - len(mark)] + mark, f"longer than {limit} characters"
    return text, reason
