"""Captures what the parsers of ``argparse`` return, before the run or during it.

The methods that parse are wrapped in their class, so that a parser, a Namespace and a traceback are
the same as without tracelet. Only the outermost call counts, and only if it returns.
"""

from __future__ import annotations

import argparse
import functools
import gc
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tracelet.capture.arguments import Arguments, ArgumentsCapture, Parsed, snapshot
from tracelet.capture.base import CaptureSource, Recorder, warn_on_failure
from tracelet.capture.program import LIBRARY, PROGRAM, TOOL, rank_of_frame
from tracelet.capture.tracebacks import remove_first_frame
from tracelet.errors import warn
from tracelet.hookspecs import hookimpl

COMMAND = "command"
"""The parameter of the sub-command, if the program has not named it with ``dest``."""

_STRICT = ("parse_args", "parse_intermixed_args")
_METHODS = (*_STRICT, "parse_known_args", "parse_known_intermixed_args")


class ArgparseCapture(ArgumentsCapture):
    """The Namespace that a parser has returned, with the help texts as descriptions."""

    name = "argparse"
    parsed = Arguments()
    missed = False

    def start(self, recorder: Recorder) -> None:
        super().start(recorder)
        if ArgparseCapture.missed:
            ArgparseCapture.missed = False
            warn(
                "arguments were parsed before tracelet was imported, so they are not captured; "
                "import tracelet first, or log them with exp.connect(args)"
            )


_warn_on_failure = warn_on_failure(ArgparseCapture.name)
_Seen = list[tuple[argparse.Action, list[str]]]
"""The arguments that a running parse has seen, with their values on the command line."""


class _Local(threading.local):
    seen: _Seen | None = None
    """Of the running parse of this thread, or None."""


_local = _Local()


