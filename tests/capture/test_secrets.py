"""An argument is a secret under each of its names, and the command line shows it nowhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from programs import Done, Program, run_programs
from user_scripts import run_script

import tracelet

HIDDEN = "[redacted]"
ARGPARSE = "import argparse, os, pathlib, tracelet\nparser = argparse.ArgumentParser({})\n"
ADD = "add = parser.add_argument\n"
START = "tracelet.start_logging().stop()\n"
PARSE = "args = parser.parse_args()\n"
CLICK = "import click, os, tracelet\n@click.command()\n{}\ndef main(**given): " + START + "main()\n"
TYPER = """
import os, typer, tracelet
from typing import Annotated
def main(k: Annotated[str, {}] = ""):
    {}
typer.run(main)
"""
ABSL = """
import tracelet
from absl import app, flags
flags.{}
def main(argv):
    {}
app.run(main)
"""


class Case(NamedTuple):
    program: Program
    params: dict[str, Any]
    argv: list[str]


def argparse(
    body: str, *argv: str, params: Any, shown: str, settings: str = "", end: str = PARSE + START
) -> Case:
    text = ARGPARSE.format(settings) + ADD + body + "\n" + end
    return Case(Program(text, argv), params, shown.split())


def click(options: str, *argv: str, params: Any, shown: str, before: str = "") -> Case:
    return Case(Program(before + CLICK.format(options), argv), params, shown.split())


def typer(option: str, *argv: str, params: Any, shown: str, before: str = "") -> Case:
    return Case(Program(before + TYPER.format(option, START), argv), params, shown.split())


def absl(flags: str, *argv: str, params: Any, shown: str) -> Case:
    return Case(Program(ABSL.format(flags, START), argv), params, shown.split())


LATER = START.replace(".stop()", "") + PARSE
KEY = "add('--api-key', '-k', dest='k')"
K = {"k": HIDDEN}
BOTH = "add('--api-keys', dest='k', {})"

CASES = {
    "an option": argparse(KEY, "--api-key", "hunter7", params=K, shown="--api-key [redacted]"),
    "an option with =": argparse(KEY, "--api-key=hunter7", params=K, shown="--api-key=[redacted]"),
    "an option cut short": argparse(KEY, "--api", "hunter7", params=K, shown="--api [redacted]"),
    "its short form": argparse(KEY, "-k", "hunter7", params=K, shown="-k [redacted]"),
    "its short form, joined": argparse(KEY, "-khunter7", params=K, shown="-k[redacted]"),
    "its short form with =": argparse(KEY, "-k=hunter7", params=K, shown="-k=[redacted]"),
    "digits": argparse(KEY, "-k", "7771", params=K, shown="-k [redacted]"),
    "joined to another": argparse(
        KEY + "\nadd('-v', action='store_true')",
        *("-vk007",),
        params={**K, "v": True},
        shown="-v[redacted]",
    ),
    "a number": argparse(
        "add('--password', '-p', dest='k', type=int)", "-p", "007", params=K, shown="-p [redacted]"
    ),
    "a path": argparse(
        "add('--token', dest='k', type=pathlib.Path)\nadd('--out', '-o', type=pathlib.Path)",
        *("--tok", "./hunter7/", "-o", "./out/"),
        params={**K, "out": "out"},
        shown="--tok [redacted] -o ./out/",
    ),
    "what is converted": argparse(
        "add('k', metavar='TOKEN', type=str.upper)", "hunter7", params=K, shown="[redacted]"
    ),
    "what the help calls it": argparse(
        "add('-x', nargs=2, metavar=('USER', 'PASSWORD'))",
        *("-x", "me", "hunter7"),
        params={"x": [HIDDEN, HIDDEN]},
        shown="-x [redacted] [redacted]",
    ),
    "what the help calls it with a number": argparse(
        "add('--api-key', dest='k', metavar=5)",
        "--api-key",
        "hunter7",
        params=K,
        shown="--api-key [redacted]",
    ),
    "several": argparse(
        BOTH.format("nargs=2, action='append'"),
        *("--api-keys", "hunter7", "hunter8", "--api-keys", "hunter9", "hunter10"),
        params={"k": [[HIDDEN, HIDDEN], [HIDDEN, HIDDEN]]},
        shown="--api-keys [redacted] [redacted] --api-keys [redacted] [redacted]",
    ),
    "other prefixes": argparse(
        "add('+api-key', dest='k')\nadd('/password', dest='p')",
        *("+api-key", "hunter7", "/password", "hunter8"),
        settings="prefix_chars='+/'",
        params={**K, "p": HIDDEN},
        shown="+api-key [redacted] /password [redacted]",
    ),
    "a sub-command's": argparse(
        "add = parser.add_subparsers(dest='c').add_parser('t').add_argument\n" + KEY,
        *("t", "-k", "hunter7"),
        params={"c": "t", **K},
        shown="t -k [redacted]",
    ),
    "a default": argparse(
        "add('--api-key', dest='k', default='hunter7', help='else %(default)s')", params=K, shown=""
    ),
    "what says nothing": argparse(
        "add('--auth', dest='a', action='store_true')\nadd('--token', dest='n', type=int)\n" + KEY,
        *("--auth", "--token", "3"),
        params={"a": True, "n": 3, "k": None},
        shown="--auth --token 3",
    ),
    "what the parser leaves to others": argparse(
        "add('-c', '--config')",
        *("-c", "small", "-p", "hunter7", "--tok=hunter8"),
        end="parser.parse_known_args()\n" + START,
        params={"config": "small"},
        shown="-c small -p [redacted] --tok=[redacted]",
    ),
    "what is passed on": argparse(
        "add('command', nargs='...')",
        *("run.py", "-n", "adam", "--password", "hunter7", "--api-key=hunter8,b"),
        params={
            "command": [
                *("run.py", "-n", "adam", "--password", HIDDEN, f"--api-key={HIDDEN}"),
            ]
        },
        shown="run.py -n adam --password [redacted] --api-key=[redacted]",
    ),
    "parsed later": argparse(
        KEY + "\nadd('--lr', type=float)\nadd('--api-keys', dest='s', nargs='+')",
        *("--api-key=007", "--api-keys", "hunter7", "hunter8", "--lr", "0.5"),
        end=LATER,
        params={**K, "lr": 0.5, "s": [HIDDEN, HIDDEN]},
        shown="--api-key=[redacted] --api-keys [redacted] [redacted] --lr 0.5",
    ),
    "parsed later, cut short": argparse(
        KEY + "\nadd('--hf-token')\nadd('--pages', type=int)",
        *("--api-k", "hunter7", "--hf-tok=hunter8", "--pa", "3"),
        end=LATER,
        params={**K, "hf_token": HIDDEN, "pages": 3},
        shown="--api-k [redacted] --hf-tok=[redacted] --pa 3",
    ),
    "parsed later, digits": argparse(
        KEY + "\nadd('-n', type=int)\nadd('-lr')",
        *("-k", "777123", "-n", "12345", "-lr=0.1"),
        end=LATER,
        params={**K, "n": 12345, "lr": "0.1"},
        shown="-k [redacted] -n 12345 -lr=0.1",
    ),
    "an option of click": click(
        "@click.option('--token', '-t', 'k')\n@click.option('-v', is_flag=True)",
        *("-vthunter7",),
        params={**K, "v": True},
        shown="-v[redacted]",
    ),
    "a variable": click(
        "@click.option('--x', 'k', envvar='HF_TOKEN')",
        before="import os; os.environ['HF_TOKEN'] = 'hunter7'\n",
        params=K,
        shown="",
    ),
    "an option that can be a variable": click(
        "@click.option('-x', 'k', envvar=['X', 'HF_TOKEN'])",
        *("-x", "hunter7"),
        params=K,
        shown="-x [redacted]",
    ),
    "an argument that can be a variable": click(
        "@click.argument('k', envvar='API_KEY')", "hunter7", params=K, shown="[redacted]"
    ),
    "what the help of click calls it": click(
        "@click.argument('k', metavar='PASSWORD')", "hunter7", params=K, shown="[redacted]"
    ),
    "what nobody may see, and is converted": click(
        "@click.option('-x', 'k', hide_input=True, type=int)\n"
        "@click.option('-o', type=click.Path(resolve_path=True), callback=lambda *_: 'there')",
        *("-x", "7", "-o", "out"),
        params={**K, "o": "there"},
        shown="-x [redacted] -o out",
    ),
    "what the function is not given": click(
        "@click.option('-x', hide_input=True, expose_value=False, type=int)",
        *("-x", "1234"),
        params={},
        shown="-x [redacted]",
    ),
    "several of click": click(
        "@click.option('-x', 'k', multiple=True, envvar='API_KEYS')\n@click.option('-m')",
        *("-x", "hunter7", "-xhunter8", "-m", "big"),
        params={"k": [HIDDEN, HIDDEN], "m": "big"},
        shown="-x [redacted] -x[redacted] -m big",
    ),
    "several of several": click(
        "@click.option('-x', 'k', multiple=True, type=(str, int), metavar='PASSWORD')",
        *("-x", "hunter7", "1234"),
        params={"k": [[HIDDEN, HIDDEN]]},
        shown="-x [redacted] [redacted]",
    ),
    "a flag that has an alias": absl(
        "DEFINE_multi_string('k', [], 'Of a bank.')\nflags.DEFINE_alias('api_key', 'k')",
        *("--k=hunter7", "--api_key=hunter8"),
        params={"k": [HIDDEN, HIDDEN], "api_key": [HIDDEN, HIDDEN]},
        shown="--k=[redacted] --api_key=[redacted]",
    ),
    "the alias of a flag": absl(
        "DEFINE_string('password', None, 'Of a bank.')\nflags.DEFINE_alias('pw', 'password')",
        *("--pw=hunter7",),
        params={"password": HIDDEN, "pw": HIDDEN},
        shown="--pw=[redacted]",
    ),
    "a flag with a short name": absl(
        "DEFINE_list('token', [], 'Of a bank.', short_name='t')\n"
        "flags.DEFINE_enum('mode', 'a', ['a', 'b'], 'How.', short_name='m')",
        *("-t", "hunter7,hunter8", "-m", "b"),
        params={"token": [HIDDEN, HIDDEN], "mode": "b"},
        shown="-t [redacted] -m b",
    ),
    "a flag whose short name is a secret's": absl(
        "DEFINE_string('k', 'hunter7', 'Of a bank.', short_name='token')",
        params=K,
        shown="",
    ),
    "typer": typer(
        "typer.Option('--x', '-x', envvar='HF_TOKEN')", "-xhunter7", params=K, shown="-x[redacted]"
    ),
    "an argument of typer": typer(
        "typer.Argument(envvar='HF_TOKEN')", "hunter7", params=K, shown="[redacted]"
    ),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    directory = tmp_path_factory.mktemp("secrets")
    names = {name: re.sub(r"\W+", "-", name) for name in CASES}
    found = run_programs(directory, {names[name]: case.program for name, case in CASES.items()})
    return {name: found[names[name]] for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_secret_is_nowhere_under(name: str, done: dict[str, Done]) -> None:
    case, found = CASES[name], done[name]
    section = "TF_DEFINE" if "absl" in case.program.text else "Args"
    wanted = {f"{section}/{key}": value for key, value in case.params.items()}
    assert found.params == wanted
    (run,) = found.runs
    assert run.facts["argv"][1:] == case.argv
    for file in run.dir.rglob("*"):
        assert not file.is_file() or b"hunter" not in file.read_bytes(), file


NO_SECRET = """
import argparse, tracelet
parser = argparse.ArgumentParser()
parser.add_argument("--token", "--hf-token")
parser.parse_args()
tracelet.start_logging(capture=["argparse"], redact={}).stop()
"""


@pytest.mark.parametrize("redact", [["!token"], ["!*token"], False])
def test_a_name_that_is_of_no_secret_frees_the_others(redact: Any, tmp_path: Path) -> None:
    run_script(tmp_path, NO_SECRET.format(redact), "--token", "hunter7")
    run = tracelet.load_run()
    assert run.params.flat() == {"Args/token": "hunter7"}
    assert run.facts["argv"][1:] == ["--token", "hunter7"]


SWEEP = """
import tracelet
def train(lr): pass
if __name__ == "__main__":
    tracelet.Sweep().product(lr=[1]).run(train, name="s")
"""


def test_the_command_line_of_a_sweep_shows_none(tmp_path: Path) -> None:
    run_script(tmp_path, SWEEP, "-p", "hunter7", "--api-k", "hunter8", "-n", "3")

    (file,) = tmp_path.rglob("sweep.json")
    argv = json.loads(file.read_text())["argv"]
    assert argv[1:] == ["-p", HIDDEN, "--api-k", HIDDEN, "-n", "3"]
