"""The forms in which a text has a name and the secret after it, as patterns.

No pattern may take quadratic time, whatever the text is: a repetition is possessive, or bounded, or
ends at a place from which no other begins.
"""

from __future__ import annotations

import functools
import re

import msgspec

_DOUBLE = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SINGLE = r"'[^'\\]*+(?:\\.[^'\\]*+)*+'"
_QUOTED = (
    r"(?P<open>\\++[\"']|\"\"\"|''')(?P<inner>.*?)(?<!\\)(?P=open)"
    rf"|(?P<plain>{_DOUBLE}|{_SINGLE})"
)
_ASSIGNED = r"[\w.*-]{1,99}\\{0,9}[\"']?\s{0,9}(?:=|:(?=[\s\"'{\[]))"
_WORD = (
    r"(?:(?:bearer|basic|token|digest)[ \t]++(?=\w))?"
    rf"(?:[bruf]{{1,2}}(?:{_DOUBLE}|{_SINGLE})"
    r"|(?:\$\{[^{}\n]*+\}|\([^()\n]*+\)|\[[^\[\]\n]*+\]|\\(?![\"'])"
    rf"|[,;&](?=[^\s\"'\])}},;&])(?!{_ASSIGNED})"
    r"|[\"'](?=[^\s\"',;&)}\]:])|[^\s\"',;&)}\]\\])*+)"
)


class Forms(msgspec.Struct, frozen=True):
    """See :mod:`tracelet.redaction.texts`, which says how they are used.

    Attributes:
        name: a name.
        tail: the beginning of a name, read from right to left.
        site: a name, and what joins it to a value, if anything does.
        pair: what is before a name that is the first of two items in a list of such.
        closes: the end of that list of two.
        opens: what is before a name in a line that is the heading of a section.
        next_heading: the beginning of the next section.
        setting: a line of a section: what is before the value, the name, the value.
        first: what is before the first name of a line.
        owner: the name of a mapping, or the word, before a name; read from right to left.
        begins: a line that begins with a name, or is the heading of a section.
        below: nothing more in the line of a name: its value is in the lines below.
        line: a line: its indentation, the dash of an item of a list, what is in it.
        content: what is in a line, without its indentation.
        default: what joins the default of an argument to its type.
        special: a token of a text, such as ``[MASK]``.
        quoted: a value in quotes.
        glued: more of a value, behind its quotes.
        argument: a value on a command line.
        stop: what ends a value, but for the end of its line.
        word: a value within a line.
        flows: what is before a value in a mapping of YAML that has braces.
        flow: such a value.
        leaf: a name, or a value, in a list or a mapping.
        block: a name, or a value, in a block.
        bracket: a bracket, or a text in quotes.
    """

    name: re.Pattern[str]
    tail: re.Pattern[str]
    site: re.Pattern[str]
    pair: re.Pattern[str]
    closes: re.Pattern[str]
    opens: re.Pattern[str]
    next_heading: re.Pattern[str]
    setting: re.Pattern[str]
    first: re.Pattern[str]
    owner: re.Pattern[str]
    begins: re.Pattern[str]
    below: re.Pattern[str]
    line: re.Pattern[str]
    content: re.Pattern[str]
    default: re.Pattern[str]
    special: re.Pattern[str]
    quoted: re.Pattern[str]
    glued: re.Pattern[str]
    argument: re.Pattern[str]
    stop: re.Pattern[str]
    word: re.Pattern[str]
    flows: re.Pattern[str]
    flow: re.Pattern[str]
    leaf: re.Pattern[str]
    block: re.Pattern[str]
    bracket: re.Pattern[str]


