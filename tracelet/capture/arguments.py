"""The arguments a program was given, however many parsers it has; one never overwrites another's.

- Each name belongs to the parser that comes first: the script's before those of its modules, and
  these before a library's; among them, the one that parsed first.
- A name that two parsers have is qualified for the later one: ``tool.lr`` beside ``lr``.
- What a parser says last is what counts.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from tracelet.capture.base import CaptureSource, Recorder, warn_failure
from tracelet.capture.program import current_test
from tracelet.values.equality import same_value

SECTION = "Args"
_CLICKS = ("click.", "typer.")
_ABSENT = object()
_Answer = TypeVar("_Answer")
_DEEP = 100
_ATOMS = frozenset({str, int, float, bool, type(None)})


def _nothing(_: object) -> dict[str, Any]:
    return {}


class Parsed(NamedTuple):
    """What one parser has returned.

    Attributes:
        rank: whose the parser is, as :mod:`tracelet.capture.program` says.
        qualifier: what qualifies its names where they are another's already.
        line: what qualifies them further, for a program that has several command lines.
        values: name to value, as the program sees it.
        describe: gives the texts that explain these names, and maybe others.
        aliases: gives what else these names are called, and maybe others.
        typed: gives what the command line has for each name, where that is known.
        hidden: names whose values nobody may see.
        again: gives the values once more, where the parser had not finished; None: it had.
    """

    rank: int
    qualifier: str
    values: Mapping[str, Any]
    describe: Callable[[Collection[str]], Mapping[str, str]] = _nothing
    aliases: Callable[[Collection[str]], Mapping[str, Collection[str]]] = _nothing
    typed: Callable[[], Mapping[str, Sequence[str]]] = dict
    hidden: frozenset[str] = frozenset()
    again: Callable[[], Mapping[str, Any]] | None = None
    line: str = ""


class Arguments:
    """What all parsers of one library have returned in this process, before and during runs.

    Another thread may parse at any time: what is looked through is copied first.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[int, str, str], dict[Hashable, Parsed]] = {}
        self._test = current_test()
        self._captures: list[ArgumentsCapture] = []

    def add(self, parser: Hashable, parsed: Parsed) -> None:
        """Take what a parser has returned.

        Args:
            parser: the same if the parser is, so that its last result counts.
            parsed: the result. Parsers of one qualifier are stages of one: the later wins.
        """
        self._forget_other_tests()
        group = self._groups.setdefault((parsed.rank, parsed.qualifier, parsed.line), {})
        group.pop(parser, None)  # the latest is the last
        group[parser] = parsed
        for capture in list(self._captures):
            capture.report()

    def forget(self, is_over: Callable[[Parsed], bool]) -> None:
        """Forget what was parsed for a command line that is over."""
        for group in list(self._groups.values()):
            for parser, one in list(group.items()):
                if is_over(one):
                    group.pop(parser, None)

    def attach(self, capture: ArgumentsCapture) -> None:
        """Report to a run, now and whenever something is parsed."""
        self._forget_other_tests()
        self._captures.append(capture)
        self.read_again()
        capture.report()

    def read_again(self) -> None:
        """Take the values that parsers have now, which had not finished."""
        for group in list(self._groups.values()):
            for key, one in list(group.items()):
                if one.again is not None:
                    group[key] = one._replace(values={**one.values, **one.again()})

    def detach(self, capture: ArgumentsCapture) -> None:
        """Report to a run no more."""
        if capture in self._captures:
            self._captures.remove(capture)

    def owners(self) -> dict[str, tuple[Parsed, str]]:
        """Return, for each name to record, whose it is and its name there."""
        owners: dict[str, tuple[Parsed, str]] = {}
        for (_, qualifier, line), group in sorted(self._groups.items(), key=_rank):
            own = {name: (one, name) for one in list(group.values()) for name in one.values}
            if not owners:
                owners = own
                continue
            for name, owner in own.items():
                first, other = owners.get(name, (None, name))
                if first is None:
                    owners[name] = owner
                elif not same_value(first.values[other], owner[0].values[name]):
                    key = f"{qualifier}.{name}"
                    owners[f"{line}.{key}" if key in owners else key] = owner
        return owners

    def __iter__(self) -> Iterator[Parsed]:
        groups = list(self._groups.values())
        return iter([one for group in groups for one in list(group.values())])

    def _forget_other_tests(self) -> None:
        """Drop what another test of the same process has parsed: it is no argument of this one."""
        test = current_test()
        if test != self._test:
            self._groups.clear()
            self._test = test


class ArgumentsCapture(CaptureSource):
    """A source that reports what the parsers of a library return, as the section ``Args``."""

    arguments = True
    parsed: ClassVar[Arguments]

    def start(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reported: dict[str, Any] = {}
        self.parsed.attach(self)
        for one in self.parsed:
            texts = one.typed()
            recorder.typed(SECTION, texts, hidden=one.hidden, aliases=one.aliases(texts))

    def stop(self) -> None:
        self.parsed.detach(self)
        self.parsed.read_again()
        self.report()

    def report(self) -> None:
        """Report what has changed."""
        try:
            reported = self._reported
            values: dict[str, Any] = {}
            hidden: set[str] = set()
            changed: dict[str, tuple[Parsed, str]] = {}
            for key, owner in self.parsed.owners().items():
                parsed, name = owner
                value = parsed.values[name]
                before = reported.get(key, _ABSENT)
                if same_value(before, value):
                    continue
                values[key] = value
                if name in parsed.hidden:
                    hidden.add(key)
                changed[key] = owner
            if values:
                new = {key: owner for key, owner in changed.items() if key not in reported}
                texts = _asked(new, lambda parsed, names: parsed.describe(names)) if new else {}
                aliases = _asked(changed, lambda parsed, names: parsed.aliases(names))
                self._recorder.params(
                    SECTION, values, descriptions=texts, hidden=hidden, aliases=aliases
                )
                self._reported |= values
        except Exception as error:  # noqa: BLE001 - values and help texts are foreign code
            warn_failure(self.name, error)


def _rank(item: tuple[tuple[int, str, str], object]) -> int:
    return item[0][0]


def _asked(
    owners: Mapping[str, tuple[Parsed, str]],
    ask: Callable[[Parsed, Collection[str]], Mapping[str, _Answer]],
) -> dict[str, _Answer]:
    """Return what each parser says of its names."""
    keys: dict[int, dict[str, str]] = {}
    for key, (parsed, name) in owners.items():
        keys.setdefault(id(parsed), {})[name] = key
    found = {}
    for parsed, _ in owners.values():
        names = keys.pop(id(parsed), {})
        answers = ask(parsed, names) if names else {}
        found.update({key: answers[name] for name, key in names.items() if name in answers})
    return found


def taken(values: Mapping[str, Any], within: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return values as they are now: a list may grow, and a file is closed when nobody has it."""
    return {
        name: value if type(value) in _ATOMS else _taken(value, within)
        for name, value in values.items()
    }


def _taken(value: Any, within: tuple[int, ...]) -> Any:
    if id(value) in within or len(within) > _DEEP:
        return value  # it contains itself, or has no bottom: whoever records it says so
    if type(value) in (list, tuple):
        within = (*within, id(value))
        return [item if type(item) in _ATOMS else _taken(item, within) for item in value]
    if type(value) is dict:
        return taken(value, (*within, id(value)))
    # A file that click opens when it is used would be opened by a look at its attributes.
    is_file = isinstance(value, io.IOBase) or type(value).__module__.startswith(_CLICKS)
    return repr(value) if is_file else value
