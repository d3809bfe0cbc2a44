"""Programs that use click or typer, each with the parameters that its run must have."""

from __future__ import annotations

from typing import Any

from programs import Program

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

SEVERAL = """
import click, tracelet
from click.testing import CliRunner
@click.command()
@click.option("--lr", type=float, default=1)
@click.option("--a", default="a")
def one(lr, a):
    {one}
@click.command()
@click.option("--lr", default=2)
def two(lr):
    {two}
same = click.Command("one", callback=lambda lr: None, params=[click.Option(["--lr"], default=3)])
@click.group()
@click.option("--lr", default=4)
def cli(lr): pass
cli.add_command(click.Command("sub", callback=lambda: None))
cli.add_command(click.Command("other", callback=lambda lr: None, params=same.params))
def call(command, *argv): command(argv, standalone_mode=False)
{body}
"""
NO_START = {"one": "pass", "two": "pass"}
BEGIN_AND = "tracelet.start_logging();"
FIRST = {"lr": 1.0, "a": "a"}
LINES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "in a run": ({"body": f"{BEGIN_AND} call(one); call(two)"}, {**FIRST, "two.lr": 2}),
    "before a run": ({"body": f"call(one); call(two)\n{START}"}, {**FIRST, "two.lr": 2}),
    "the run within the last": ({"body": "call(one); call(two)", "two": START}, {"lr": 2}),
    "one within another": (
        {"body": f"call(one)\n{START}", "one": "call(two)"},
        {**FIRST, "two.lr": 2},
    ),
    "of a test": (
        {"body": f"{BEGIN_AND} CliRunner().invoke(one); CliRunner().invoke(two)"},
        {**FIRST, "two.lr": 2},
    ),
    "one again": (
        {"body": f"call(one); call(two); call(one, '--lr', '7')\n{START}"},
        {**FIRST, "lr": 7.0, "two.lr": 2},
    ),
    "of one name": ({"body": f"{BEGIN_AND} call(one); call(same)"}, {**FIRST, "one2.lr": 3}),
    "groups": (
        {"body": f"call(cli, 'sub'); call(one); call(cli, 'other')\n{START}"},
        {"command": "other", "lr": 4, "one.lr": 1.0, "a": "a", "other.lr": 3},
    ),
    "a group at last": (
        {"body": f"{BEGIN_AND} call(one); call(cli, 'other')"},
        {**FIRST, "command": "other", "cli.lr": 4, "other.lr": 3},
    ),
    "one that fails": (
        {"body": f"{BEGIN_AND} call(one)\ntry: call(two, '--x')\nexcept click.UsageError: pass"},
        FIRST,
    ),
}

MANUAL = """
import io, sys
sys.stdin = io.StringIO("Ada\\n")
import tracelet
import click

exp = tracelet.start_logging(project="examples", exp_name="click single command")

@click.command()
@click.option("--count", default=1, help="Number of greetings.")
@click.option("--name", prompt="Your name", help="The person to greet.")
def hello(count, name):
    for x in range(count):
        click.echo("Hello {}!".format(name))

hello()
"""

CASES: dict[str, tuple[Program, dict[str, Any]]] = {
    "the example of another library's manual": (Program(MANUAL), {"count": 1, "name": "Ada"}),
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
    **{
        f"several programs, {name}": (Program(SEVERAL.format(**{**NO_START, **parts})), params)
        for name, (parts, params) in LINES.items()
    },
    "other commands before and within": (Program(RUNNER), {"n": 2, "nested.n": 5}),
}  # fmt: skip