@functools.cache
def forms() -> Forms:
    """Return the patterns, made when they are first asked for."""
    return Forms(
        name=re.compile(r"[\w.-]++"),
        tail=re.compile(r"[\w.-]*"),
        site=re.compile(
            r"(?P<key>[\w.-]++)(?P<joint>(?P<quote>\\*+[\"'])?"
            r"(?:\]?[ \t]*+(?P<sign>=>|:=|={1,3}|:(?!:|//))[ \t]*+"
            r"|(?:,\s*+|\s++)\\*+[\"']?value\\*+[\"']?[ \t]*+[:=][ \t]*+"
            r"|(?P<next>(?:,\s*+|\s++)(?!\\*+[\"']?--))"
            r"|(?P<heading>\]++[ \t]*+$)))?",
            re.IGNORECASE | re.MULTILINE,
        ),
        pair=re.compile(r"[\[(,]\s*[\[(]\s*\\*[\"']$"),
        closes=re.compile(r"\s*+[\])]"),
        opens=re.compile(r"\s*\[+[\"']?"),
        next_heading=re.compile(r"^[ \t]*+\[", re.MULTILINE),
        setting=re.compile(
            r"^([ \t]*+[\"']?([\w.-]++)[\"']?[ \t]*+[:=][ \t]*+)(\S[^\n]*+)", re.MULTILINE
        ),
        first=re.compile(
            r"[\ufeff\s>#+*;-]*(?:(?:export|setx?|setenv|env|arg)[ \t]+)?\\*[\"']?", re.IGNORECASE
        ),
        owner=re.compile(r"\\*[\"']?(?: (\w+)|[^{}]*+\{\s*[=:]\s*[\"'\\]*([\w.-]+))"),
        begins=re.compile(r"[\s\"'\[-]*([\w.-]+)[\"']?\s*[:=\]]"),
        below=re.compile(r"(?P<scalar>[|>][-+\d]{0,2}[ \t]*+)?(?:#[^\n]*+)?\r?(?:\n|\Z)"),
        line=re.compile(r"([ \t]*+)(?=(-\s)?)([^\s][^\n]*+)?[\r]?(?:\n|\Z)"),
        content=re.compile(r"\S[^\r\n]*+"),
        default=re.compile(r"[ \t]*+=(?!=)[ \t]*+(?=\S)"),
        special=re.compile(r"\[[A-Z][A-Z0-9_]{0,15}\]"),
        quoted=re.compile(_QUOTED, re.DOTALL),
        glued=re.compile(
            rf"(?:(?:\s*\n[ \t]++)?(?:{_DOUBLE}|{_SINGLE})(?!\s*+[:=])|[^\s,;&)}}\]:\"'<>|\\])*+"
        ),
        argument=re.compile(r"[^\s\"']*+"),
        stop=re.compile(rf"[\s,;&|]\s{{0,9}}[\"']?{_ASSIGNED}|\s(?:#|--\w)"),
        word=re.compile(_WORD, re.IGNORECASE),
        flows=re.compile(r"\{[^{}]*$"),
        flow=re.compile(r"(?:\$\{[^{}\n]*+\}|[^,}\]\n])*+"),
        leaf=_leaf(),
        # Between brackets a comma ends a value, elsewhere the line; names can have spaces.
        block=_leaf(
            r"[^\s\"',:#{}\[\]-][^\n\"',:#{}\[\]]*+:(?=\s|\Z)|",
            r"(?<![,{\[(])(?<![,{\[(] )(?!-\s)[^\s\"',;#{}\[\]()]\S*+(?:[ \t]++[^\s#]\S*+)*+|",
        ),
        bracket=re.compile(
            r"(?<!\w)(?:\"(?:[^\"\\\n]++|\\.)*+\"|'(?:[^'\\\n]++|\\.)*+')|[\[\]{}()]"
        ),
    )


def _leaf(name: str = "", value: str = "") -> re.Pattern[str]:
    return re.compile(
        r"(?P<shown>\[redacted\]|(?<!\S)#[^\n]*+)"
        rf"|(?P<name>{name}\\*+\"[^\"\\\n]*+\\*+\"\s*+:|'[^'\\\n]*+'\s*+:"
        r"|[\w.-]++[ \t]*+(?::(?=[\s\"'\[{(]|\Z)|=(?=[ \t\"'])))"
        rf"|{_QUOTED}|(?P<bare>{value}[^\s\"',;{{}}\[\]()][^\s,;{{}}\[\]()]*+)",
        re.DOTALL,
    )
