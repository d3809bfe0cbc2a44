"""The facts of a run: the process, machine and command line that started it."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import sys
from pathlib import Path
from typing import Any

_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


def process_rank() -> int:
    """Return this process's rank in a distributed job; 0 outside of one.

    It is in the first of RANK (torchrun), SLURM_PROCID, OMPI_COMM_WORLD_RANK, PMI_RANK that is set.
    """
    for variable in _RANKS:
        value = os.environ.get(variable, "").strip()
        if value.isdigit():
            return int(value)
    return 0


def _user() -> str:
    """Return the name of the user; the user id, if a container has no name for it."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return str(os.getuid())


def run_facts(argv: list[str]) -> dict[str, Any]:
    """Return the facts by name: ``pid``, ``host``, ``argv`` and so on.

    Args:
        argv: the command line without secrets.
    """
    facts: dict[str, Any] = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "argv": argv,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": sys.platform,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "user": _user(),
    }
    try:
        facts["cwd"] = str(Path.cwd())
    except OSError:  # the working directory was deleted
        facts["cwd"] = None
    return facts
