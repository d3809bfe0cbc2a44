"""What argparse returns is captured as the program sees it, and the program sees no capture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from argparse_cases import BEGIN, CASES, LIBRARY, START
from argparse_rows import ROWS
from programs import Done, Program, run_programs
from user_scripts import Script, run_script

import tracelet

EARLY = BEGIN + "import tracelet\ntracelet.start_logging()\n"
PROGRAMS = {**CASES, **ROWS} | {
    f"{name}, in a run": (
        Program(EARLY + case.text.removeprefix(BEGIN).removesuffix(START), case.argv),
        params,
    )
    for name, (case, params) in (CASES | ROWS).items()
    if case.text.startswith(BEGIN) and case.text.endswith(START)
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    directory = tmp_path_factory.mktemp("argparse")
    programs = {name: case for name, (case, _) in PROGRAMS.items()}
    names = {name: re.sub(r"\W+", "-", name) for name in programs}
    found = run_programs(directory, {names[name]: case for name, case in programs.items()}, LIBRARY)
    return {name: found[names[name]] for name in programs}


@pytest.mark.parametrize("name", PROGRAMS)
def test_captured_is(name: str, done: dict[str, Done]) -> None:
    wanted = {f"Args/{key}": value for key, value in PROGRAMS[name][1].items()}
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
sub = parser.add_subparsers(dest="what", help="what to do").add_parser("train")
sub.add_argument("--fast", help="do not wait")
parser.parse_args(["train"])
tracelet.start_logging(capture=["argparse"]).stop()
"""
    run_script(tmp_path, script)
    params = tracelet.load_run().params
    assert params.description("Args/lr") == "the rate of net, not 0.1 or 100%"
    assert params.description("Args/what") == "what to do"
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
    (tmp_path / "conftest.py").write_text(
        """
import tracelet
session = tracelet.Experiment("session", capture=["argparse"]).start()
def pytest_configure():  # after pytest has parsed its arguments
    assert session.params == {}, session.params
    session.stop()
"""
    )
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
    script = """
import subprocess, sys
subprocess.run([sys.executable, "-m", "pytest", "-q", "test_program.py"], check=True)
"""
    said = run_script(tmp_path, script)
    assert "2 passed" in said


def test_an_installed_package_that_is_started_is_the_program(tmp_path: Path) -> None:
    package = tmp_path / "site-packages/trainer"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("from trainer.command import main\nmain()\n")
    (package / "command.py").write_text(
        "import argparse, tracelet\ndef main():\n"
        "  parser = argparse.ArgumentParser()\n"
        "  parser.add_argument('--lr', type=float)\n"
        "  parser.parse_known_args(['--lr', '2'])\n"
        "  with tracelet.start_logging(capture=['argparse']) as exp: print(exp.params.flat())\n"
    )
    script = """
import subprocess, sys
subprocess.run([sys.executable, "-m", "trainer"], check=True, cwd="site-packages")
"""
    assert "{'Args/lr': 2.0}" in run_script(tmp_path, script).splitlines()


UNDER_ANOTHER_NAME = """
import argparse
import tracelet

parser = argparse.ArgumentParser()
parser.add_argument("-p", "--pw", dest="password")
parser.add_argument("-k", dest="api_keys", nargs="+")
parser.parse_args()
tracelet.start_logging(capture=["argparse"], capture_arguments={"password": False}).stop()
"""


def test_a_secret_under_another_name_is_not_in_the_command_line_either(tmp_path: Path) -> None:
    run_script(tmp_path, UNDER_ANOTHER_NAME, "-k", "hunter2", "hunter3", "--pw=hunter4")

    run = tracelet.load_run()
    hidden = ["-k", "[redacted]", "[redacted]", "--pw=[redacted]"]
    assert run.facts["argv"][1:] == hidden
    assert run.params.flat() == {"Args/api_keys": ["[redacted]"] * 2}
    for file in run.dir.rglob("*"):
        assert not file.is_file() or b"hunter" not in file.read_bytes(), file


