"""Runs benchmarks, each in a process of its own, and prints one table or one JSON document."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil

import tracelet

HERE = Path(__file__).parent
WIDTHS = (43, 17, 12, 3)


def names() -> list[str]:
    """Return the benchmarks there are: the modules of this package that define ``main``."""
    files = sorted(HERE.glob("[!_]*.py"))
    return [file.stem for file in files if "\ndef main(" in file.read_text(encoding="utf-8")]


def run(name: str) -> dict[str, Any]:
    """Run one benchmark in a fresh process, without the settings of whoever measures."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRACELET_")}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        answer = Path(directory, "answer.json")
        command = [sys.executable, "-m", "benchmarks", "--alone", str(answer), name]
        # What a benchmark or an SDK prints is not part of the table.
        done = subprocess.run(command, cwd=HERE.parent, env=environ, stdout=sys.stderr, check=False)
        if not answer.exists():
            result: dict[str, Any] = {"not_run": f"it failed with exit code {done.returncode}"}
        else:
            result = json.loads(answer.read_text())
    return {**result, "seconds": round(time.monotonic() - began, 1)}


def alone(name: str, answer: Path) -> None:
    """Be the process of one benchmark."""
    try:
        result = importlib.import_module(f"benchmarks.{name}").main()
    except ImportError as error:
        result = {"not_run": f"{error}" + (f"; install {error.name}" if error.name else "")}
    answer.write_text(json.dumps(result))


def machine() -> dict[str, Any]:
    """Say what the figures were measured on."""
    return {
        "tracelet": tracelet.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": psutil.cpu_count(),
        "load": [round(load, 2) for load in psutil.getloadavg()],
    }


def table(name: str, result: dict[str, Any]) -> str:
    """Return the part of the table that is about one benchmark."""
    lines = [f"{name} ({result['seconds']} s)"]
    if "not_run" in result:
        return "\n".join([*lines, f"  not run: {result['not_run']}"])
    rows = result.get("rows")
    if rows is None:
        rows = [{"what": key, "measured": str(value)} for key, value in result.items()]
    for row in rows:
        met = {True: "yes", False: "NO", None: ""}[row.get("met")]
        cells = (f"  {row['what']}", str(row["measured"]), row.get("budget") or "", met)
        lines += in_columns(cells)
    return "\n".join(lines)


def in_columns(cells: tuple[str, ...]) -> list[str]:
    """Lay cells out side by side, each wrapped to its column."""
    wrapped = [
        textwrap.wrap(cell, width, subsequent_indent="    " if not index else "",
                      drop_whitespace=True, initial_indent="  " if not index else "") or [""]
        for index, (cell, width) in enumerate(zip(map(str.strip, cells), WIDTHS, strict=True))
    ]  # fmt: skip
    height = max(map(len, wrapped))
    padded = [column + [""] * (height - len(column)) for column in wrapped]
    return [
        " ".join(f"{cell:{width}}" for cell, width in zip(line, WIDTHS, strict=True)).rstrip()
        for line in zip(*padded, strict=True)
    ]


def main() -> int:
    """Run what was asked for."""
    known = names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"one of {', '.join(known)}; none: all")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name in arguments.name:
        if name not in known:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(known)}")
    if arguments.alone is not None:
        alone(arguments.name[0], arguments.alone)
        return 0
    before = machine()
    if not arguments.json:
        print(f"tracelet {before['tracelet']}, Python {before['python']}, {before['cores']} cores, "
              f"load {before['load'][0]}")  # fmt: skip
        for line in in_columns(("what", "measured", "budget", "met")):
            print(line)
        print("-" * 79, flush=True)
    results = {}
    for name in arguments.name or known:
        results[name] = run(name)
        if not arguments.json:
            print(table(name, results[name]), flush=True)
    if arguments.json:
        print(json.dumps({"machine": before, "benchmarks": results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
