"""The flags of absl that a program defines are captured, and not absl's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from user_scripts import run_script

import tracelet

SCRIPT = """
{begin}
import enum, sys
sys.path.append("site-packages")
from absl import app, flags
import library, options
class Mode(enum.Enum): FAST = "fast"
FLAGS = flags.FLAGS
flags.DEFINE_float("lr", 0.1, "Learning rate.")
flags.DEFINE_integer("steps", None, "How many.")
flags.DEFINE_bool("amp", True, "Mixed precision.")
flags.DEFINE_list("tags", ["a"], "Names.")
flags.DEFINE_multi_integer("layers", [1], "Sizes.")
flags.DEFINE_enum_class("mode", Mode.FAST, Mode, "How.")
flags.DEFINE_string("api_key", "k-123456", "Secret.")
{start}
def main(argv):
    assert argv[1:] == ["rest"]
    {within}
app.run(main)
"""
RUN = "exp = tracelet.start_logging(capture=['absl']); exp.stop()"
WHERE = {
    "the run begins before": {
        "begin": "import tracelet",
        "start": "exp = tracelet.start_logging(capture=['absl'])",
        "within": "exp.stop()",
    },
    "the run begins in main": {"begin": "import tracelet", "within": RUN},
    "tracelet is imported in main": {"within": f"import tracelet; {RUN}"},
}


@pytest.mark.parametrize("where", WHERE)
def test_the_flags_of_the_program_are_captured_when(where: str, tmp_path: Path) -> None:
    define = "from absl import flags\nflags.DEFINE_integer('{}', 7, 'Of a module.')\n"
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages/library.py").write_text(define.format("of_library"))
    (tmp_path / "options.py").write_text(define.format("seed"))
    parts = {"begin": "", "start": "", **WHERE[where]}
    run_script(tmp_path, SCRIPT.format(**parts), "--lr=2", "--layers=3", "--layers=4", "rest")

    params = tracelet.load_run().params
    wanted = {
        "lr": 2.0,
        "steps": None,
        "amp": True,
        "tags": ["a"],
        "layers": [3, 4],
        "mode": "fast",
        "api_key": "[redacted]",
        "seed": 7,
    }
    assert params.flat() == {f"TF_DEFINE/{name}": value for name, value in wanted.items()}
    assert type(params["TF_DEFINE/lr"]) is float
    assert params.description("TF_DEFINE/lr") == "Learning rate."


KINDS = """
import enum, pathlib, tracelet
from absl import app, flags
class Mode(enum.Enum): SLOW = 1; FAST = 2
flags.DEFINE_float("lr", 0.1, "Rate.")
flags.DEFINE_integer("n", None, "How many.", required=True)
flags.DEFINE_multi_float("sizes", [1, 2], "Sizes.")
flags.DEFINE_multi_enum("letters", ["a"], ["a", "b"], "Letters.")
flags.DEFINE_multi_enum_class("modes", [Mode.SLOW], Mode, "How.")
flags.DEFINE_enum("letter", "a", ["a", "b"], "A letter.")
flags.DEFINE_list("names", ["a"], "Names.")
flags.DEFINE_spaceseplist("words", ["a"], "Words.")
flags.DEFINE_bool("off", True, "Whether.")
pathlib.Path("flags.txt").write_text("--lr=3\\n--n=4\\n")
def main(argv):
    flags.FLAGS.letter = "b"
    tracelet.start_logging(capture=["absl"]).stop()
    assert type(flags.FLAGS.sizes[0]) is float and flags.FLAGS.modes == [Mode.FAST]
app.run(main)
"""


def test_flags_of_all_kinds_are_as_the_program_has_them(tmp_path: Path) -> None:
    given = ["--sizes=4", "--letters=a", "--letters=b", "--modes=fast", "--names=x,y"]
    run_script(tmp_path, KINDS, "--flagfile=flags.txt", *given, "--words=p q", "--nooff", "--n=9")

    wanted = {
        "lr": 3.0,
        "n": 9,
        "sizes": [4.0],
        "letters": ["a", "b"],
        "modes": [2],
        "letter": "b",
        "names": ["x", "y"],
        "words": ["p", "q"],
        "off": False,
    }
    params = tracelet.load_run().params.flat()
    assert {key: repr(value) for key, value in params.items()} == {
        f"TF_DEFINE/{name}": repr(value) for name, value in wanted.items()
    }


def test_flags_that_are_not_parsed_are_not_recorded(tmp_path: Path) -> None:
    script = f"""
import tracelet
from absl import flags
flags.DEFINE_float("lr", 0.1, "Learning rate.")
{RUN}
"""
    run_script(tmp_path, script, "--lr=2")
    assert tracelet.load_run().params == {}
