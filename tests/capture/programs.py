"""Users' programs, many in one test: each in a process of its own, with arguments and a directory.

The processes are forks of one that has imported tracelet and nothing else, which saves the import.
Where the order of imports matters, ``user_scripts.run_script`` starts Python anew.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from user_scripts import run_script

import tracelet

DRIVER = """
import json, os, runpy, sys
import tracelet

programs = json.load(open("programs.json"))
for directory, argv in programs:
    pid = os.fork()
    if pid == 0:
        os.chdir(directory)
        output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv[:] = ["train.py", *argv]
        sys.path[0] = directory
        sys.orig_argv[:] = [sys.executable, *sys.argv]
        runpy.run_path("train.py", run_name="__main__")
        sys.exit()
    _, status = os.waitpid(pid, 0)
    with open(os.path.join(directory, "exit"), "w") as file:
        file.write(str(os.waitstatus_to_exitcode(status)))
"""


@dataclass
class Program:
    """A script and the command line it is started with."""

    text: str
    argv: tuple[str, ...] = ()


@dataclass
class Done:
    """What a program has left."""

    directory: Path

    @property
    def output(self) -> str:
        return (self.directory / "output").read_text()

    @property
    def exit_code(self) -> int:
        return int((self.directory / "exit").read_text())

    @property
    def runs(self) -> list[tracelet.Run]:
        """Its runs, the oldest first."""
        files = sorted((self.directory / ".tracelet").glob("*/*/run.json"))
        return sorted(
            (tracelet.load_run(file.parent) for file in files), key=lambda run: run.started
        )

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of its only run; it must have ended well."""
        assert self.exit_code == 0, self.output
        (run,) = self.runs
        return run.params.flat()


def run_programs(
    directory: Path, programs: dict[str, Program], files: dict[str, str] | None = None
) -> dict[str, Done]:
    """Run programs to their ends, by name.

    Args:
        directory: where each gets a directory of its own.
        files: what is in each of these directories, besides the script.
    """
    order = []
    for name, program in programs.items():
        place = directory / name
        place.mkdir(parents=True)
        (place / "train.py").write_text(textwrap.dedent(program.text))
        for file, content in (files or {}).items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_text(textwrap.dedent(content))
        order.append((str(place), program.argv))
    (directory / "programs.json").write_text(json.dumps(order))
    capture = "argparse,click,hydra,absl,environment"
    run_script(directory, DRIVER, name="driver.py", environment={"TRACELET_CAPTURE": capture})
    return {name: Done(directory / name) for name in programs}