def test_a_value_that_compares_as_arrays_do_is_a_parameter_among_others(tmp_path: Path) -> None:
    said = run_script(
        tmp_path,
        """
        import argparse, tracelet
        class Array:
            def __eq__(self, other): return self
            def __bool__(self): raise ValueError("the truth value is ambiguous")
            __hash__ = None
            def __repr__(self): return "Array"
            __slots__ = ()
        parser = argparse.ArgumentParser()
        parser.add_argument("--weights", default=Array())
        parser.add_argument("--lr", default=0.1)
        parser.parse_args()
        with tracelet.start_logging(capture=["argparse"]) as exp: print(exp.params.flat())
        """,
    )
    assert "{'Args/weights': 'Array', 'Args/lr': 0.1}" in said
    assert "has failed" not in said


BOTTOMLESS = """
import argparse, tracelet
{before}
loop = [1]
loop.append(loop)
table = {{"a": 1}}
table["b"] = [table]
deep = []
for _ in range(5000): deep = [deep]
parser = argparse.ArgumentParser()
for name, value in (("lr", 0.1), ("loop", loop), ("table", table), ("deep", deep), ("n", 3)):
    parser.add_argument("--" + name, default=value)
parser.parse_args([])
parser.parse_args([])
{after}
print(exp.params.flat())
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_an_argument_that_cannot_be_recorded_costs_no_other(order: str, tmp_path: Path) -> None:
    start = "exp = tracelet.start_logging(capture=['argparse'])"
    script = BOTTOMLESS.format(**{"before": "", "after": "", order: start})
    said = run_script(tmp_path, script)
    assert "{'Args/lr': 0.1, 'Args/n': 3}" in said
    assert "'Args/loop' is left out" in said
    assert "'Args/table' is left out" in said
    assert "'Args/deep' is left out" in said
    assert said.count("Warning") == 1
    assert "Recursion" not in said


PARSED_LATER = """
import argparse, tracelet
exp = tracelet.start_logging(capture={capture})
parser = argparse.ArgumentParser()
parser.add_argument("-p", dest="password")
parser.add_argument("-k", dest="api_key")
parser.add_argument("-c", dest="config")
parser.add_argument("-n", type=float)
parser.add_argument("-x", action="store_true")
parser.add_argument("-v", action="store_true")
parser.add_argument("name")
parser.parse_args()
"""


@pytest.mark.parametrize("capture", ["True", "['argparse']", "False"])
def test_what_only_a_later_parser_can_tell_is_not_in_the_command_line(
    capture: str, tmp_path: Path
) -> None:
    script = PARSED_LATER.format(capture=capture)
    given = ["-p", "hunter2", "-khunter3", "-c", "train.py", "-n", "1e-3", "-xv", "net"]
    run_script(tmp_path, script, *given)

    run = tracelet.load_run()
    hidden = ["-p", "[redacted]", "-k[redacted]", "-c", "train.py", "-n", "1e-3", "-xv"]
    assert run.facts["argv"][1:-1] == hidden
    for file in run.dir.rglob("*"):
        assert not file.is_file() or b"hunter" not in file.read_bytes(), file


OVERRIDDEN = """
import argparse, tracelet
class Parser(argparse.ArgumentParser):
    def parse_args(self, *args, **kwargs):
        args = super().parse_args(*args, **kwargs)
        args.lr = args.lr * 2
        args.device = "cpu"
        return args
{before}
parser = Parser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()
{after}
exp.stop()
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_what_a_parser_adds_after_its_base_has_parsed_is_recorded(
    order: str, tmp_path: Path
) -> None:
    start = "exp = tracelet.start_logging(capture=['argparse'])"
    run_script(tmp_path, OVERRIDDEN.format(**{"before": "", "after": "", order: start}))
    assert tracelet.load_run().params.flat() == {"Args/lr": 0.2, "Args/device": "cpu"}


def test_arguments_that_become_one_key_are_a_warning_and_the_first_is_kept(tmp_path: Path) -> None:
    script = Script(
        tmp_path,
        """
        import argparse, tracelet
        parser = argparse.ArgumentParser()
        parser.parse_args([], argparse.Namespace(**{"a.b": 1, "a": {"b": 2}, "c": 3}))
        with tracelet.start_logging(run_id="r"):
            pass
        """,
    )
    assert script.wait() == 0, script.output
    assert "'Args/a' is left out: 'Args/a.b' is there already" in script.output
    run = tracelet.load_run(tmp_path / ".tracelet/default/r")
    assert run.params == {"Args/a.b": 1, "Args/c": 3}
