"""Programs that use argparse, each with the parameters that its run must have."""

from __future__ import annotations

from typing import Any

from programs import Program

BEGIN = "import argparse, enum, pathlib, sys\n"
START = "\nimport tracelet\nwith tracelet.start_logging(): pass\n"
PARSER = "parser = argparse.ArgumentParser()\nadd = parser.add_argument\n"
PARSE = "args = parser.parse_args()\n"


def program(text: str, *argv: str, end: str = START) -> Program:
    return Program(BEGIN + PARSER + text + end, argv)


SUB = """
sub = parser.add_subparsers({})
train = sub.add_parser("train", aliases=["t"])
train.add_argument("--lr", type=float, default=0.1)
test = sub.add_parser("test")
test.add_argument("--fold", type=int)
"""
NESTED = """
first = parser.add_subparsers().add_parser("train").add_subparsers()
first.add_parser("fast").add_argument("--n", type=int)
first.add_parser("slow").add_argument("--m", type=int)
"""
TOOL = """
tool = argparse.ArgumentParser(prog="tool")
tool.add_argument("--lr", type=int, default=5)
tool.add_argument("--own", default="o")
"""
LIBRARY = {
    "lib/site-packages/library.py": """
        import argparse
        def parse(argv):
            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", default="the library's")
            parser.add_argument("--private", default="p")
            return parser.parse_args(argv)
        class Parser(argparse.ArgumentParser):
            def parse_it(self):
                return self.parse_args()
        def parse_for(function):
            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float)
            return function(parser.parse_args())
        """,
    "beside.py": """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", default="of the module")
        parser.add_argument("--also", default="a")
        def parse(*argv):
            return parser.parse_args(*argv)
        """,
}
USE = "sys.path.append('lib/site-packages')\nimport library, beside\n"
OWN = "add('--lr', type=float)\n"

