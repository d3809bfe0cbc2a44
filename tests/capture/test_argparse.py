"""What argparse returns is captured as the program sees it, and the program sees no capture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from programs import Done, Program, run_programs
from user_scripts import Script, run_script

import tracelet

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
    "the types that the program sees": (
        program(
            "add('data', type=pathlib.Path)\n"
            "add('-lr', default=0.001, help='Initial learning rate')\n"
            "add('-epochs', default=10)\n"
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


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    directory = tmp_path_factory.mktemp("argparse")
    programs = {name: case for name, (case, _) in CASES.items()}
    names = {name: re.sub(r"\W+", "-", name) for name in programs}
    found = run_programs(directory, {names[name]: case for name, case in programs.items()}, LIBRARY)
    return {name: found[names[name]] for name in programs}


@pytest.mark.parametrize("name", CASES)
def test_captured_is(name: str, done: dict[str, Done]) -> None:
    wanted = {f"Args/{key}": value for key, value in CASES[name][1].items()}
    assert exact(done[name].params) == exact(wanted)


def exact(params: dict[str, Any]) -> dict[str, str]:
    """Tell 1 from 1.0 and True."""
    return {key: repr(value) for key, value in params.items()}


ORDERS = {
    "tracelet, argparse, parse, start": ["import tracelet", "{argparse}", "{parse}", "{start}"],
    "tracelet, argparse, start, parse": ["import tracelet", "{argparse}", "{start}", "{parse}"],
    "argparse, tracelet, parse, start": ["{argparse}", "import tracelet", "{parse}", "{start}"],
    "start, argparse, parse": ["import tracelet", "{start}", "{argparse}", "{parse}"],
}


@pytest.mark.parametrize("order", ORDERS)
def test_it_works_in_every_order_of_imports_parsing_and_start(order: str, tmp_path: Path) -> None:
    script = "\n".join(ORDERS[order]).format(
        argparse="import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float)",
        parse="args = parser.parse_args()",
        start="exp = tracelet.start_logging(capture=['argparse'])",
    )
    said = run_script(tmp_path, f"{script}\nprint(exp.params.flat())", "--lr", 2)
    assert said.splitlines()[0] == "{'Args/lr': 2.0}", said


def test_the_help_of_an_argument_is_its_description(tmp_path: Path) -> None:
    script = """
import argparse, tracelet
parser = argparse.ArgumentParser(prog="net")
parser.add_argument("--lr", default=0.1, help="the rate of %(prog)s, not %(default)s or 100%%")
parser.add_argument("--password", default="hunter2", help="as %(default)s")
parser.add_argument("--odd", help="100% wrong")
parser.add_argument("--none")
sub = parser.add_subparsers(dest="what").add_parser("train")
sub.add_argument("--fast", help="do not wait")
parser.parse_args(["train"])
tracelet.start_logging(capture=["argparse"]).stop()
"""
    run_script(tmp_path, script)
    params = tracelet.load_run().params
    assert params.description("Args/lr") == "the rate of net, not 0.1 or 100%"
    assert params.description("Args/fast") == "do not wait"
    assert params.description("Args/odd") == "100% wrong"
    assert params.description("Args/none") is None
    assert params.description("Args/password") is None  # it names the secret
    assert "hunter2" not in "".join(
        file.read_text(errors="replace") for file in tmp_path.rglob("*.json*")
    )


SEEN = """
import argparse, inspect, io, pickle, sys, traceback
def twice(text):
    if text == "boom": raise RuntimeError("boom")
    return 2 * float(text)
class Parser(argparse.ArgumentParser):
    def parse_args(self, *args):
        return super().parse_args(*args)
