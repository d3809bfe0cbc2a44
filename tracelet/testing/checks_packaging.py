"""Packaging: how a plugin is found, what it costs, and what it must never do where it runs."""

from __future__ import annotations

import gzip
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

from tracelet.backends.registry import CORE, installed
from tracelet.testing import values
from tracelet.testing.checks import check
from tracelet.testing.context import Context
from tracelet.testing.expect import fail_if

_LARGEST = 50_000_000
_SDKS = ("aim", "clearml", "mlflow", "tensorboard", "tensorflow", "torch", "wandb")

_REGISTER = """
import sys
sys.path[:] = {path!r}
from tracelet.backends.registry import resolve
resolve({target!r})
print("\\n".join(name for name in {modules!r} if name in sys.modules))
"""

_WITHOUT_SDK = """
import sys
sys.path[:] = {path!r}

class Hidden:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules!r}:
            return None
        return self.finder.find_spec(name, path, target)
    def __getattr__(self, name):  # such as what finds the entry points
        return getattr(self.finder, name)

sys.meta_path[:] = [Hidden(finder) for finder in sys.meta_path]
import tracelet
from tracelet.errors import MissingPluginError
try:
    tracelet.start_logging(backend={target!r}, dir={runs!r}, backends={{{name!r}: {options!r}}})
except MissingPluginError as error:
    print(error)
"""


@check()
def entry_point(context: Context) -> None:
    """The entry point of the group ``tracelet`` is missing, or not called as the backend is."""
    target = context.runner.harness.backend
    if ":" in target:
        return  # a class that was not packaged
    plugins = installed()
    if target not in plugins and target not in CORE:
        raise AssertionError(f"no entry point {target!r} in the group 'tracelet': {list(plugins)}")
    if context.backend.name != target:
        raise AssertionError(f"the backend of {target!r} is called {context.backend.name!r}")


@check()
def import_is_light(context: Context) -> None:
    """Finding the backend imports its SDK: every training that could use it would pay for that.

    Import the SDK inside of methods, not at the top of the plugin's modules.
    """
    sdks = sorted({*_SDKS, *context.backend.requires})
    found = _python(_REGISTER, context, modules=sdks).split()
    fail_if([f"registering the backend imports {name}" for name in found])


@check()
def sdk_missing(context: Context) -> None:
    """Without the SDK there is no clear error, before anything is written, with the install line.

    ``Backend.requires`` names the SDK's modules and the requirement that installs each.
    """
    requires = context.backend.requires
    if not requires:
        needed = _dependencies(context)
        fail_if([f"the plugin depends on {name}, and requires is empty" for name in needed])
        return
    message = _python(
        _WITHOUT_SDK,
        context,
        modules=sorted({module.partition(".")[0] for module in requires}),
        runs=str(context.runner.runs / "none"),
        name=context.name,
        options=context.runner.harness.options(context.folder),
    )
    if not any(f"pip install '{requirement}'" in message for requirement in requires.values()):
        raise AssertionError(f"without {', '.join(requires)} the message is: {message or 'none'}")
    if (context.runner.runs / "none").exists():
        raise AssertionError("the run was begun, although its backend cannot work")


@check(thread=True)
def no_secrets(context: Context) -> None:
    """A secret is in what is read back, or in a file of the tracker or the run.

    tracelet hides them before a backend sees them, so this one found it elsewhere: switch off the
    SDK's own capture of arguments, environment and code.
    """
    outcome = context.everything
    places = {"what is read back": repr(outcome.read).encode()}
    for root in (context.folder, outcome.run.dir):
        for file in sorted(root.rglob("*")):
            if file.is_file() and file.stat().st_size < _LARGEST:
                places[str(file)] = _content(file)
    fail_if(
        [
            f"the secret of the {origin} is in {place}"
            for place, content in places.items()
            for origin, secret in values.SECRETS.items()
            if secret.encode() in content
        ]
    )


@check(thread=True)
def nothing_outside(context: Context) -> None:
    """Something was written into the working, home or temporary directory.

    Give the SDK its directories explicitly, below what the options say or ``Backend.scratch``.
    """
    fail_if([f"left behind: {path}" for path in context.sandboxed().stray])


@check(thread=True)
def silent_stdout(context: Context) -> None:
    """Something was printed to stdout, which belongs to the training script."""
    output = context.sandboxed().stdout
    if output:
        raise AssertionError(f"on stdout: {output[:500]!r}")


def _content(file: Path) -> bytes:
    if file.suffix == ".gz":
        with gzip.open(file) as content:
            return content.read()
    return file.read_bytes()


def _python(program: str, context: Context, **values_: object) -> str:
    """Run a program in a fresh interpreter and return what it printed."""
    target = context.runner.found.target
    done = subprocess.run(
        [sys.executable, "-c", program.format(path=sys.path, target=target, **values_)],
        capture_output=True,
        text=True,
        check=False,
        cwd=context.folder.parent,
    )
    if done.returncode != 0:
        raise AssertionError(f"it failed in a fresh interpreter:\n{done.stderr[-3000:]}")
    return done.stdout


def _dependencies(context: Context) -> list[str]:
    """Return what the plugin's distribution needs besides tracelet."""
    entry = installed().get(context.name)
    if entry is None or entry.dist is None or ":" in context.runner.harness.backend:
        return []
    needed = importlib.metadata.requires(entry.dist.name) or []
    names = (re.match(r"[\w.-]+", line) for line in needed if "extra ==" not in line)
    return [name.group() for name in names if name and name.group() != "tracelet"]
