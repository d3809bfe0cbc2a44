"""The shape of the code: sizes, circles, and how far one metric and one argument walk.

``python -m benchmarks structure`` measures this checkout; ``python benchmarks/structure.py DIR``
another one, by the same rules, to compare before and after.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
WALK = """
import argparse, json, sys
sys.path.insert(0, sys.argv[1])
import tracelet

passed = {}
def profile(frame, event, _):
    if event == "call" and "/tracelet/" in frame.f_code.co_filename:
        passed.setdefault(frame.f_code.co_filename, set()).add(frame.f_code.co_qualname)

def walked(call):
    passed.clear()
    sys.setprofile(profile)
    call()
    sys.setprofile(None)
    return [sum(map(len, passed.values())), len(passed)]

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, help="the learning rate")
parser.parse_args(["--lr", "0.1"])
with tracelet.start_logging("walk", dir=sys.argv[2], courier="thread") as exp:
    exp.log_metric("loss", 0.5)
    metric = walked(lambda: exp.log_metric("loss", 0.25))
    argument = walked(lambda: parser.parse_args(["--lr", "0.2"]))
assert tracelet.load_run(exp.dir).params["Args/lr"] == 0.2
print(json.dumps({"metric": metric, "argument": argument}))
"""


class Module:
    """One file of a package, parsed."""

    def __init__(self, root: Path, file: Path) -> None:
        parts = file.relative_to(root).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.lines = file.read_text(encoding="utf-8").count("\n")
        self.tree = ast.parse(file.read_text(encoding="utf-8"))

    def imports(self, *, type_checking: bool) -> Iterator[str]:
        """Yield what the file imports when it is imported; if asked, also what only types need."""
        yield from _imported(self.tree.body, type_checking=type_checking)

    def late_imports(self) -> int:
        """Count the imports inside functions."""
        functions = (
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        found = {
            id(node)
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        return len(found)

    def broad_excepts(self) -> int:
        """Count the handlers of Exception, BaseException and of everything."""
        handlers = (node for node in ast.walk(self.tree) if isinstance(node, ast.ExceptHandler))
        return sum(
            node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            for node in handlers
        )

    def foreign_privates(self) -> int:
        """Count the private attributes of other objects that are read or written."""
        return sum(
            isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.endswith("__")
            and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
            and not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super")
            for node in ast.walk(self.tree)
        )


def _imported(body: list[ast.stmt], *, type_checking: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If):
            if type_checking or "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from _imported(node.body, type_checking=type_checking)
            yield from _imported(node.orelse, type_checking=type_checking)
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from _imported(node.body, type_checking=type_checking)


def in_cycles(modules: list[Module], *, type_checking: bool) -> int:
    """Return how many modules import each other in a circle."""
    names = {module.name for module in modules}
    arrows: dict[str, set[str]] = {name: set() for name in names}
    for module in modules:
        for target in module.imports(type_checking=type_checking):
            found = target if target in names else target.rpartition(".")[0]
            if found in names and found != module.name:
                arrows[module.name].add(found)
    reached = {name: _reached(name, arrows) for name in names}
    return sum(name in reached[name] for name in names)


def _reached(name: str, arrows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(arrows[name])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += arrows[one]
    return found


def walk(root: Path) -> dict[str, list[int]]:
    """Return the functions and files that a metric and a parsed argument pass."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-c", WALK, str(root), directory]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=directory)
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def measure(root: Path) -> dict[str, str]:
    """Return the figures of a checkout."""
    modules = [Module(root, file) for file in sorted(root.glob("tracelet/**/*.py"))]
    core = [module for module in modules if module.name.startswith("tracelet.core")]
    sizes = [module.lines for module in modules]
    largest = max(modules, key=lambda module: module.lines)
    walked = walk(root)
    figures = {
        "lines, files": f"{sum(sizes):,} lines in {len(sizes)} files",
        "lines of a file: median, largest": f"{statistics.median(sizes):.0f}, "
        f"{largest.lines} ({largest.name})",
        "files of tracelet.core": f"{len(core)}",
        "broad excepts": f"{sum(module.broad_excepts() for module in modules)}",
        "private attributes of other objects": f"{sum(m.foreign_privates() for m in modules)}, "
        f"{sum(module.foreign_privates() for module in core)} in core",
        "imports inside functions": f"{sum(module.late_imports() for module in modules)}, "
        f"{sum(module.late_imports() for module in core)} in core",
        "modules in a circle": f"{in_cycles(modules, type_checking=False)}, "
        f"{in_cycles(modules, type_checking=True)} with imports for type checkers",
        "what a metric passes to the journal": "{} functions in {} files".format(*walked["metric"]),
        "what a parsed argument passes": "{} functions in {} files".format(*walked["argument"]),
    }
    for source in sorted(root.glob("plugins/*/src")):
        lines = sum(len(file.read_text().splitlines()) for file in source.rglob("*.py"))
        figures[f"lines of {source.parent.name}"] = f"{lines:,}"
    return figures


def main() -> dict[str, Any]:
    """Measure this checkout."""
    return {"rows": [{"what": what, "measured": found} for what, found in measure(HERE).items()]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=HERE)
    for what, found in measure(parser.parse_args().directory.resolve()).items():
        print(f"{what:40} {found}")
