"""Collects the arguments of a program from all its parsers, without collisions of names.

- Each name belongs to the first parser: the script's parser comes before those of its modules, and
  these before a library's; among them, the one that parsed first.
- If two parsers have a name, it is qualified for the later one: ``tool.lr`` beside ``lr``.
- The last result of a parser counts when a run starts.
- A run that has recorded a parse keeps it: a later one is held for the run that starts next.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from tracelet.capture.base import CaptureSource, Recorder, warn_on_failure
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
        call: tells apart the command lines that were parsed under the name ``line``.
        complete: whether the parser refuses what it does not know: it has parsed everything.
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
    call: int = 0
    complete: bool = True

    @property
    def group(self) -> tuple[int, str, str]:
        """Identifies the parsers that are stages of one."""
        return self.rank, self.qualifier, self.line


class Arguments:
    """The results of the parsers of one library: those of a process, or those that a run has.

    Another thread may parse at any time: loops go over copies.

    Args:
        groups: the first results: those of each group, by what identifies the parser.
    """

    def __init__(
        self, groups: Mapping[tuple[int, str, str], Mapping[Hashable, Parsed]] | None = None
    ) -> None:
        self._groups = {key: dict(group) for key, group in (groups or {}).items()}
        self._test = current_test()
        self._captures: list[ArgumentsCapture] = []

    def add(self, parser: Hashable, parsed: Parsed) -> None:
        """Add the result of a parser, and report it to all runs.

        Args:
            parser: identifies the parser: a new result replaces the last one.
            parsed: the result. Parsers of one qualifier are stages of one: the later one wins.
        """
        self._forget_other_tests()
        group = self._groups.setdefault(parsed.group, {})
        group.pop(parser, None)  # the latest is the last
        group[parser] = parsed
        for capture in list(self._captures):
            capture.take(parser, parsed)

    def stages(self, group: tuple[int, str, str]) -> Mapping[Hashable, Parsed]:
        """Return the results of one group of parsers, by what identifies the parser."""
        return self._groups.get(group, {})

    def copy(self) -> Arguments:
        """Return the same results, which nobody else adds to."""
        return Arguments(dict(self._groups))

    def forget(self, is_over: Callable[[Parsed], bool]) -> None:
        """Remove the results for which ``is_over`` returns True."""
        for group in list(self._groups.values()):
            for parser, one in list(group.items()):
                if is_over(one):
                    group.pop(parser, None)

    def attach(self, capture: ArgumentsCapture) -> Arguments:
        """Pass later results on to a capture source; return a copy of those so far."""
        self._forget_other_tests()
        self._captures.append(capture)
        self.read_again()
        return self.copy()

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
    """A source that reports what the parsers of a library return, as the section ``Args``.

    A run has the results from before its start, and each later one that is new to it. One that
    parses again what the run has recorded is held; see :meth:`Recorder.hold`.
    """

    arguments = True
    parsed: ClassVar[Arguments]
    """The results of the process."""

    def start(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reported: dict[str, Any] = {}
        self._own = self.parsed.attach(self)
        self._report(self._changed(self._own))
        for one in self._own:
            texts = one.typed()
            recorder.typed(SECTION, texts, hidden=one.hidden, aliases=one.aliases(texts))

    def stop(self) -> None:
        self.parsed.detach(self)
        self._own.read_again()
        self._report(self._changed(self._own))

    def take(self, parser: Hashable, parsed: Parsed) -> None:
        """Report a result of a parser that has returned during the run, or hold it."""
        with warn_on_failure(self.name):
            known = self._own.stages(parsed.group).get(parser)
            if (
                known is not None
                and not self._recorder.holding
                and _same_values(known.values, parsed.values)
            ):
                return  # a program asks for its arguments in several places
            own = self._own.copy()
            own.add(parser, parsed)
            changed = self._changed(own)
            if not changed and not self._recorder.holding:
                return
            is_new = changed.keys().isdisjoint(self._reported)
            if self._recorder.holding or not is_new or self.is_later(parser, parsed):
                take = functools.partial(self._take_later, parser, parsed)
                self._recorder.hold((self.name, parsed.group, parser), take)
                return
            self._own = own
            self._report(changed)

    def is_later(self, parser: Hashable, parsed: Parsed) -> bool:
        """Return whether this run has recorded an earlier result of the same parser.

        The same parser may have been made anew, maybe with other arguments: it is one of the same
        group with a name in common. A result of ``parse_known_args`` may be of a first stage.
        """
        return any(
            not one.values.keys().isdisjoint(parsed.values)
            and (one.complete or (other == parser and not parsed.complete))
            for other, one in list(self._own.stages(parsed.group).items())
        )

    def _take_later(self, parser: Hashable, parsed: Parsed) -> list[str]:
        """Report a result that was held; return the names of what it changes or adds."""
        self._own.add(parser, parsed)
        changed = self._changed(self._own)
        self._report(changed)
        return list(changed)

    def _changed(self, results: Arguments) -> dict[str, tuple[Parsed, str]]:
        """Return the owners of the names that are new or have another value than was reported."""
        changed = {}
        for key, (parsed, name) in results.owners().items():
            value, before = parsed.values[name], self._reported.get(key, _ABSENT)
            if value is not before and not same_value(before, value):
                changed[key] = parsed, name
        return changed

    def _report(self, changed: Mapping[str, tuple[Parsed, str]]) -> None:
        """Report arguments that have changed."""
        with warn_on_failure(self.name):
            reported = self._reported
            values = {key: parsed.values[name] for key, (parsed, name) in changed.items()}
            hidden = {key for key, (parsed, name) in changed.items() if name in parsed.hidden}
            if values:
                new = {key: owner for key, owner in changed.items() if key not in reported}
                texts = (
                    _ask_parsers(new, lambda parsed, names: parsed.describe(names)) if new else {}
                )
                aliases = _ask_parsers(changed, lambda parsed, names: parsed.aliases(names))
                self._recorder.params(
                    SECTION, values, descriptions=texts, hidden=hidden, aliases=aliases
                )
                self._reported |= values


def _same_values(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    if len(before) != len(now):
        return False
    for name, value in now.items():
        known = before.get(name, _ABSENT)
        if value is not known and not same_value(known, value):
            return False
    return True


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
