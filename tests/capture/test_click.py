"""What commands of click and typer are called with is captured, for the commands that run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from programs import Done, Program, run_programs
from user_scripts import Script, run_script

import tracelet

GROUP = """
import click, sys, tracelet
{early}
@click.group()
@click.option("--verbose/--quiet", default=False, help="Say more.")
@click.option("--lr", type=float, default=0.3)
def cli(verbose, lr): pass
@cli.group()
@click.option("--seed", type=int, default=0)
def train(seed): pass
@train.command()
@click.option("--lr", type=float, default=0.1)
@click.argument("files", nargs=-1)
def fast(lr, files):
    {late}
@train.command()
@click.option("--never", default="n")
def slow(never): pass
cli()
"""
CHAIN = """
import click, tracelet
@click.group(chain=True)
@click.option("--seed", type=int, default=1)
def cli(seed): tracelet.start_logging()
@cli.command()
@click.option("--n", type=int)
def build(n): pass
@cli.command()
@click.option("--fold", type=int, default=0)
def test(fold): {test}
@cli.command()
@click.option("--never", default=0)
def ship(never): pass
cli()
"""
SOURCES = """
import click, enum, pathlib, tracelet
class Color(enum.Enum): RED = "red"
@click.command()
@click.option("--count", default=1, help="Number of greetings.")
@click.option("--name", prompt="Your name")
@click.option("--from-variable", type=int, envvar="STEPS")
@click.option("--called", callback=lambda ctx, param, value: value.upper(), default="low")
@click.option("--pin", type=int, prompt=True, hide_input=True)
@click.option("--api-key", default="k-123456")
@click.option("--color", type=click.Choice(["red", "blue"]), default="red")
@click.option("--point", type=(int, float), default=(1, 2))
@click.option("--tag", multiple=True)
@click.option("--path", type=click.Path(path_type=pathlib.Path), default="p")
@click.option("--out", type=click.File("w"), default="never-opened.txt")
@click.option("--command", default="of the program")
@click.option("--unseen", expose_value=False, default=1)
@click.pass_context
def hello(ctx, **given):
    with tracelet.start_logging(): pass
    assert not pathlib.Path("never-opened.txt").exists()
    assert given["pin"] == 1234 and given["color"] == "red"
from click.testing import CliRunner
result = CliRunner().invoke(hello, ["--tag", "a", "--tag", "b"], input="joe\\n1234\\n",
                            env={"STEPS": "12"})
assert result.exception is None, result
"""
TYPER = """
import typer, pathlib, enum, tracelet
from typing import Annotated
class Color(str, enum.Enum): RED = "red"
app = typer.Typer()
@app.callback()
def main(seed: int = 3): pass
@app.command()
def train(
    data: pathlib.Path, lr: float = 0.1, color: Color = Color.RED, layers: list[int] = [1, 2],
    fast: bool = False, note: str | None = None,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True)] = "",
    pin: Annotated[int, typer.Option(hide_input=True)] = 77,
):
    assert isinstance(data, pathlib.Path) and color is Color.RED
    with tracelet.start_logging(): pass
@app.command()
def never(x: int = 1): pass
app()
"""
RUNNER = """
import click, sys, tracelet
from click.testing import CliRunner
sys.path.append("site-packages")
import library
@click.command()
@click.option("--lr", type=float)
def first(lr): pass
@click.command()
@click.option("--n", type=int)
def second(n):
    library.tool(["--lr", "9"], standalone_mode=False)
    nested(["--n", "5"], standalone_mode=False)
    with tracelet.start_logging(): pass
