"""What commands of click and typer are called with is captured, for the commands that run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click_cases import CASES, GROUP, LIBRARY
from click_rows import ROWS
from programs import Done, run_programs
from user_scripts import Script, run_script

import tracelet

PROGRAMS = {**CASES, **ROWS}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    directory = tmp_path_factory.mktemp("click")
    names = {name: re.sub(r"\W+", "-", name) for name in PROGRAMS}
    programs = {names[name]: case for name, (case, _) in PROGRAMS.items()}
    found = run_programs(directory, programs, LIBRARY)
    return {name: found[names[name]] for name in PROGRAMS}


@pytest.mark.parametrize("name", PROGRAMS)
def test_captured_is(name: str, done: dict[str, Done]) -> None:
    wanted = {f"Args/{key}": repr(value) for key, value in PROGRAMS[name][1].items()}
    assert {key: repr(value) for key, value in done[name].params.items()} == wanted


def test_the_path_of_the_command_is_recorded_once(done: dict[str, Done]) -> None:
    (run,) = done["a group, and a run around it"].runs
    assert len(run.params.history("Args/command")) == 1


def test_no_secret_is_anywhere(done: dict[str, Done]) -> None:
    for name in ("prompts, variables, callbacks, types", "typer"):
        for file in (done[name].directory / ".tracelet").rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert not re.search(rb"hunter2|\b1234\b|k-123456", content), file


HIDDEN = """
import click
import tracelet

@click.command()
@click.option("--pin", hide_input=True, type=int)
def train(pin):
    tracelet.start_logging(capture=["click"]).stop()

train()
"""


def test_what_is_not_to_be_seen_is_not_in_the_command_line_either(tmp_path: Path) -> None:
    run_script(tmp_path, HIDDEN, "--pin", "1234")

    assert tracelet.load_run().facts["argv"][1:] == ["--pin", "[redacted]"]


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