CASES: dict[str, tuple[Program, dict[str, Any]]] = {
    "the example of another library's manual": (
        Program(
            """
            import tracelet
            import argparse

            parser = argparse.ArgumentParser(description="Script Argparser")
            parser.add_argument("-lr", default=0.001, help="Initial learning rate")
            parser.add_argument("-epochs", default=10, help="Total number of epochs")
            args = parser.parse_args()


            exp = tracelet.start_logging(project="examples", exp_name="argparser logging")
            """
        ),
        {"lr": 0.001, "epochs": 10},
    ),
    "the types that the program sees": (
        program(
            "add('data', type=pathlib.Path)\n"
            "add('-lr', default=0.001)\nadd('-epochs', default=10)\n"
            "add('--ratio', type=float)\n"
            "add('--amp', action='store_true')\n"
            "add('--shuffle', action=argparse.BooleanOptionalAction)\n"
            "add('--nothing')\n"
            "class Color(enum.Enum): RED = 'red'\n"
            "add('--color', type=Color)\n"
            "add('--hex', type=lambda text: int(text, 16))\n" + PARSE,
            *("/data", "--ratio", "3", "--amp", "--no-shuffle", "--color", "red", "--hex", "ff"),
        ),
        {
            "data": "/data",
            "lr": 0.001,
            "epochs": 10,
            "ratio": 3.0,
            "amp": True,
            "shuffle": False,
            "nothing": None,
            "color": "red",
            "hex": 255,
        },
    ),
    "several values and counts": (
        program(
            "add('--layers', type=int, nargs='+')\n"
            "add('--pair', type=int, nargs=2)\n"
            "add('--maybe', nargs='?', const='c', default='d')\n"
            "add('--tag', action='append')\n"
            "add('--more', action='extend', nargs='*', default=[0], type=int)\n"
            "add('--fixed', action='store_const', const=7)\n"
            "add('-v', action='count', default=0)\n"
            "add('rest', nargs=argparse.REMAINDER)\n" + PARSE,
            *("--layers", "1", "2", "--pair", "3", "4", "--maybe", "--tag", "a", "--tag", "b"),
            *("--more", "5", "--fixed", "-vvv", "x", "-y"),
        ),
        {
            "layers": [1, 2],
            "pair": [3, 4],
            "maybe": "c",
            "tag": ["a", "b"],
            "more": [0, 5],
            "fixed": 7,
            "v": 3,
            "rest": ["x", "-y"],
        },
    ),
    "parse_known_args: what the parser knows": (
        program(OWN + "args, rest = parser.parse_known_args()\n", "--lr", "1", "--x", "2"),
        {"lr": 1.0},
    ),
    "parse_intermixed_args": (
        program(
            OWN + "add('files', nargs='*')\nargs = parser.parse_intermixed_args()\n",
            *("a", "--lr", "1", "b"),
        ),
        {"lr": 1.0, "files": ["a", "b"]},
    ),
    "parse_known_intermixed_args": (
        program(
            OWN + "add('files', nargs='*')\nargs = parser.parse_known_intermixed_args()\n",
            *("a", "--lr", "1", "b", "--x"),
        ),
        {"lr": 1.0, "files": ["a", "b"]},
    ),
    "a sub-command with a name for it": (
        program(SUB.format("dest='what'") + PARSE, "t", "--lr", "3"),
        {"what": "t", "lr": 3.0},
    ),
    "a sub-command without a name for it": (
        program(SUB.format("") + PARSE, "train"),
        {"command": "train", "lr": 0.1},
    ),
    "a sub-command of a sub-command": (
        program(NESTED + PARSE, "train", "fast", "--n", "2"),
        {"command": "train.fast", "n": 2},
    ),
    "no sub-command": (program(SUB.format("dest='what'") + PARSE), {"what": None}),
    "parents and groups": (
        program(
            "parent = argparse.ArgumentParser(add_help=False)\n"
            "parent.add_argument('--seed', type=int)\n"
            "parser = argparse.ArgumentParser(parents=[parent])\n"
            "parser.add_argument_group('optimizer').add_argument('--lr', type=float)\n"
            "either = parser.add_mutually_exclusive_group()\n"
            "either.add_argument('--cpu', action='store_true')\n"
            "either.add_argument('--gpu', type=int)\n" + PARSE,
            *("--seed", "1", "--lr", "2", "--gpu", "0"),
        ),
        {"seed": 1, "lr": 2.0, "cpu": False, "gpu": 0},
    ),
    "what is suppressed is absent": (
        program("add('--lr', default=argparse.SUPPRESS)\nadd('--n', type=int)\n" + PARSE),
        {"n": None},
    ),
    "a Namespace that was given": (
        program(
            OWN + "args = parser.parse_args(namespace=argparse.Namespace(own=[1], lr=0))\n",
        ),
        {"own": [1], "lr": 0},
    ),
    "an object of another class that was given": (
        program(
            OWN + "class Config:\n  other = 1\n  def method(self): pass\n"
            "config = Config()\nparser.parse_args(namespace=config)\n",
            *("--lr", "1"),
        ),
        {"lr": 1.0},
    ),
    "options with dots, and functions": (
        program(
            "def run(): pass\nparser.set_defaults(run=run)\n"
            "add('--model.depth', type=int)\n" + PARSE,
            "--model.depth=3",
        ),
        {"model.depth": 3, "run": "__main__.run"},
    ),
    "the last parse of one parser": (
        program(
            OWN + "parser.parse_args(['--lr', '1'])\nparser.parse_args(['--lr', '2'])\n",
        ),
        {"lr": 2.0},
    ),
    "the last parse of one parser, during the run": (
        program(
            OWN + "import tracelet\ntracelet.start_logging()\n"
            "parser.parse_args(['--lr', '1'])\nparser.parse_args(['--lr', '2'])\n",
            end="",
        ),
        {"lr": 2.0},
    ),
    "two parsers with a name in common": (
        program(OWN + TOOL + PARSE + "tool.parse_args([])\n", "--lr", "1"),
        {"lr": 1.0, "tool.lr": 5, "own": "o"},
    ),
    "two parsers with a name in common, during the run": (
        program(
            OWN + TOOL + "import tracelet\ntracelet.start_logging()\n" + PARSE
            + "tool.parse_args([])\n",
            *("--lr", "1"),
            end="",
        ),
        {"lr": 1.0, "tool.lr": 5, "own": "o"},
    ),
    "two parsers that are stages of one": (
        program(
            "first = argparse.ArgumentParser(add_help=False)\n"
            "first.add_argument('--config')\n"
            "first.add_argument('--lr', default=0.5)\n"
            "known, rest = first.parse_known_args()\n"
            "add('--lr', type=float, default=known.lr)\n"
            "args = parser.parse_args(rest)\n",
            *("--config", "c.toml"),
        ),
        {"config": "c.toml", "lr": 0.5},
    ),
    "a library that parses first": (
        program(USE + OWN + "library.parse([])\n" + PARSE, "--lr", "1"),
        {"lr": 1.0},
    ),
    "a library that parses last, during the run": (
        program(
            USE + OWN + "import tracelet\ntracelet.start_logging()\n" + PARSE
            + "library.parse([])\n",
            *("--lr", "1"),
            end="",
        ),
        {"lr": 1.0},
    ),
    "a module beside the script that parses first": (
        program(USE + OWN + "beside.parse([])\n" + PARSE, "--lr", "1"),
        {"lr": 1.0, "train.py.lr": "of the module", "also": "a"},
    ),
    "a module beside the script that parses for it": (
        program(USE + "beside.parse()\n", "--lr", "1"),
        {"lr": "1", "also": "a"},
    ),
    "a parser of a library's class": (
        program(
            USE + "parser = library.Parser()\nparser.add_argument('--lr', type=int)\n"
            "parser.parse_it()\n",
            *("--lr", "1"),
        ),
        {"lr": 1},
    ),
    "a library that parses for the program": (
        program(USE + "library.parse_for(lambda args: None)\n", "--lr", "1"),
        {"lr": 1.0},
    ),
    "exit code 2": (
        program(OWN + "try: parser.parse_args()\nexcept SystemExit as end: assert end.code == 2\n",
                "--lr", "x"),
        {},
    ),
    "what is not there": (
        program(OWN + "try: parser.parse_args()\nexcept SystemExit as end: assert end.code == 2\n",
                "--lr", "1", "--unknown"),
        {},
    ),
    "secrets": (
        program("add('--password')\nadd('--url')\n" + PARSE,
                "--password", "hunter2", "--url", "https://me:hunter2@host/x"),
        {"password": "[redacted]", "url": "https://me:[redacted]@host/x"},
    ),
    "a list that grows afterwards": (
        program("add('--n', nargs='*', type=int)\n" + PARSE + "args.n.append(9)\n", "--n", "1"),
        {"n": [1]},
    ),
    "a file, which is not kept open": (
        program(
            "import weakref\nadd('--out', type=argparse.FileType('w'))\n" + PARSE
            + "file = weakref.ref(args.out)\nargs.out.close()\ndel args\nassert file() is None\n",
            *("--out", "o.txt"),
        ),
        {"out": "<_io.TextIOWrapper name='o.txt' mode='w' encoding='UTF-8'>"},
    ),
}  # fmt: skip
