"""More programs that use argparse: sub-commands, defaults of many types, all kinds of actions."""

from __future__ import annotations

from typing import Any

from argparse_cases import OWN, PARSE, program
from programs import Program

INF = float("inf")
ENUMS = """
class Color(enum.Enum): RED = "red"
class Size(enum.IntEnum): BIG = 2
"""
ACTIONS = """
class Upper(argparse.Action):
    def __call__(self, parser, namespace, values, option=None):
        setattr(namespace, self.dest, values.upper())
        namespace.seen = option
"""
GIVEN = """
class Array:
    def __iter__(self): return iter(["--lr", "1"])
    def __eq__(self, other): raise ValueError("the truth value is ambiguous")
    __hash__ = None
args = parser.parse_args(Array())
"""
BROKEN = """
class Path(os.PathLike):
    def __fspath__(self): raise RuntimeError("today")
add('--path', default=Path())
"""

ROWS: dict[str, tuple[Program, dict[str, Any]]] = {
    "sub-commands in sub-commands, each with a name": (
        program(
            "first = parser.add_subparsers(dest='first').add_parser('train')\n"
            "second = first.add_subparsers(dest='second', required=True)\n"
            "second.add_parser('fast').add_argument('--n', type=int, default=3)\n" + PARSE,
            *("train", "fast", "--n", "4"),
        ),
        {"first": "train", "second": "fast", "n": 4},
    ),
    "a parent of a sub-command": (
        program(
            "parent = argparse.ArgumentParser(add_help=False)\n"
            "parent.add_argument('--seed', type=int, default=0)\n"
            "sub = parser.add_subparsers(dest='what')\n"
            "sub.add_parser('train', parents=[parent])\n" + PARSE,
            *("train", "--seed", "2"),
        ),
        {"what": "train", "seed": 2},
    ),
    "defaults that are set": (
        program(
            "add('--lr', default=1)\nparser.set_defaults(lr=2, kind='k')\n"
            "sub = parser.add_subparsers(dest='what').add_parser('train')\n"
            "sub.set_defaults(lr=9, run=len)\n" + PARSE,
            "train",
        ),
        {"lr": 9, "kind": "k", "what": "train", "run": "len"},
    ),
    "defaults of many types": (
        program(
            ENUMS + "add('--color', default=Color.RED)\nadd('--size', default=Size.BIG)\n"
            "add('--colors', default=[Color.RED])\nadd('--path', default=pathlib.Path('a/b'))\n"
            "add('--call', default=len)\nadd('--kind', default=int)\n"
            "add('--pair', default=(1, 2.0))\n"
            "add('--some', default={3, 1})\nadd('--table', default={'a': Color.RED, 'b': {}})\n"
            "add('--most', type=float, default='inf')\nadd('--big', default=10**30)\n"
            "add('--text', default='1')\nadd('--none')\n" + PARSE,
        ),
        {
            "color": "red",
            "size": 2,
            "colors": ["red"],
            "path": "a/b",
            "call": "len",
            "kind": "int",
            "pair": [1, 2.0],
            "some": [1, 3],
            "table.a": "red",
            "table.b": {},
            "most": INF,
            "big": 10**30,
            "text": "1",
            "none": None,
        },
    ),
    "all kinds of actions": (
        program(
            ACTIONS + "add('--one', action='append', type=int)\n"
            "add('--two', action='append', default=[1])\n"
            "add('--three', action='append_const', const=5)\nadd('-v', action='count')\n"
            "add('--yes', action=argparse.BooleanOptionalAction, default=True)\n"
            "add('--plain', action=argparse.BooleanOptionalAction)\n"
            "add('--off', action='store_false')\nadd('--const', action='store_const', const='k')\n"
            "add('--upper', action=Upper)\nadd('--version', action='version', version='1')\n"
            + PARSE,
            *("--one", "1", "--one", "2", "--two", "x", "--three", "--three", "-vv", "--no-yes"),
            *("--off", "--upper", "abc"),
        ),
        {
            "one": [1, 2],
            "two": [1, "x"],
            "three": [5, 5],
            "v": 2,
            "yes": False,
            "plain": None,
            "off": False,
            "const": None,
            "upper": "ABC",
            "seen": "--upper",
        },
    ),
    "arguments in a file": (
        program(
            OWN + "add('name')\nadd('--n', type=int)\n"
            "pathlib.Path('a.txt').write_text('--lr\\n3\\nnet\\n')\n"
            "parser.fromfile_prefix_chars = '@'\n" + PARSE,
            *("@a.txt", "--n", "2"),
        ),
        {"lr": 3.0, "name": "net", "n": 2},
    ),
    "parse_known_args with a sub-command": (
        program(
            "parser.add_subparsers(dest='what').add_parser('train')\n"
            "args, rest = parser.parse_known_args()\nassert rest == ['--x', '2'], rest\n",
            *("train", "--x", "2"),
        ),
        {"what": "train"},
    ),
    "a Namespace of a derived class, and one within": (
        program(
            OWN + "class Own(argparse.Namespace): pass\n"
            "given = Own(inner=argparse.Namespace(a=1, b=[2]))\n"
            "assert parser.parse_args(namespace=given) is given\n",
            *("--lr", "1"),
        ),
        {"inner.a": 1, "inner.b": [2], "lr": 1.0},
    ),
    "parsed in a thread": (
        program(
            OWN + "import threading\n"
            "thread = threading.Thread(target=parser.parse_args)\nthread.start()\nthread.join()\n",
            *("--lr", "1"),
        ),
        {"lr": 1.0},
    ),
    "a value that another parser makes": (
        program(
            "inner = argparse.ArgumentParser(prog='inner')\n"
            "inner.add_argument('--n', type=int, default=1)\n"
            "add('--opt', type=lambda text: inner.parse_args(['--n', text]))\n" + PARSE,
            *("--opt", "2"),
        ),
        {"opt.n": 2},
    ),
    "what cannot be compared is parsed": (program(OWN + GIVEN), {"lr": 1.0}),
    "no command line": (
        program(
            OWN + "argv = sys.argv\ndel sys.argv\n"
            "args = parser.parse_args(['--lr', '1'])\nsys.argv = argv\n"
        ),
        {"lr": 1.0},
    ),
    "a path that raises": (program("import os\n" + OWN + BROKEN + PARSE), {"lr": None}),
}
