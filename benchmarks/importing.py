"""What a script pays before its first call: ``import tracelet`` and ``start_logging``.

Each is measured in fresh processes, in turns with ``python -c pass``. The wall time of a process is
that of the whole; the seconds of a call are taken inside. The processor's time is shown beside it:
on a busy machine the wall time is mostly that of others.

Bytecode is kept, as it is for every installed package, even where the environment forbids it:
compiling the sources in each process would cost more than all else that is measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.tools import FIVE, directory, row

ROUNDS = 25
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
UNWANTED = [
    *("argparse", "click", "typer", "rich", "numpy", "pandas", "pydantic", "wrapt"),
    *("mlflow", "clearml", "tensorboard", "torch", "wandb"),
]
PASS = "import time; print('{\"cpu\":', time.process_time(), '}')"
IMPORT = """
import time
began = time.perf_counter()
import tracelet
took = time.perf_counter() - began
cpu = time.process_time()
import sys
print(str({"import": took, "cpu": cpu, "modules": sorted(sys.modules)}).replace("'", '"'))
"""
START = """
import time
import tracelet
imported = time.perf_counter()
cpu = time.process_time()
exp = tracelet.start_logging("bench", backend=%r, dir=%r, courier=%r)
started = time.perf_counter()
cpu = time.process_time() - cpu
import json, sys
modules = sorted(sys.modules)
exp.stop()  # the courier of this one must not be at work while the next is measured
print(json.dumps({"start": started - imported, "cpu": cpu, "modules": modules}))
"""


def python(code: str) -> tuple[float, dict[str, Any]]:
    """Run code in a fresh process; return its wall time and what it printed."""
    began = time.perf_counter()
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        env={name: text for name, text in os.environ.items() if name != NO_BYTECODE},
    )
    return time.perf_counter() - began, json.loads(done.stdout or b"{}")


def codes(path: Path) -> dict[str, str]:
    """Return what is measured."""
    return {
        "pass": PASS,
        "import": IMPORT,
        "local": START % (["local"], str(path), "auto"),
        "five": START % (FIVE, str(path), "process"),
    }


def main() -> dict[str, Any]:
    walls: dict[str, list[float]] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    with directory() as path:
        for number in range(ROUNDS + 1):
            for name, code in codes(path).items():
                wall, printed = python(code)
                if number:  # the first of each only fills the caches of the disk
                    walls.setdefault(name, []).append(wall * 1000)
                    found.setdefault(name, []).append(printed)
    wall = {name: statistics.median(values) for name, values in walls.items()}
    own = wall["import"] - wall["pass"]
    loaded = set(found["import"][0]["modules"])
    unwanted = sorted(loaded.intersection(UNWANTED))
    late = sorted(set(found["five"][0]["modules"]).intersection(UNWANTED))

    def ms(
        name: str, key: str, of: Callable[[Iterable[float]], float] = statistics.median
    ) -> float:
        return of(one[key] for one in found[name]) * 1000

    rows = [
        row("python -c pass, the whole process", f"{wall['pass']:.0f} ms"),
        row("python -c 'import tracelet', beyond that", f"{own:.0f} ms", "50 ms", own <= 50),
        row("… processor time", f"{ms('import', 'cpu') - ms('pass', 'cpu'):.0f} ms"),
        row(f"… the quickest of {ROUNDS}", f"{min(walls['import']) - min(walls['pass']):.0f} ms"),
        row("import tracelet, inside", f"{ms('import', 'import'):.0f} ms"),
        row("packages it pulls in that it must not", str(unwanted or "none"), "none", not unwanted),
    ]
    for name, what in (("local", "local"), ("five", "five backends")):
        start = ms(name, "start")
        rows.append(row(f"start_logging, {what}", f"{start:.0f} ms", "100 ms", start <= 100))
        rows.append(row("… processor time", f"{ms(name, 'cpu'):.0f} ms"))
        rows.append(row(f"… the quickest of {ROUNDS}", f"{ms(name, 'start', min):.0f} ms"))
    rows.append(row("packages pulled in by then", str(late or "none"), "none", not late))
    return {
        "rows": rows,
        "details": {
            "wall_ms": wall,
            "cpu_ms": {name: ms(name, "cpu") for name in found},
            "start_ms": {name: ms(name, "start") for name in ("local", "five")},
            "modules": len(loaded),
        },
    }
