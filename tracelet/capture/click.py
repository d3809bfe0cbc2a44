"""Captures the parameters of commands of ``click`` and ``typer``.

They are captured when a command is invoked: its values are final then. The methods of click are
wrapped in their classes; typer may have a copy of click.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from tracelet.capture.arguments import Arguments, ArgumentsCapture, Parsed, snapshot
from tracelet.capture.base import CaptureSource, Recorder, warn_on_failure
from tracelet.capture.jobs import Job
from tracelet.capture.program import PROGRAM, SCRIPT, rank_of_function
from tracelet.capture.tracebacks import wrapper_frame
from tracelet.hookspecs import hookimpl

COMMAND = "command"
_CORES = ("click.core", "typer._click.core")


class ClickCapture(ArgumentsCapture):
    """The values of each command that runs, and the path of the command: ``train.fast``."""

    name = "click"
    parsed = Arguments()
    _call: int | None = None
    """The command line in which the run began."""

    def start(self, recorder: Recorder) -> None:
        for core in _cores():
            context = sys.modules[f"{core.__package__}.globals"].get_current_context(silent=True)
            if context is None:
                continue
            if context.find_root() is not _program.root:
                _enter(context)  # it ran already when tracelet was imported
            if context.find_root() is _program.root:  # earlier command lines are not of this run
                self.parsed.forget(lambda one: one.line != _program.line)
                self._call = _program.call
        super().start(recorder)

    def is_later(self, parser: Hashable, parsed: Parsed) -> bool:
        """Return whether another command line runs than the one that this run is of.

        A run that began within a command is of that command line, and of those that it calls. Any
        other run has the first command line of each program.
        """
        if self._call is not None:
            return parsed.call != self._call
        return any(one.line == parsed.line and one.call != parsed.call for one in self._own)


class _Program:
    """The command line that runs, or ran last."""

    root: Any = None
    line: str = ""
    """The unique name of its root command."""
    call: int = 0
    """The number of the command line, from 1 on."""
    commands: tuple[str, ...] = ()
    """The paths of the commands that ran, without those that call others."""


class _Local(threading.local):
    depth = 0
    """How many commands this thread is in."""


_named: dict[str, list[Any]] = {}
"""Name to the root commands that have it."""
_typed: WeakKeyDictionary[Any, dict[str, list[str]]] = WeakKeyDictionary()
"""Context to the values of its parameters on the command line."""
_program = _Program()
_local = _Local()


def observe() -> None:
    """Observe the commands of each copy of click that is imported."""
    for core in _cores():
        if not hasattr(core.Command.invoke, "__wrapped__"):
            core.Command.invoke = _observed(core.Command.invoke)
            parse = core.Parameter.handle_parse_result
            core.Parameter.handle_parse_result = _observed_parameter(parse)


def _cores() -> list[Any]:
    return [sys.modules[name] for name in _CORES if name in sys.modules]


def _observed(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def invoke(self: Any, ctx: Any) -> Any:
        _enter(ctx)
        _local.depth += 1
        try:
            if _local.depth > 1:
                with wrapper_frame:
                    return method(self, ctx)
            with wrapper_frame, Job(ends_runs=False):
                return method(self, ctx)
        finally:
            _local.depth -= 1

    return invoke


def _observed_parameter(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def handle_parse_result(self: Any, ctx: Any, opts: Any, args: Any) -> Any:
        _note_typed(ctx, self.name, opts)
        with wrapper_frame:
            return method(self, ctx, opts, args)

    return handle_parse_result


def _note_typed(context: Any, name: str, opts: Mapping[str, Any]) -> None:
    """Note the values of a parameter on the command line."""
    with warn_on_failure(ClickCapture.name):
        if texts := list(_texts(opts.get(name))):
            _typed.setdefault(context, {})[name] = texts


def _texts(typed: Any) -> Iterator[str]:
    """Yield the strings of a parameter's values, which may be nested."""
    if isinstance(typed, str):
        yield typed
    elif isinstance(typed, list | tuple):
        for one in typed:
            yield from _texts(one)


def _enter(context: Any) -> None:
    """Capture the parameters of a command that is about to run, or that runs."""
    with warn_on_failure(ClickCapture.name):
        chain = [context]
        while chain[0].parent is not None:
            chain.insert(0, chain[0].parent)
        ranks = [_rank(one.command) for one in chain]
        rank = min((rank for rank in ranks if rank is not None), default=PROGRAM)
        if rank > PROGRAM:
            return
        outermost = _local.depth == 0 or chain[0] is _program.root
        if outermost and chain[0] is not _program.root:
            _program.root, _program.line, _program.commands = chain[0], _line(chain[0]), ()
            _program.call += 1
            ClickCapture.parsed.forget(lambda one: one.line == _program.line)
        path = ".".join(str(one.info_name) for one in chain[1:])
        if outermost and path and context.invoked_subcommand is None:
            _program.commands = (*_program.commands, path)
            command = {COMMAND: ",".join(_program.commands)}
            line, call = _program.line, _program.call
            parsed = Parsed(SCRIPT - 1, line, command, line=line, call=call)
            ClickCapture.parsed.add((line, COMMAND), parsed)
        for depth, (one, own_rank) in enumerate(zip(chain, ranks, strict=True)):
            if own_rank is None or own_rank <= PROGRAM:
                path = ".".join(str(part.info_name) for part in chain[1 : depth + 1])
                _add_parsed(one, rank, path or _line(chain[0]))


def _line(root: Any) -> str:
    """Return the unique name of a root command: a number follows a name that several have."""
    name = str(root.command.name or root.info_name)
    same = _named.setdefault(name, [])
    if not any(one is root.command for one in same):
        same.append(root.command)
    place = next(place for place, one in enumerate(same) if one is root.command)
    return f"{name}{place + 1}" if place else name


def _rank(command: Any) -> int | None:
    return None if command.callback is None else rank_of_function(command.callback)


def _add_parsed(context: Any, rank: int, path: str) -> None:
    params = context.command.params
    hidden = frozenset(param.name for param in params if getattr(param, "hide_input", False))
    describe, aliases = lambda _: _help_texts(params), lambda _: _aliases(params)
    commands = [str(one) for one in (context.info_name, context.invoked_subcommand) if one]
    typed = {**_typed.get(context, {}), COMMAND: commands}
    values, line, call = snapshot(context.params), _program.line, _program.call
    parsed = Parsed(
        rank, path, values, describe, aliases, lambda: typed, hidden, line=line, call=call
    )
    ClickCapture.parsed.add((line, path), parsed)


def _help_texts(params: list[Any]) -> Mapping[str, str]:
    texts = {param.name: getattr(param, "help", None) for param in params}
    return {name: str(text) for name, text in texts.items() if text}


def _aliases(params: list[Any]) -> Mapping[str, list[str]]:
    """Return the options of each parameter, its variables, and its metavar."""
    found: dict[str, list[str]] = {}
    for param in params:
        variables = param.envvar or ()
        variables = [variables] if isinstance(variables, str) else variables
        options = (option.lstrip("-+/") for option in (*param.opts, *param.secondary_opts))
        metavar = [param.metavar] if param.metavar else []
        found.setdefault(param.name, []).extend([*options, *variables, *metavar])
    return found


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    """Return the source."""
    return ClickCapture
