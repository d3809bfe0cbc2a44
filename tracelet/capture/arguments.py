"""Collects the arguments of a program from all its parsers, without collisions of names.

- Each name belongs to the first parser: the script's parser comes before those of its modules, and
  these before a library's; among them, the one that parsed first.
- If two parsers have a name, it is qualified for the later one: ``tool.lr`` beside ``lr``.
- The last result of a parser counts.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from tracelet.capture.base import CaptureSource, Recorder
from tracelet.capture.command_line import SECTION
from tracelet.capture.program import current_test
from tracelet.values.equality import same_value

_CLICKS = ("click.", "typer.")
_ABSENT = object()
_Answer = TypeVar("_Answer")
_MAX_DEPTH = 100
_ATOMS = frozenset({str, int, float, bool, type(None)})


def _nothing(_: object) -> dict[str, Any]:
    return {}


class Parsed(NamedTuple):
    """The result of one parser.

    Attributes:
        rank: the rank of the parser's code; see :mod:`tracelet.capture.program`.
        qualifier: qualifies its names that another parser has already.
        values: name to value, as in the program.
        describe: returns the help texts of the given names, and maybe of others.
        aliases: returns the other names of the given names, and maybe of others.
        typed: returns the values on the command line for each name, where they are known.
        hidden: names whose values are secrets.
        again: returns the values once more if the parser had not finished; None: it had.
        line: qualifies its names further, in a program with several command lines.
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
    """The results of all parsers of one library in this process, before and during runs.

    Another thread may parse at any time: loops go over copies.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[int, str, str], dict[Hashable, Parsed]] = {}
        self._test = current_test()
        self._captures: list[ArgumentsCapture] = []

    def add(self, parser: Hashable, parsed: Parsed) -> None:
        """Add the result of a parser, and report it to all runs.

        Args:
            parser: identifies the parser: a new result replaces the last one.
            parsed: the result. Parsers of one qualifier are stages of one: the later one wins.
        """
        self._forget_other_tests()
        group = self._groups.setdefault((parsed.rank, parsed.qualifier, parsed.line), {})
        group.pop(parser, None)  # the latest is the last
        group[parser] = parsed
        for capture in list(self._captures):
            capture.report()

    def forget(self, is_over: Callable[[Parsed], bool]) -> None:
        """Remove the results for which ``is_over`` returns True."""
        for group in list(self._groups.values()):
            for parser, one in list(group.items()):
                if is_over(one):
                    group.pop(parser, None)

    def attach(self, capture: ArgumentsCapture) -> None:
        """Report to a capture source, now and whenever a parser returns."""
        self._forget_other_tests()
        self._captures.append(capture)
        self.read_again()
        capture.report()

    def read_again(self) -> None:
        """Update the values of parsers that had not finished."""
        for group in list(self._groups.values()):
            for key, one in list(group.items()):
                if one.again is not None:
                    group[key] = one._replace(values={**one.values, **one.again()})

    def detach(self, capture: ArgumentsCapture) -> None:
        """Stop reporting to a capture source."""
        if capture in self._captures:
            self._captures.remove(capture)

    def owners(self) -> dict[str, tuple[Parsed, str]]:
        """Return, for each name to record, its parser's result and the name there."""
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
        """Remove the results of another test of the same process."""
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
        """Report the arguments that have changed."""
        reported = self._reported
        values: dict[str, Any] = {}
        hidden: set[str] = set()
        changed: dict[str, tuple[Parsed, str]] = {}
        for key, owner in self.parsed.owners().items():
            parsed, name = owner
            value = parsed.values[name]
            before = reported.get(key, _ABSENT)
            if value is before or same_value(before, value):
                continue
            values[key] = value
            if name in parsed.hidden:
                hidden.add(key)
            changed[key] = owner
        if values:
            new = {key: owner for key, owner in changed.items() if key not in reported}
            texts = _ask_parsers(new, lambda parsed, names: parsed.describe(names)) if new else {}
            aliases = _ask_parsers(changed, lambda parsed, names: parsed.aliases(names))
            self._recorder.params(
                SECTION, values, descriptions=texts, hidden=hidden, aliases=aliases
            )
            self._reported |= values


def _rank(item: tuple[tuple[int, str, str], object]) -> int:
    return item[0][0]


def _ask_parsers(
    owners: Mapping[str, tuple[Parsed, str]],
    ask: Callable[[Parsed, Collection[str]], Mapping[str, _Answer]],
) -> dict[str, _Answer]:
    """Return the answers of the parsers for the names in ``owners``, by key."""
    keys: dict[int, dict[str, str]] = {}
    for key, (parsed, name) in owners.items():
        keys.setdefault(id(parsed), {})[name] = key
    found = {}
    for parsed, _ in owners.values():
        names = keys.pop(id(parsed), {})
        answers = ask(parsed, names) if names else {}
        found.update({key: answers[name] for name, key in names.items() if name in answers})
    return found


def snapshot(values: Mapping[str, Any], within: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return a copy of values: lists and dicts are copied, a file is replaced by its ``repr``.

    ``within`` has the ids of the structures that contain the values.
    """
    return {
        name: value if type(value) in _ATOMS else _snapshot_value(value, within)
        for name, value in values.items()
    }


def _snapshot_value(value: Any, within: tuple[int, ...]) -> Any:
    if id(value) in within or len(within) > _MAX_DEPTH:
        return value  # it contains itself, or is too deep: recording it raises
    if type(value) in (list, tuple):
        within = (*within, id(value))
        return [item if type(item) in _ATOMS else _snapshot_value(item, within) for item in value]
    if type(value) is dict:
        return snapshot(value, (*within, id(value)))
    # Reading the attributes of click's LazyFile would open the file.
    is_file = isinstance(value, io.IOBase) or type(value).__module__.startswith(_CLICKS)
    return repr(value) if is_file else value