for cls in (argparse.ArgumentParser, Parser):
    parser = cls(prog="x", exit_on_error=False)
    parser.add_argument("--lr", type=twice, help="rate")
    sub = parser.add_subparsers().add_parser("train")
    sub.add_argument("--n", type=twice)
    args = parser.parse_args(["--lr", "1", "train", "--n", "3"])
    print(type(args), args, args == argparse.Namespace(lr=2.0, n=6.0), vars(args))
    print(pickle.loads(pickle.dumps(args)), pickle.dumps(type(parser).parse_args))
    print(isinstance(parser, argparse.ArgumentParser), repr(parser), sorted(vars(parser)))
    print(inspect.signature(parser.parse_args), parser.parse_args.__qualname__,
          argparse.ArgumentParser.parse_known_args.__module__, parser.format_help())
    for argv in (["--lr", "boom"], ["--lr", "no"], ["train", "--n", "boom"], ["--wrong"], ["-h"]):
        for method in (parser.parse_args, parser.parse_known_args):
            try: print(method(argv))
            except SystemExit as end: print("exit", end.code)
            except Exception: traceback.print_exc(file=sys.stdout)
parser.parse_args(["--lr", "boom"])
"""


def test_the_program_sees_no_difference(tmp_path: Path) -> None:
    """Not in types, pickles, signatures, help, exit codes, nor in tracebacks."""
    scripts = {
        "without": SEEN,
        "with": f"import tracelet; tracelet.start_logging(capture=['argparse']){SEEN}",
    }
    said = {}
    for name, text in scripts.items():
        directory = tmp_path / name
        directory.mkdir()
        script = Script(directory, text)
        assert script.wait() == 1
        said[name] = re.sub(r"^tracelet: .*\n", "", script.output, flags=re.MULTILINE)
        said[name] = said[name].replace(str(directory), "")
    assert "boom" in said["without"]
    assert said["with"] == said["without"]


MISSED = {
    "in the script": "args = parser.parse_args()\nimport tracelet\n{start}",
    "in a function": "def main():\n  args = parser.parse_args()\n  import tracelet\n  {start}\n"
    "main()",
}
NOT_MISSED = {
    "nothing was parsed": "import tracelet\n{start}",
    "a Namespace of one's own": "args = argparse.Namespace(x=1)\nimport tracelet\n{start}",
    "capture is off": "args = parser.parse_args()\nimport tracelet\n"
    "tracelet.start_logging(capture=False).stop()",
}


@pytest.mark.parametrize("where", [*MISSED, *NOT_MISSED])
def test_what_was_parsed_before_tracelet_was_imported_is_one_warning(
    where: str, tmp_path: Path
) -> None:
    start = "tracelet.start_logging(capture=['argparse']).stop()"
    head = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr')\n"
    body = {**MISSED, **NOT_MISSED}[where].format(start=f"{start}; {start}")
    said = run_script(tmp_path, head + body, "--lr", 1)
    assert said.count("TraceletWarning: arguments were parsed before") == (where in MISSED), said
    assert not any(run.params for run in tracelet.runs())


def test_under_pytest_a_test_has_the_arguments_of_its_program_alone(tmp_path: Path) -> None:
    """Neither pytest's, nor those of the program in another test."""
    (tmp_path / "conftest.py").write_text("import tracelet\n")
    (tmp_path / "test_program.py").write_text(
        """
import argparse, tracelet

def program(argv):
    parser = argparse.ArgumentParser(prog="train")
    parser.add_argument("--" + argv[0])
    parser.parse_args(["--" + argv[0], argv[1]])

def test_one():
    program(["lr", "1"])
    with tracelet.start_logging("one", capture=["argparse"]) as exp:
        assert exp.params.flat() == {"Args/lr": "1"}

def test_two():
    with tracelet.start_logging("two", capture=["argparse"]) as exp:
        assert exp.params.flat() == {}
        program(["epochs", "2"])
        assert exp.params.flat() == {"Args/epochs": "2"}
"""
    )
    script = "import pytest, sys; sys.exit(pytest.main(['-q', 'test_program.py']))"
    said = run_script(tmp_path, script)
    assert "2 passed" in said
