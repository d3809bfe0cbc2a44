"""More programs that use click or typer: types of values, nested groups, other places of values."""

from __future__ import annotations

from typing import Any

from click_cases import START
from programs import Program

TYPES = """
import click, datetime, enum, pathlib, tracelet
{early}
class Kind(enum.Enum): X = "x"
pathlib.Path("in.txt").write_text("")
@click.command()
@click.option("--file", type=click.File("r"))
@click.option("--path", type=click.Path(path_type=pathlib.Path))
@click.option("--choice", type=click.Choice(["A", "B"], case_sensitive=False))
@click.option("--date", type=click.DateTime())
@click.option("--range", type=click.IntRange(0, 5, clamp=True))
@click.option("--pair", type=(str, int))
@click.option("--many", multiple=True, type=float)
@click.option("--pairs", multiple=True, type=(str, int))
@click.option("--two", nargs=2, type=int)
@click.option("--upper", "case", flag_value="upper", default=True)
@click.option("--lower", "case", flag_value="lower")
@click.option("--yes/--no", default=None)
@click.option("-v", count=True)
@click.option("--mapped")
@click.option("--of-variable", type=float)
@click.option("--none")
@click.argument("files", nargs=-1, type=click.Path())
def main(**given):
    assert type(given["path"]) is type(pathlib.Path()) and type(given["pair"]) is tuple
    assert type(given["date"]) is datetime.datetime
    {late}
import os
os.environ["TRAIN_OF_VARIABLE"] = "0.25"
main(default_map={{"mapped": "m"}}, auto_envvar_prefix="TRAIN")
"""
GIVEN = (
    *("--file", "in.txt", "--path", "/a", "--choice", "a", "--date", "2024-01-02"),
    *("--range", "9", "--pair", "a", "1", "--many", "1", "--many", "2"),
    *("--pairs", "x", "1", "--pairs", "y", "2", "--two", "3", "4", "--lower", "--no", "-vv", "q"),
)
TYPED = {
    "file": "<_io.TextIOWrapper name='in.txt' mode='r' encoding='UTF-8'>",
    "path": "/a",
    "choice": "A",
    "date": "2024-01-02T00:00:00",
    "range": 5,
    "pair": ["a", 1],
    "many": [1.0, 2.0],
    "pairs": [["x", 1], ["y", 2]],
    "two": [3, 4],
    "case": "lower",
    "yes": False,
    "v": 2,
    "mapped": "m",
    "of_variable": 0.25,
    "none": None,
    "files": ["q"],
}
NESTED = """
import click, tracelet
{early}
settings = {{"default_map": {{"nest": {{"do-it": {{"lr": 7}}}}}}}}
@click.group(context_settings=settings, invoke_without_command=True)
@click.option("--debug/--no-debug")
def cli(debug): pass
@cli.group(chain=True)
def nest(): pass
@nest.command("do-it", context_settings={{"ignore_unknown_options": True}})
@click.option("--lr", type=int)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def do(lr, rest): pass
@nest.command()
@click.option("--k", default="k")
def two(k):
    {late}
cli()
"""
TYPER = """
import datetime, enum, pathlib, tracelet, typer
from typing import Annotated, Literal
{early}
class Color(str, enum.Enum): RED = "red"; BLUE = "blue"
app, data = typer.Typer(), typer.Typer()
app.add_typer(data, name="data")
@data.callback()
def root(root: str = "r"): pass
@data.command("get-it")
def get(
    color: Color = Color.RED, maybe: int | None = None, sizes: list[float] = [1, 2],
    path: pathlib.Path = pathlib.Path("q"), date: datetime.datetime = "2024-01-01",
    pair: tuple[int, str] = (1, "a"), flag: bool = True, word: Literal["u", "v"] = "u",
):
    assert color is Color.BLUE
    {late}
@app.command()
def other(never: int = 1): pass
app()
"""
IN_TYPER = {
    "command": "data.get-it",
    "root": "x",
    "color": "blue",
    "maybe": None,
    "sizes": [3.0],
    "path": "q",
    "date": "2024-01-01T00:00:00",
    "pair": [5, "z"],
    "flag": False,
    "word": "u",
}
PROGRAMS = {
    "types": (TYPES, GIVEN, TYPED),
    "groups in groups": (
        NESTED,
        ("--debug", "nest", "two"),
        {"command": "nest.two", "debug": True, "k": "k"},
    ),
    "typer in typer": (
        TYPER,
        (
            *("data", "--root", "x", "get-it", "--color", "blue", "--sizes", "3"),
            *("--no-flag", "--pair", "5", "z"),
        ),
        IN_TYPER,
    ),
}
EARLY = {"early": "tracelet.start_logging()", "late": "pass"}
LATE = {"early": "", "late": START}
ROWS: dict[str, tuple[Program, dict[str, Any]]] = {
    f"{name}, {when}": (Program(text.format(**parts), argv), params)
    for name, (text, argv, params) in PROGRAMS.items()
    for when, parts in (("the run first", EARLY), ("the run within", LATE))
}
ROWS["chained commands in a group, and what is mapped"] = (
    Program(NESTED.format(**EARLY), ("nest", "do-it", "--zz")),
    {"command": "nest.do-it", "debug": False, "lr": 7, "rest": ["--zz"]},
)
