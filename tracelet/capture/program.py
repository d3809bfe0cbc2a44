"""Ranks code: the script, the other modules of the program, libraries, and tools.

Arguments of a lower rank win over those of a higher one. A library is any installed package but the
one that the program was started from.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

SCRIPT: Final = 0
"""The script that was started."""
PROGRAM: Final = 1
"""The modules beside it, or of the package that was started."""
LIBRARY: Final = 2
"""Any other installed package."""
TOOL: Final = 3
"""A package that runs programs, or has its own capture: its arguments are never the program's."""

_MAIN = ("__main__", "__mp_main__")
_RUNNERS = {
    *("IPython", "ipykernel", "jupyter_client", "notebook", "traitlets"),
    *("_pytest", "pytest", "pytest_cov", "xdist", "execnet", "unittest", "nox"),
    *("coverage", "debugpy", "pdb", "pydevd"),
    *("absl", "hydra", "tracelet"),
}
_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD = Path(os.__file__).parent


def rank_of_frame(frame: FrameType) -> int:
    """Return the rank of a frame's code."""
    return rank(str(frame.f_globals.get("__name__")), frame.f_code.co_filename)


def rank_of_function(function: Any) -> int:
    """Return the rank of a function; for a wrapper, that of the wrapped function."""
    seen = 0
    while hasattr(function, "__wrapped__") and seen < 100:
        function, seen = function.__wrapped__, seen + 1
    code = getattr(function, "__code__", None)
    filename = code.co_filename if isinstance(code, CodeType) else ""
    return rank(str(getattr(function, "__module__", None)), filename)


def rank(module: str, filename: str) -> int:
    """Return the rank of a module's code.

    Args:
        module: the name of the module.
        filename: its file, as in ``co_filename``.
    """
    top = module.partition(".")[0]
    if module in _MAIN:
        return TOOL if _started_package() in _RUNNERS else SCRIPT
    if top in _RUNNERS:
        return TOOL
    return LIBRARY if _is_installed(filename) and top != _started_package() else PROGRAM


@functools.lru_cache(maxsize=1024)
def _is_installed(filename: str) -> bool:
    path = Path(filename).absolute()
    return (
        filename.startswith("<frozen ")
        or path.is_relative_to(_STANDARD)
        or not _INSTALLED.isdisjoint(path.parts)
    )


def _started_package() -> str | None:
    """Return the package that was started: by ``python -m package``, or by its command.

    An installed command is a small script that imports a function and calls it.
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).partition(".")[0]
    file = getattr(main, "__file__", None)
    if not isinstance(file, str) or not _is_command(file):
        return None
    for value in list(vars(main).values()):
        module = getattr(value, "__module__", None)
        if callable(value) and isinstance(module, str) and module != "__main__":
            return module.partition(".")[0]
    return None


@functools.lru_cache(maxsize=8)
def _is_command(file: str) -> bool:
    return Path(file).absolute().parent == Path(sys.executable).absolute().parent


def current_test() -> str | None:
    """Return the test that pytest runs in this process; None without pytest.

    Arguments that another test has parsed do not count.
    """
    if "pytest" not in sys.modules:
        return None
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
