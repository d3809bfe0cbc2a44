"""An exception that leaves the function in which a run was started is that run's."""

from __future__ import annotations

import textwrap
from pathlib import Path

from user_scripts import run_script

import tracelet

BEGIN = """
import contextlib, gc, sys, weakref, tracelet
def train(name, error=None):
    exp = tracelet.start_logging(run_id=name)
    exp.log_metric("loss", 1.0)
    if error is not None:
        raise error("no")
def begin(name):
    return tracelet.start_logging(run_id=name)
class Big: ...
"""

CASES: dict[str, tuple[str, str, str | None]] = {
    "returned": ("train('r')", "finished", None),
    "caught": (
        "try: train('r', ValueError)\nexcept ValueError: pass",
        "failed",
        "an exception has left train (",
    ),
    "caught by name": (
        "try: train('r', ValueError)\nexcept Exception as error: print(error)",
        "failed",
        "an exception has left train (",
    ),
    "suppressed": (
        "with contextlib.suppress(ValueError): train('r', ValueError)",
        "failed",
        "an exception has left train (",
    ),
    "caught further up": (
        (
            "def call(): train('r', ValueError)\n"
            "try: call()\nexcept ValueError as error: print(error)"
        ),
        "failed",
        "an exception has left train (",
    ),
    "caught by another exception": (
        (
            "def call():\n    try: train('r', ValueError)\n"
            "    except ValueError as error: raise RuntimeError from error\n"
            "try: call()\nexcept RuntimeError: pass"
        ),
        "failed",
        "an exception has left train (",
    ),
    "an exit": (
        "try: train('r', SystemExit)\nexcept (ValueError, SystemExit): pass",
        "finished",
        None,
    ),
    "an interruption": (
        "try: train('r', KeyboardInterrupt)\nexcept KeyboardInterrupt: print('no')",
        "killed",
        "KeyboardInterrupt",
    ),
    "of a circle": (
        (
            "gc.disable()\n"  # the frame is looked at as long as nobody has collected it
            "def whole():\n    tracelet.start_logging(run_id='r')\n"
            "    error = ValueError('no')\n    raise error\n"
            "try: whole()\nexcept ValueError: pass"
        ),
        "failed",
        "an exception has left whole (",
    ),
    "kept": (
        "kept = []\ntry: train('r', ValueError)\nexcept ValueError as error: kept += [error]",
        "failed",
        "an exception has left train (",
    ),
    "shown by a notebook": (
        "try: train('r', ValueError)\nexcept ValueError as error: sys.last_value = error",
        "failed",
        "ValueError: no",
    ),
    "of a helper that starts it": (
        (
            "def outer():\n    begin('r')\n    raise ValueError('no')\n"
            "try: outer()\nexcept ValueError: pass"
        ),
        "failed",
        "an exception has left outer (",
    ),
    "of a cell of a notebook": (
        (
            "try: exec(compile('begin(\"r\"); 1 / 0', 'cell', 'exec'), globals())\n"
            "except ZeroDivisionError: pass"
        ),
        "failed",
        "an exception has left <module> (cell)",
    ),
    "the program goes on with the run": (
        (
            "try: train('r', ValueError)\nexcept ValueError: pass\n"
            "tracelet.get_active_experiment().log_metric('loss', 2.0)"
        ),
        "finished",
        None,
    ),
    "caught within the function": (
        (
            "def whole():\n    tracelet.start_logging(run_id='r')\n    try: int('x')\n"
            "    except ValueError as error: whole.error = error\n"
            "whole()\nwhole.error = None"
        ),
        "finished",
        None,
    ),
    "caught within the function, and kept": (
        (
            "def whole():\n    tracelet.start_logging(run_id='r')\n    try: int('x')\n"
            "    except ValueError as error: whole.error = error\nwhole()"
        ),
        "finished",
        None,
    ),
    "a frame in a circle": (
        (
            "def whole():\n    tracelet.start_logging(run_id='r')\n    frame = sys._getframe()\n"
            "whole()\ngc.collect()"
        ),
        "finished",
        None,
    ),
    "a generator": (
        (
            "def whole():\n    tracelet.start_logging(run_id='r')\n    yield 1\n    yield 2\n"
            "next(whole())"
        ),
        "finished",
        None,
    ),
    "an exception of another function": (
        "train('r')\ntry: int('x')\nexcept ValueError as error: print(error)",
        "finished",
        None,
    ),
}
ENDS = {
    "the next run starts": "begin('next')",
    "it is stopped": "tracelet.stop_logging()",
    "the program ends": "",
}


def test_a_run_has_the_status_of_the_function_that_has_started_it(tmp_path: Path) -> None:
    program = ["import os, sys"]
    for number, (case, _, _) in enumerate(CASES.values()):
        for place, end in enumerate(ENDS.values()):
            directory = tmp_path / f"{number}-{place}"
            directory.mkdir()
            body = textwrap.indent(f"{case}\n{end}", "    ")
            (directory / "part.py").write_text(f"{BEGIN}\ndef main():\n{body}\nmain()")
            program += [f"run({str(directory)!r})"]
    run = (
        "import runpy\nimport tracelet\n"
        "def run(directory):\n"
        "    if os.fork() == 0:\n"
        "        os.chdir(directory)\n"
        "        runpy.run_path('part.py', run_name='__main__')\n"
        "        sys.exit()\n"
        "    assert os.wait()[1] == 0, directory\n"
    )
    text = "\n".join([program[0], run, *program[1:]])
    run_script(tmp_path, text, environment={"TRACELET_CAPTURE": "false"})
    for number, (name, (_, status, reason)) in enumerate(CASES.items()):
        for place, end in enumerate(ENDS):
            found = tracelet.load_run(tmp_path / f"{number}-{place}/.tracelet/default/r")
            assert found.status == status, (name, end, found.reason)
            if reason is None:
                assert found.reason in (None, "exit code 0"), (name, end)
            else:
                assert str(found.reason).startswith(reason), (name, end, found.reason)


def test_the_variables_of_the_function_are_freed_and_none_is_added(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        BEGIN
        + textwrap.dedent("""
        def function():
            before = locals()
            big = Big()
            ref = weakref.ref(big)
            begin("r")
            assert before is not None and set(locals()) == {"before", "big", "ref"}
            del big
            before.clear()
            assert ref() is None
            big = Big()
            return weakref.ref(big)
        gc.disable()
        assert function()() is None
        """),
    )