@click.command()
@click.option("--n", type=int)
def nested(n): pass
assert CliRunner().invoke(first, ["--lr", "1"]).exit_code == 0
result = CliRunner().invoke(second, ["--n", "2"])
assert result.exit_code == 0, result
"""
LIBRARY = {
    "site-packages/library.py": """
        import click
        @click.command()
        @click.option("--lr")
        def tool(lr): pass
        """
}
FAST = {
    "command": "train.fast",
    "verbose": False,
    "lr": 0.3,
    "seed": 4,
    "train.fast.lr": 0.1,
    "files": ["a", "b"],
}
CALL = ("train", "--seed", "4", "fast", "a", "b")
START = "with tracelet.start_logging(): pass"

CASES: dict[str, tuple[Program, dict[str, Any]]] = {
    "a group, and a run within its command": (
        Program(GROUP.format(early="", late=START), CALL),
        FAST,
    ),
    "a group, and a run around it": (
        Program(GROUP.format(early="tracelet.start_logging()", late="pass"), CALL),
        FAST,
    ),
    "a command that is called as a function, and a run afterwards": (
        Program(
            "import click, tracelet\n@click.command()\n@click.option('--lr', type=float)\n"
            "def main(lr): return lr\nassert main(standalone_mode=False) == 2.0\n" + START,
            ("--lr", "2"),
        ),
        {"lr": 2.0},
    ),
    "prompts, variables, callbacks, types": (
        Program(SOURCES),
        {
            "count": 1,
            "name": "joe",
            "from_variable": 12,
            "called": "LOW",
            "pin": "[redacted]",
            "api_key": "[redacted]",
            "color": "red",
            "point": [1, 2.0],
            "tag": ["a", "b"],
            "path": "p",
            "out": "<unopened file 'never-opened.txt' w>",
            "command": "of the program",
        },
    ),
    "chained commands": (
        Program(CHAIN.format(test="pass"), ("build", "--n", "2", "test")),
        {"command": "build,test", "seed": 1, "n": 2, "fold": 0},
    ),
    "chained commands of which one fails": (
        Program(CHAIN.format(test="raise SystemExit"), ("build", "test", "ship")),
        {"command": "build,test", "seed": 1, "n": None, "fold": 0},
    ),
    "typer": (
        Program(TYPER, ("--seed", "5", "train", "d", "--password", "hunter2")),
        {
            "command": "train",
            "seed": 5,
            "data": "d",
            "lr": 0.1,
            "color": "red",
            "layers": [1, 2],
            "fast": False,
            "note": None,
            "password": "[redacted]",
            "pin": "[redacted]",
        },
    ),
    "typer with one command": (
        Program(
            "import typer, tracelet\ndef main(lr: float, n: int = 2):\n  " + START
            + "\ntyper.run(main)\n",
            ("1",),
        ),
        {"lr": 1.0, "n": 2},
    ),
    "other commands before and within": (Program(RUNNER), {"n": 2, "nested.n": 5}),
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    directory = tmp_path_factory.mktemp("click")
    names = {name: re.sub(r"\W+", "-", name) for name in CASES}
    programs = {names[name]: case for name, (case, _) in CASES.items()}
    found = run_programs(directory, programs, LIBRARY)
    return {name: found[names[name]] for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_captured_is(name: str, done: dict[str, Done]) -> None:
    wanted = {f"Args/{key}": repr(value) for key, value in CASES[name][1].items()}
    assert {key: repr(value) for key, value in done[name].params.items()} == wanted


def test_the_path_of_the_command_is_recorded_once(done: dict[str, Done]) -> None:
    (run,) = done["a group, and a run around it"].runs
    assert len(run.params.history("Args/command")) == 1


def test_no_secret_is_anywhere(done: dict[str, Done]) -> None:
    for name in ("prompts, variables, callbacks, types", "typer"):
        for file in (done[name].directory / ".tracelet").rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert not re.search(rb"hunter2|\b1234\b|k-123456", content), file


def test_the_help_of_an_option_is_its_description(done: dict[str, Done]) -> None:
    (run,) = done["a group, and a run within its command"].runs
    assert run.params.description("Args/verbose") == "Say more."
    assert run.params.description("Args/seed") is None


def test_a_command_that_is_not_given_what_it_needs_is_not_recorded(tmp_path: Path) -> None:
    text = GROUP.format(early="tracelet.start_logging(capture=['click'])", late="pass")
    script = Script(tmp_path, text, "train", "fast", "--lr", "x")
    assert script.wait() == 2
    params = tracelet.load_run().params.flat()
    assert params == {"Args/verbose": False, "Args/lr": 0.3, "Args/seed": 0}  # what did run


LATE = """
import {library}
import {other}
import sys, typing
{app}
def main(lr: float = 0.1):
    import tracelet
    with tracelet.start_logging(capture=["click"]) as exp: print(exp.params.flat())
{run}
"""
CLICK = ("@click.command()\n@click.option('--lr', type=float)", "main()")
IN_TYPER = ("", "typer.run(main)")


@pytest.mark.parametrize("library", ["click", "typer"])
@pytest.mark.parametrize("other", ["sys", "tracelet"])
def test_tracelet_may_be_imported_in_the_command(library: str, other: str, tmp_path: Path) -> None:
    app, run = CLICK if library == "click" else IN_TYPER
    script = LATE.format(library=library, other=other, app=app, run=run)
    assert "{'Args/lr': 2.0}" in run_script(tmp_path, script, "--lr", 2)


SEEN = """
import click, inspect, sys, traceback
from click.testing import CliRunner
@click.group()
def cli(): pass
@cli.command()
@click.option("--lr", type=float, help="Rate.")
@click.pass_context
def train(ctx, lr):
    if lr == 13: raise KeyError(lr)
    if lr == 14: ctx.fail("fail")
    if lr == 15: ctx.exit(7)
    print(type(ctx), type(ctx.command), ctx.params, ctx.command_path)
    return lr
print(repr(train), inspect.signature(click.Command.invoke), click.Command.invoke.__qualname__)
for value in ("1", "13", "14", "15", "x", "--help"):
    for standalone in (True, False):
        try: print(cli(["train", "--lr", value], "x", standalone_mode=standalone))
        except SystemExit as end: print("exit", end.code)
        except Exception: traceback.print_exc(file=sys.stdout)
cli(["train", "--lr", "13"], "x")
"""


def test_the_program_sees_no_difference(tmp_path: Path) -> None:
    scripts = {
        "without": SEEN,
        "with": f"import tracelet; tracelet.start_logging(capture=['click']){SEEN}",
    }
    said = {}
    for name, text in scripts.items():
        directory = tmp_path / name
        directory.mkdir()
        script = Script(directory, text)
        assert script.wait() == 1
        said[name] = re.sub(r"^tracelet: .*\n", "", script.output, flags=re.MULTILINE)
        said[name] = re.sub(r" at 0x\w+", "", said[name].replace(str(directory), ""))
    assert "KeyError: 13.0" in said["without"]
    assert said["with"] == said["without"]


def test_the_command_line_of_tracelet_is_no_programs(tmp_path: Path) -> None:
    script = """
import tracelet
from tracelet.cli.app import app
tracelet.start_logging(capture=["click", "argparse"])
app(["runs"], standalone_mode=False)
print(tracelet.get_active_experiment().params.flat())
"""
    assert "{}" in run_script(tmp_path, script).splitlines()