# Both wrappers are called often, and a "with wrapper_frame" would take longer.
def _observed(method: Callable[..., Any]) -> Callable[..., Any]:
    strict = method.__name__ in _STRICT

    @functools.wraps(method)
    def parse(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        outer = _local.seen
        seen = _local.seen = [] if outer is None else outer
        try:
            result = method(self, *args, **kwargs)
        except BaseException as error:
            remove_first_frame(error)
            raise
        finally:
            _local.seen = outer
        if outer is None:
            given = args[0] if args else kwargs.get("args")
            namespace = result if strict else result[0]
            _add_parsed(self, namespace, seen, sys._getframe(1), given, strict=strict)  # noqa: SLF001
        return result

    return parse


def _observed_values(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def get_values(self: Any, action: Any, arg_strings: list[str]) -> Any:
        if (seen := _local.seen) is not None and arg_strings:
            seen.append((action, arg_strings))
        try:
            return method(self, action, arg_strings)
        except BaseException as error:
            remove_first_frame(error)
            raise

    return get_values


def _add_parsed(
    parser: argparse.ArgumentParser,
    namespace: Any,
    seen: _Seen,
    caller: FrameType,
    given: Any,
    *,
    strict: bool,
) -> None:
    """Add a result to the captured arguments.

    A call by a library counts only if it has parsed the program's whole command line, as some
    libraries do for the program.

    Args:
        parser: the parser.
        namespace: its result.
        seen: the arguments that it has seen.
        caller: the frame that has called it.
        given: the arguments that it was given, or None.
        strict: whether it refuses unknown arguments.
    """
    with _warn_on_failure:
        frame, rank = _caller(caller, parser)
        if rank == TOOL or (rank == LIBRARY and not (strict and _is_command_line(given))):
            return
        values = snapshot(_values(parser, namespace))
        commands = [(action.dest, strings[0]) for action, strings in seen if _is_command(action)]
        path = [name for _, name in commands]
        if commands and any(dest == argparse.SUPPRESS for dest, _ in commands):
            values.setdefault(COMMAND, ".".join(path))
        qualifier = parser.prog
        if rank == LIBRARY and qualifier == Path(sys.argv[0]).name:
            qualifier = str(frame.f_globals.get("__name__")).partition(".")[0]
        again = None
        if caller.f_code.co_name in _METHODS and _first_argument(caller) is parser:
            # An overridden parse_args has called this one, and can still add to the Namespace.
            again = lambda: snapshot(_values(parser, namespace))  # noqa: E731
        describe = lambda names: _help_texts(parser, path, names)  # noqa: E731
        aliases = lambda names: _aliases(parser, path, names)  # noqa: E731
        typed = lambda: _typed(seen)  # noqa: E731
        parsed = Parsed(
            rank, qualifier, values, describe, aliases, typed, again=again, complete=strict
        )
        dests = tuple([action.dest for action in parser._actions])  # noqa: SLF001 - there since 2.7
        ArgparseCapture.parsed.add(dests, parsed)


def _is_command_line(given: Any) -> bool:
    return given is None or (isinstance(given, list) and given == sys.argv[1:])


def _caller(frame: FrameType, parser: argparse.ArgumentParser) -> tuple[FrameType, int]:
    """Return the frame that has called the parser, not one of its methods, and the rank."""
    while (rank := rank_of_frame(frame)) >= LIBRARY and frame.f_back is not None:
        if _first_argument(frame) is not parser:
            break
        frame = frame.f_back
    return frame, rank


def _first_argument(frame: FrameType) -> Any:
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None


def _values(parser: argparse.ArgumentParser, namespace: Any) -> Mapping[str, Any]:
    if isinstance(namespace, argparse.Namespace):
        return vars(namespace)
    # An object or a class of the program: it may have attributes that are no arguments.
    dests = (action.dest for action in parser._actions)  # noqa: SLF001
    return {dest: getattr(namespace, dest) for dest in dests if hasattr(namespace, dest)}


def _is_command(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _typed(seen: _Seen) -> dict[str, list[str]]:
    """Return the values on the command line for each name."""
    typed: dict[str, list[str]] = {}
    for action, strings in seen:
        is_command = _is_command(action)
        name = COMMAND if is_command and action.dest == argparse.SUPPRESS else action.dest
        typed.setdefault(name, []).extend(strings[:1] if is_command else strings)
    return typed


def _help_texts(
    parser: argparse.ArgumentParser, commands: Sequence[str], names: Collection[str]
) -> dict[str, str]:
    """Return the help texts of a parser and of its sub-commands that were called."""
    return {
        action.dest: _expanded(owner, action)
        for owner, action in _actions(parser, commands, names)
        if action.help and action.help != argparse.SUPPRESS
    }


def _aliases(
    parser: argparse.ArgumentParser, commands: Sequence[str], names: Collection[str]
) -> dict[str, list[str]]:
    """Return the options of each argument, and its metavar."""
    found: dict[str, list[str]] = {}
    for owner, action in _actions(parser, commands, names):
        given = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
        metavar = [name for name in given if isinstance(name, str)]  # argparse does not check it
        options = (option.lstrip(owner.prefix_chars) for option in action.option_strings)
        found.setdefault(action.dest, []).extend([*options, *metavar])
    return found


def _actions(
    parser: argparse.ArgumentParser, commands: Sequence[str], names: Collection[str]
) -> Iterator[tuple[argparse.ArgumentParser, argparse.Action]]:
    """Yield the arguments in ``names``, of a parser and of its sub-commands that were called."""
    for action in parser._actions:  # noqa: SLF001
        if not commands and action.dest not in names:
            continue  # most actions, when a parser is called again
        if action.dest in names:
            yield parser, action
        sub_parsers = action.choices if commands and _is_command(action) else None
        if isinstance(sub_parsers, dict) and commands[0] in sub_parsers:
            yield from _actions(sub_parsers[commands[0]], commands[1:], names)


def _expanded(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the help text of an argument with ``%(default)s`` and the like replaced."""
    known = {name: value for name, value in vars(action).items() if value != argparse.SUPPRESS}
    try:
        return str(action.help % {**known, "prog": parser.prog})  # type: ignore[operator]
    except (KeyError, TypeError, ValueError):
        return str(action.help)


def _has_parsed() -> bool:
    """Return whether the program has parsed its arguments already, and has the Namespace.

    A Namespace counts if it has all names of a parser. It is looked for in the variables of the
    script, and of the program's functions that are being called.
    """
    main = sys.modules.get("__main__")
    scopes: list[Mapping[str, Any]] = [dict(vars(main))] if main is not None else []
    frame: FrameType | None = sys._getframe()  # noqa: SLF001
    while frame is not None:
        if rank_of_frame(frame) <= PROGRAM:
            scopes.append(frame.f_locals)
        frame = frame.f_back
    found = [
        vars(value).keys()
        for scope in scopes
        for value in list(scope.values())
        if issubclass(type(value), argparse.Namespace)
    ]
    if not found:
        return False
    for item in gc.get_objects():
        if issubclass(type(item), argparse.ArgumentParser):
            actions = getattr(item, "_actions", ())
            dests = {action.dest for action in actions if action.default != argparse.SUPPRESS}
            if dests and any(dests <= names for names in found):
                return True
    return False


def observe() -> None:
    """Observe every parser from now on."""
    if hasattr(argparse.ArgumentParser.parse_args, "__wrapped__"):
        return
    ArgparseCapture.missed = _has_parsed()
    for name in _METHODS:
        setattr(argparse.ArgumentParser, name, _observed(getattr(argparse.ArgumentParser, name)))
    # Only this method gets the command line's strings, and the name of a sub-command.
    cls: Any = argparse.ArgumentParser
    cls._get_values = _observed_values(cls._get_values)


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    """Return the source."""
    return ArgparseCapture
